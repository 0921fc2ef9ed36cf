"""The guests that seats are: definitions, limits, disks. This needs libvirt only, nobody inside."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import libvirt

from virtlab.errors import MachineError
from virtlab.hub import describe
from virtlab.hub.hosts import Host, discard, refreshed
from virtlab.hub.link import suppress_code
from virtlab.hub.plan import FIRST, LAST

log = logging.getLogger(__name__)
SLACK_MB = 512  # what QEMU may take beyond the guest's memory before it is stopped
EVERYWHERE = libvirt.VIR_DOMAIN_AFFECT_LIVE | libvirt.VIR_DOMAIN_AFFECT_CONFIG


@dataclass(frozen=True)
class Machine:
    """A guest that is somebody's seat, or is warm and can become one."""

    host: str
    name: str
    identity: str
    running: bool
    disk: str
    label: describe.Label

    @classmethod
    def remembered(cls, host: str, name: str, address: str, owner: str) -> Machine:
        """As much of it as a hub knows that was started again while the host is away."""
        return cls(host, name, "", True, "", describe.Label("", owner, address))

    @property
    def owner(self) -> str:
        return self.label.owner

    @property
    def address(self) -> str:
        return self.label.address


def _machine(host: Host, guest: Any) -> Machine | None:
    try:
        tree = describe.tree(guest, 0 if guest.isActive() else libvirt.VIR_DOMAIN_XML_INACTIVE)
        label = describe.Label.of(tree)
        source = tree.find("devices/disk/source")
        if label is None or source is None or label.plan != host.plan.name or not guest.isPersistent():
            return None
        if label.coming:
            return None
        return Machine(
            host.name, guest.name(), guest.UUIDString(), bool(guest.isActive()), source.get("file", ""), label
        )
    except libvirt.libvirtError:
        return None  # it went while it was looked at


async def everyone(host: Host) -> list[Machine]:
    def work(connection: Any) -> list[Machine]:
        found = (_machine(host, guest) for guest in connection.listAllDomains())
        return sorted((one for one in found if one), key=lambda one: one.name)

    return await host.link("list its seats", work)


async def get(host: Host, name: str) -> Machine:
    def work(connection: Any) -> Machine | None:
        return _machine(host, connection.lookupByName(name))

    found = await host.link(f"find {name}", work)
    if found is None:
        raise MachineError(
            f"{name} on {host.name} is not a seat.", do="`lab classroom status` lists the seats."
        )
    return found


async def of(host: Host, owner: str) -> Machine | None:
    return next((one for one in await everyone(host) if one.owner == owner), None)


# --- making and changing --------------------------------------------------------------------------------
def take_slot(host: Host, connection: Any, base: str, capacity: int = 0) -> tuple[int, Any]:
    """A free slot and its disk. Making the disk is what takes the slot: libvirt lets only one succeed."""
    capacity = capacity or host.plan.size.disk_mb << 20
    pool = connection.storagePoolLookupByName(host.plan.pool)
    taken = set(pool.listVolumes()) | {f"{guest.name()}.qcow2" for guest in connection.listAllDomains()}
    for slot in range(FIRST, LAST + 1):
        name = f"{host.plan.machine(slot)}.qcow2"
        if name in taken:
            continue
        with suppress_code(libvirt.VIR_ERR_STORAGE_VOL_EXIST):
            return slot, pool.createXML(describe.disk(name, capacity, base))
    raise MachineError(
        f"All {LAST + 1 - FIRST} places of {host.name} are taken.",
        do="Remove seats that nobody needs (`lab classroom down` of an old class), or add a KVM host.",
    )


def description(host: Host, machine: Machine) -> str:
    """What it boots cold with, as the plan is today."""
    name, disk, label = machine.name, machine.disk, machine.label
    slot = host.plan.slot(name)
    text = describe.guest(
        host.plan, host.site, name, disk=disk, label=label, cards=describe.card(host.plan, host.site, slot)
    )
    identity = f"<uuid>{machine.identity}</uuid>"
    return text.replace("<genid/>", f"{identity}<genid/>", 1)


def define(host: Host, connection: Any, machine: Machine) -> Any:
    return connection.defineXML(description(host, machine))


def new(host: Host, slot: int, disk: str, owner: str, base: str) -> Machine:
    """A machine that does not exist yet."""
    label = describe.Label(host.plan.name, owner, host.site.address(slot), base)
    return Machine(host.name, host.plan.machine(slot), str(uuid.uuid4()), False, disk, label)


async def create(host: Host, owner: str) -> Machine:
    """A seat with an empty disk over the image, not started."""

    def work(connection: Any) -> Machine:
        slot, volume = take_slot(host, connection, host.path(host.plan.image))
        machine = new(host, slot, volume.path(), owner, host.plan.image)
        try:
            define(host, connection, machine)
        except BaseException:
            volume.delete()
            raise
        return machine

    return await host.link(f"make a seat for {owner}", work)


