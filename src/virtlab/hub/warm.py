"""Warm seats: a template that was booted once and saved with everything loaded, and copies of it.

A copy is the saved memory with another head (see `savefile`) and a copy-on-write disk over the template's.
It wakes up without a network card, is told who it is, and only then gets its card. What QEMU saved only the
same QEMU can load, on the same machine type and processor, so a template belongs to one host and is named
after all of that; whenever something does not fit there is no template, and seats boot cold.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

import libvirt

from virtlab.errors import MachineError
from virtlab.hub import agent, describe, machines, savefile
from virtlab.hub.disks import BROUGHT
from virtlab.hub.hosts import Host, Tell, discard, nothing, refreshed
from virtlab.hub.link import receive, send, suppress_code
from virtlab.hub.machines import Machine

BOOT = 600.0  # seconds a template's boot may take; it is done once
SAVE = 300.0
# What was freed is given back before it is saved: the file is half as long, and so is reading it.
CALM = (
    "timeout 60 systemctl is-system-running --wait >/dev/null 2>&1; sync; echo 3 >/proc/sys/vm/drop_caches; "
    "echo 1 >/proc/sys/vm/compact_memory; sleep 3; sync"
)


@dataclass(frozen=True)
class Template:
    """A saved guest on one host: two volumes."""

    name: str

    @property
    def disk(self) -> str:
        return f"{self.name}.qcow2"

    @property
    def memory(self) -> str:
        return f"{self.name}.memory"

    @property
    def ready(self) -> str:
        """Exists once the other two are complete."""
        return f"{self.name}.ready"


def _key(host: Host, connection: Any) -> str:
    plan, site = host.plan, host.site
    model = describe.tree(_Said(connection.getCapabilities())).find("host/cpu/model")
    what = (
        plan.image, plan.size.memory_mb, plan.size.vcpus, plan.user, plan.python, site.machine, site.cpu,
        site.emulated, connection.getVersion(), connection.getLibVersion(),
        model.text if model is not None else "", agent.program(),
    )  # fmt: skip
    return sha256(repr(what).encode()).hexdigest()[:12]


class _Said:
    """Text that libvirt gave, where things are expected that give it."""

    def __init__(self, text: str) -> None:
        self.text = text

    def XMLDesc(self, _: int) -> str:
        return self.text


def _find(host: Host, connection: Any) -> Template | None:
    names = connection.storagePoolLookupByName(host.plan.pool).listVolumes()
    begin = f"template-{_key(host, connection)}-"
    found = sorted(name for name in names if name.startswith(begin) and name.endswith(".ready"))
    return Template(found[-1].removesuffix(".ready")) if found else None


async def find(host: Host) -> Template | None:
    """The template that fits today's QEMU and plan, if there is one."""
    return await host.link("look for a warm template", lambda connection: _find(host, connection))


async def make(host: Host, tell: Tell = nothing) -> Template:
    """Boot a guest, load everything, save it. One at a time on a host; what a killed one left is cleared."""
    if found := await find(host):
        return found
    guest = f"{host.plan.name}-template"
    new = await host.link("make a warm template", lambda connection: _begin(host, connection, guest), 180)
    try:
        tell(f"{host.name}: booting the template")
        await agent.awake(host.link, guest, BOOT)
        await agent.install(host.link, guest, host.plan)
        tell(f"{host.name}: loading JupyterLab into it")
        await agent.ready(host.link, guest, BOOT)
        await agent.check(host.link, guest, "/bin/sh", "-c", CALM, patience=300)
        tell(f"{host.name}: saving its memory")
        await host.link("save the template", lambda connection: _save(host, connection, guest, new), SAVE)
    except BaseException:
        await host.link("clear away the template", lambda connection: _clear(host, connection, guest, new))
        raise
    return new


def _begin(host: Host, connection: Any, guest: str) -> Template:
    new = Template(f"template-{_key(host, connection)}-{uuid.uuid4().hex[:4]}")
    begin = new.name.rpartition("-")[0]
    pool = refreshed(connection.storagePoolLookupByName(host.plan.pool))
    with suppress_code(libvirt.VIR_ERR_NO_DOMAIN):
        discard(connection.lookupByName(guest))
    names = pool.listVolumes()
    for volume in pool.listAllVolumes():
        name = volume.name().removesuffix(BROUGHT)
        if name.startswith(begin) and name + BROUGHT not in names:  # seats that moved here build upon those
            volume.delete()
    size = host.plan.size.disk_mb << 20
    disk = pool.createXML(describe.disk(new.disk, size, host.path(host.plan.image)))
    label = describe.Label(host.plan.name, "", "", new.disk)
    connection.createXML(
        describe.guest(host.plan, host.site, guest, disk=disk.path(), label=label, room=True), 0
    )
    return new


