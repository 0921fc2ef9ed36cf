"""Guests, looked at the way a check does: at what they do, however they were made."""

from __future__ import annotations

import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from virtlab import patience

if TYPE_CHECKING:
    from virtlab.catalogue import Lab
    from virtlab.seat import Seat

T = TypeVar("T")

AGAIN = 10.0  # seconds an open SSH connection may take to answer, before a new one is tried
LOGIN = 25.0  # seconds a new one may take; under emulation, on a busy machine, it needs ten


@dataclass(frozen=True)
class Volume:
    """A disk's file, as libvirt's storage pool describes it."""

    name: str
    path: str
    format: str
    capacity_mb: int
    allocation_mb: int
    backing: str  # the path of what it builds upon; "" when that is nothing


def of_lab(seat: Seat, lab: Lab) -> list[Any]:
    """The guests that carry the lab's prefix, by name."""
    found = [one for one in seat.libvirt.listAllDomains() if one.name().startswith(lab.name(""))]
    if not found:
        raise AssertionError(
            f"libvirt at {lab.host.kvm_host.uri} knows no guest whose name begins with `{lab.name('')}`. "
            "`virsh -c qemu:///system list --all` shows what there is; a guest defined under qemu:///session "
            "is in another list."
        )
    return sorted(found, key=lambda one: str(one.name()))


def any_of(candidates: Iterable[T], test: Callable[[T], str]) -> str:
    """The first that passes; when none does, what was wrong with the first."""
    failures = []
    for one in candidates:
        try:
            return test(one)
        except AssertionError as error:
            failures.append(error)
    raise failures[0]


def tree(thing: Any, flags: int = 0) -> ET.Element:
    """libvirt's description of a guest, network, pool or volume."""
    return ET.fromstring(thing.XMLDesc(flags))  # noqa: S314  (libvirt's own words)


def settings(guest: Any) -> ET.Element:
    """How it is defined: what counts from its next start on."""
    import libvirt

    return tree(guest, libvirt.VIR_DOMAIN_XML_INACTIVE if guest.isPersistent() else 0)


def disks(seat: Seat, description: ET.Element) -> list[str]:
    """The files (or devices) of a guest's disks; CD-ROMs and floppies do not count."""
    found = []
    for disk in description.iterfind("devices/disk"):
        source = disk.find("source")
        if disk.get("device", "disk") != "disk" or source is None:
            continue
        if disk.get("type") == "volume":
            pool = seat.libvirt.storagePoolLookupByName(source.get("pool"))
            found.append(pool.storageVolLookupByName(source.get("volume")).path())
        else:
            found.append(source.get("file") or source.get("dev") or source.get("name") or "")
    return found


def volumes(seat: Seat, lab: Lab) -> dict[str, Volume]:
    """The lab pool's volumes by path, as they are now."""
    pool = seat.libvirt.storagePoolLookupByName(lab.host.kvm_host.pool)
    pool.refresh()
    return {volume.path: volume for volume in map(_volume, pool.listAllVolumes())}


def volume(seat: Seat, path: str, known: dict[str, Volume]) -> Volume:
    """The volume at a path, whichever pool it is in."""
    import libvirt

    if path in known:
        return known[path]
    try:
        return _volume(seat.libvirt.storageVolLookupByPath(path))
    except libvirt.libvirtError:
        raise AssertionError(
            f"The disk {path} is in none of libvirt's storage pools, so I cannot see what it builds upon. "
            "Make it in the lab's pool: `virsh vol-create-as` does."
        ) from None


def _volume(one: Any) -> Volume:
    said = tree(one)
    target = said.find("target/format")

    def megabytes(name: str) -> int:
        return int(said.findtext(name) or 0) >> 20

    return Volume(
        one.name(),
        one.path(),
        (target.get("type") if target is not None else "") or "",
        megabytes("capacity"),
        megabytes("allocation"),
        said.findtext("backingStore/path") or "",
    )