async def relabel(host: Host, machine: Machine, **changes: str) -> Machine:
    label = replace(machine.label, **changes)

    def work(connection: Any) -> None:
        guest = connection.lookupByName(machine.name)
        flags = EVERYWHERE if guest.isActive() else libvirt.VIR_DOMAIN_AFFECT_CONFIG
        guest.setMetadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, label.bare(), "s", describe.SPACE, flags)
        guest.setMetadata(libvirt.VIR_DOMAIN_METADATA_TITLE, label.owner or "warm", None, None, flags)

    await host.link(f"note whose {machine.name} is", work)
    return replace(machine, label=label)


async def switch_on(host: Host, machine: Machine) -> None:
    """Boot it cold, as the plan is today."""

    def work(connection: Any) -> None:
        # As it is now: since somebody looked its disk may have been replaced.
        now = _machine(host, connection.lookupByName(machine.name)) or machine
        guest = define(host, connection, now)
        with suppress_code(libvirt.VIR_ERR_OPERATION_INVALID):  # it runs
            guest.create()

    await host.link(f"start {machine.name}", work, 180)


async def switch_off(host: Host, name: str, patience: float = 25) -> None:
    """Let it shut down in order, and end it if that takes too long. Its disk and definition stay."""

    def work(connection: Any) -> None:
        guest = connection.lookupByName(name)
        if not guest.isActive():
            return
        end = time.monotonic() + patience
        with suppress(libvirt.libvirtError):
            guest.shutdownFlags(
                libvirt.VIR_DOMAIN_SHUTDOWN_GUEST_AGENT | libvirt.VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN
            )
            while time.monotonic() < end:
                if not guest.isActive():
                    return
                time.sleep(0.2)
        with suppress_code(libvirt.VIR_ERR_OPERATION_INVALID):
            guest.destroy()

    await host.link(f"stop {name}", work, patience + 60)


async def limit(host: Host, machine: Machine) -> list[str]:
    """What one seat may take of its host; which limits the host cannot keep, which is logged as well.

    Set on the running guest: in its description a limit that the host cannot keep would forbid the start.
    Processes need none: however many a guest forks, on the host it is one, with a thread a processor.
    """
    plan = host.plan

    def work(connection: Any) -> list[str]:
        guest = connection.lookupByName(machine.name)
        live = libvirt.VIR_DOMAIN_AFFECT_LIVE
        mac = plan.mac(host.site, plan.slot(machine.name))
        rate = {"inbound.average": plan.network_kb, "inbound.peak": 4 * plan.network_kb,
                "inbound.burst": 4 * plan.network_kb}  # fmt: skip
        quota = {"vcpu_period": 100_000, "vcpu_quota": plan.cpu_percent * 1000}
        memory = (plan.size.memory_mb + SLACK_MB) * 1024
        disk = {"total_bytes_sec": plan.disk_mb_s << 20, "total_iops_sec": plan.disk_iops}
        wanted: dict[str, Callable[[], Any]] = {
            "memory": lambda: guest.setMemoryParameters({"hard_limit": memory}, live),
            # By QEMU itself, with or without control groups: one that copies for ever starves all the others.
            "disk": lambda: guest.setBlockIoTune("vda", disk, live),
            "processor": lambda: guest.setSchedulerParametersFlags(quota, live),
            "network in": lambda: guest.setInterfaceParameters(mac, rate, live),
            "network out": lambda: guest.setInterfaceParameters(
                mac, rate | {name.replace("inbound", "outbound"): value for name, value in rate.items()}, live
            ),
        }
        missing = []
        for name, setting in wanted.items():
            try:
                setting()
            except libvirt.libvirtError:
                missing.append(name)
        return missing

    missing = await host.link(f"limit {machine.name}", work)
    if missing:
        log.warning("%s cannot limit what %s takes of: %s", host.name, machine.name, ", ".join(missing))
    return missing


def volumes(host: Host, connection: Any, machine: str) -> Iterator[Any]:
    """All files of one seat."""
    pool = refreshed(connection.storagePoolLookupByName(host.plan.pool))
    return (volume for volume in pool.listAllVolumes() if volume.name().startswith(f"{machine}."))


async def remove(host: Host, machine: Machine | str) -> None:
    """A seat with its disk and snapshots."""
    name = machine if isinstance(machine, str) else machine.name

    def work(connection: Any) -> None:
        with suppress_code(libvirt.VIR_ERR_NO_DOMAIN):
            discard(connection.lookupByName(name))
        # The disk that holds the slot goes last.
        for volume in sorted(volumes(host, connection, name), key=lambda one: one.name() == f"{name}.qcow2"):
            volume.delete()

    await host.link(f"remove {name}", work, 120)