def _save(host: Host, connection: Any, guest: str, new: Template) -> None:
    connection.lookupByName(guest).saveFlags(host.path(new.memory), None, libvirt.VIR_DOMAIN_SAVE_RUNNING)
    pool = refreshed(connection.storagePoolLookupByName(host.plan.pool))
    _head(pool.storageVolLookupByName(new.memory))
    pool.createXML(describe.file(new.ready, 512))


def _clear(host: Host, connection: Any, guest: str, new: Template) -> None:
    with suppress_code(libvirt.VIR_ERR_NO_DOMAIN):
        discard(connection.lookupByName(guest))
    pool = refreshed(connection.storagePoolLookupByName(host.plan.pool))
    for volume in pool.listAllVolumes():
        if volume.name() in (new.disk, new.memory):
            volume.delete()


def _head(memory: Any) -> savefile.Head:
    try:
        length = savefile.length(b"".join(receive(memory, 0, savefile.HEAD.size)))
        return savefile.read(b"".join(receive(memory, 0, length)))
    except savefile.NotOurs as error:
        raise MachineError(
            f"What libvirt saved is of a kind that is not known here: {error}.",
            do='Seats boot cold then. `save_image_format = "raw"` in /etc/libvirt/qemu.conf is what works.',
        ) from None


async def clone(host: Host, template: Template, owner: str = "") -> Machine:
    """A running copy of the template, without a network card and without an identity."""

    def work(connection: Any) -> Machine:
        slot, disk = machines.take_slot(host, connection, host.path(template.disk))
        machine = machines.new(host, slot, disk.path(), owner, template.disk)
        pool = connection.storagePoolLookupByName(host.plan.pool)
        memory = None
        try:
            machines.define(host, connection, machine)
            saved = pool.storageVolLookupByName(template.memory)
            memory = pool.createXMLFrom(describe.file(f"{machine.name}.memory", saved.info()[1]), saved, 0)
            head = _head(saved)
            _overwrite(memory, savefile.write(head, _description(head, machine)))
            connection.restoreFlags(memory.path(), None, libvirt.VIR_DOMAIN_SAVE_RUNNING)
        except BaseException:
            with suppress_code(libvirt.VIR_ERR_NO_DOMAIN):
                discard(connection.lookupByName(machine.name))
            disk.delete()
            raise
        finally:
            if memory is not None:
                memory.delete()
        return replace(machine, running=True)

    return await host.link("wake a copy of the template", work, SAVE)


def _description(head: savefile.Head, machine: Machine) -> str:
    return savefile.clone(
        head.description, name=machine.name, identity=machine.identity, disk=machine.disk, label=machine.label
    )


def _overwrite(memory: Any, head: bytes) -> None:
    from io import BytesIO

    send(memory, BytesIO(head), 0, len(head))


async def plug(host: Host, machine: Machine) -> None:
    """Give a running copy the network card that its definition has already."""
    card = describe.card(host.plan, host.site, host.plan.slot(machine.name))

    def work(connection: Any) -> None:
        guest = connection.lookupByName(machine.name)
        guest.attachDeviceFlags(card, libvirt.VIR_DOMAIN_AFFECT_LIVE)

    await host.link(f"connect {machine.name}", work)


# --- the pool -------------------------------------------------------------------------------------------
class Pool:
    """Warm seats that wait on one host for students."""

    def __init__(self, host: Host, wake: Callable[[Host, Template], Any]) -> None:
        self.host = host
        self._wake = wake  # makes one complete warm seat
        self._filling = asyncio.Lock()
        self._taking = asyncio.Lock()

    async def waiting(self) -> list[Machine]:
        return [
            one
            for one in await machines.everyone(self.host)
            if one.running and not one.owner and one.label.host_key
        ]

    async def take(self, owner: str) -> Machine | None:
        """One for a student; None when nobody waits."""
        async with self._taking:
            for machine in await self.waiting():
                return await machines.relabel(self.host, machine, owner=owner)
        return None

    async def give_way(self) -> None:
        """One less, for somebody whose own machine needs the room."""
        async with self._taking:
            for machine in (await self.waiting())[:1]:
                await machines.remove(self.host, machine)

    async def fill(self, count: int, tell: Tell = nothing) -> int:
        """Until so many wait, or the host is full; how many wait then."""
        async with self._filling:
            have = len(await self.waiting())
            while have < count:
                room = (await self.host.look()).room(self.host.plan.size)
                template = await find(self.host)
                if not room or template is None:
                    break
                await self._wake(self.host, template)
                have += 1
                tell(f"{self.host.name}: {have} of {count} seats are warm")
            return have