def is_running(guest: Any) -> None:
    """It has to be on, and not paused."""
    import libvirt

    state, _ = guest.state()
    if state == libvirt.VIR_DOMAIN_PAUSED:
        raise AssertionError(
            f"`{guest.name()}` is paused: it is in memory and does nothing. `virsh resume` lets it go on."
        )
    if state != libvirt.VIR_DOMAIN_RUNNING:
        raise AssertionError(
            f"`{guest.name()}` is defined and does not run. I expected it to be started. `virsh start "
            f"{guest.name()}` does that; under emulation it then takes half a minute until it can be reached."
        )


def address(seat: Seat, guest: Any) -> str:
    """Its IPv4 address, from the network's leases or, failing that, from the agent inside."""
    import libvirt

    is_running(guest)
    for source in (
        libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_LEASE,
        libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_AGENT,
    ):
        try:
            cards = guest.interfaceAddresses(source) or {}
        except libvirt.libvirtError:
            continue  # no agent answers (yet)
        for name, card in cards.items():
            for one in card.get("addrs") or ():
                if name != "lo" and one["type"] == libvirt.VIR_IP_ADDR_TYPE_IPV4:
                    # It will stand in a command, and the agent inside, or a seat's libvirt, may say anything.
                    return str(IPv4Address(one["addr"]))
    raise AssertionError(
        f"`{guest.name()}` runs, and nobody knows an IP address of it. Right after a start that is normal: "
        "wait half a minute. If it stays, look at its network card (`virsh domiflist`) and at its console "
        f"(`virsh console {guest.name()}`)."
    )


def inside(seat: Seat, lab: Lab, guest: Any, script: str) -> str:
    """What a script prints in the guest, over SSH with the lab's key.

    The connection stays open for a while: a login costs seconds under emulation, a second command does not.
    """
    where = address(seat, guest)
    image = lab.host.vm_image
    control = f"ssh-{guest.UUIDString()[:8]}"
    command = [
        "ssh", "-F", "/dev/null", *seat.ssh_options(image.ssh_key), "-l", image.user, "-E", f"{control}.log",
        *(word for option in (
            "BatchMode=yes", "IdentitiesOnly=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null",
            "LogLevel=ERROR", f"ConnectTimeout={patience.seconds(20)}", "ServerAliveInterval=20",
            "ServerAliveCountMax=3", "ControlMaster=auto", f"ControlPath={control}", "ControlPersist=300",
        ) for word in ("-o", option)),
        "--", where, script,
    ]  # fmt: skip
    lab.data.mkdir(parents=True, exist_ok=True)
    if not _is_awake(seat, where):
        raise AssertionError(
            f"`{guest.name()}` runs and was given the address {where}, but nothing answers there. "
            "While it boots that is normal. If it stays: is its network card up? `virsh domif-getlink "
            f"{guest.name()}` with the card's address (from `virsh domiflist`) says so."
        )
    for limit in map(patience.seconds, (AGAIN, LOGIN) if (lab.data / control).exists() else (LOGIN,)):
        (lab.data / f"{control}.log").unlink(missing_ok=True)
        try:
            done = subprocess.run(
                command, cwd=lab.data, timeout=limit, check=False, text=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            said = f"no answer within {limit:.0f} seconds"
        else:
            if done.returncode != 255:  # 255 is ssh's own
                return done.stdout
            said = _last_line(lab.data / f"{control}.log")
        hang_up(lab, control)
    raise AssertionError(
        f"`{guest.name()}` runs and has the address {where}, but I could not log in as {image.user} with the "
        f"lab's key: {said}. While it boots that is normal. If it stays: was it given the key, in the second "
        "<entry> of its <sysinfo>?"
    )


def _is_awake(seat: Seat, where: str) -> bool:
    """Whether its kernel answers; refusing an unused port is an answer, and costs the guest nothing."""
    for port in (9, 22):
        try:
            seat.connect(where, port, patience.seconds(1.5)).close()
        except ConnectionRefusedError:
            return True
        except OSError:
            continue
        return True
    return False


def hang_up(lab: Lab, control: str) -> None:
    """End an open connection, if there is one."""
    if not (lab.data / control).exists():
        return
    subprocess.run(
        ["ssh", "-o", f"ControlPath={control}", "-O", "exit", "nowhere"],
        cwd=lab.data, timeout=5, check=False, capture_output=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    (lab.data / control).unlink(missing_ok=True)


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return lines[-1].strip().rstrip(".") if lines else "ssh gave no reason"
