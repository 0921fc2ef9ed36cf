"""One seat from one KVM host to another: live while it runs, as a copy of its disk while it is off.

Whose disk counts is never in doubt, whatever is killed meanwhile. What comes into being on the new host says
`coming` until it is whole; from then on the seat is there, and what is left of it on the old host is only to
be cleared away. The old host says `going`, and where to: whoever goes on knows whom to ask. This holds as
long as nobody starts the seat where it was, so that host has to be closed.
"""

from __future__ import annotations

import asyncio
import xml.etree.ElementTree as ET
from contextlib import suppress
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import libvirt

from virtlab.errors import LabError, MachineError
from virtlab.hub import describe, disks, machines
from virtlab.hub.carry import begin, connect, copy, whole
from virtlab.hub.hosts import COPYING, Host, Tell, discard, nothing
from virtlab.hub.link import Refused, suppress_code
from virtlab.hub.machines import Machine

SETTLED = 60.0  # seconds until libvirt has cleared up after somebody who was killed in the middle
ENCRYPTION = ("x509", "TLS", "certificate", "credentials")  # what libvirt's complaints about it have in them
STATES = {libvirt.VIR_DOMAIN_RUNNING: "running", libvirt.VIR_DOMAIN_BLOCKED: "running",
          libvirt.VIR_DOMAIN_PAUSED: "paused", libvirt.VIR_DOMAIN_PMSUSPENDED: "running"}  # fmt: skip
FLAGS = (
    libvirt.VIR_MIGRATE_LIVE
    | libvirt.VIR_MIGRATE_PERSIST_DEST
    | libvirt.VIR_MIGRATE_NON_SHARED_INC  # its own part of the disk goes with it
    | libvirt.VIR_MIGRATE_AUTO_CONVERGE  # one that writes faster than the network is slowed down
)


def whose(here: str, there: str) -> str:
    """Which host has a seat, `source` or `target`, by what each says of it; "" while it is on its way.

    Each is "" (unknown there), `coming`, `off`, `running` or `paused`.
    """
    if there in ("", "coming"):
        return "source"
    if there == "paused":
        return ""
    return "source" if (here, there) == ("running", "off") else "target"


async def seen(host: Host, identity: str) -> str:
    """What a host says of a seat; see `whose`."""

    def work(connection: Any) -> str:
        with suppress_code(libvirt.VIR_ERR_NO_DOMAIN):
            guest = connection.lookupByUUIDString(identity)
            state = STATES.get(guest.state()[0], "off")
            flags = libvirt.VIR_DOMAIN_XML_INACTIVE if state == "off" else 0
            label = describe.Label.of(describe.tree(guest, flags))
            return "coming" if label is not None and label.coming else state
        return ""

    return await host.link("say whether it has a seat", work)


async def move(
    source: Host, target: Host, machine: Machine, *, tell: Tell = nothing, plain: bool = False
) -> Machine:
    """The seat as it is on the other host then; when that fails it is as before where it was.

    `plain`: memory and disk of one that runs are not encrypted on their way.
    """
    turn = disks.alone(source, machine.name)  # nobody else copies or replaces its disk meanwhile
    await asyncio.to_thread(turn.__enter__)
    try:
        return await _move(source, target, machine, tell, plain)
    finally:
        turn.__exit__(None, None, None)


async def _move(source: Host, target: Host, machine: Machine, tell: Tell, plain: bool) -> Machine:
    here, there = await settled(source, target, machine)
    if whose(here, there) == "source":
        if there:
            await _remove_half(target, machine)
        if here == "paused":
            await source.link("go on", lambda c: c.lookupByUUIDString(machine.identity).resume())
        now = await machines.get(source, machine.name)
        machine = await machines.relabel(source, now, going=target.name)
        try:
            if machine.running:
                await _live(source, target, machine, tell, plain)
            else:
                await _copied(source, target, machine, tell)
        except BaseException:
            with suppress(LabError):
                await stay(source, target, machine)
            raise
    moved = await _at(target, machine)
    if moved.running:
        tell(f"{moved.name}: connecting it on {target.name}")
        await connect(target, moved)
        await machines.limit(target, moved)
    return moved


async def forget(source: Host, machine: Machine) -> None:
    """Clear away what is left of a seat where it was. Its definition goes last: it says what the rest is."""

    def work(connection: Any) -> None:
        with suppress_code(libvirt.VIR_ERR_NO_DOMAIN):
            guest = connection.lookupByUUIDString(machine.identity)
            if STATES.get(guest.state()[0]) == "running":
                raise MachineError(f"{machine.name} runs on {source.name}.", do="Move it first.")
            if guest.isActive():  # paused at the end of its way: the other one runs
                guest.destroy()
            for volume in machines.volumes(source, connection, machine.name):
                volume.delete()
            discard(guest)

    await source.link(f"clear away {machine.name}", work, 120)


async def settled(source: Host, target: Host, machine: Machine) -> tuple[str, str]:
    """What both hosts say, once that is clear."""
    end = asyncio.get_running_loop().time() + SETTLED
    while True:
        states = await asyncio.gather(seen(source, machine.identity), seen(target, machine.identity))
        if whose(*states):
            return states
        if asyncio.get_running_loop().time() > end:
            raise MachineError(
                f"{machine.name} is on its way from {source.name} to {target.name} already.",
                do="Is `lab classroom evacuate` running somewhere else? Wait for it, and run it again.",
            )
        await asyncio.sleep(1)


async def _at(host: Host, machine: Machine) -> Machine:
    found = [one for one in await machines.everyone(host) if one.identity == machine.identity]
    if not found:
        raise MachineError(f"{machine.name} did not arrive on {host.name}.", do="Run it again.")
    return found[0]


async def stay(source: Host, target: Host, machine: Machine) -> None:
    """Undo what was begun of a move that did not come to its end."""
    here, there = await settled(source, target, machine)
    if whose(here, there) == "source":
        if there:
            await _remove_half(target, machine)
        if here == "paused":
            await source.link("go on", lambda c: c.lookupByUUIDString(machine.identity).resume())
        await machines.relabel(source, machine, going="")


async def _remove_half(target: Host, machine: Machine) -> None:
    name = await target.link("name it", lambda c: c.lookupByUUIDString(machine.identity).name())
    await machines.remove(target, name)


# --- the two ways -----------------------------------------------------------------------------------------
async def _copied(source: Host, target: Host, machine: Machine, tell: Tell) -> None:
    tell(f"{machine.name}: copying its disk to {target.name}")
    half = await begin(source, target, machine)
    await copy(source, target, machine.disk.rpartition("/")[2], half.disk.rpartition("/")[2])
    await target.link("take it", lambda connection: machines.define(target, connection, whole(half)))


async def _live(source: Host, target: Host, machine: Machine, tell: Tell, plain: bool) -> None:
    flags = FLAGS if plain else FLAGS | libvirt.VIR_MIGRATE_TLS
    way = _way(target)
    if machine.disk.endswith(disks.LIVE):
        raise MachineError(
            f"The disk of {machine.name} is in two parts since a snapshot that was broken off.",
            do=f"Take another snapshot of {machine.owner}, which puts them together, and run it again.",
        )
    half = await begin(source, target, machine)
    there = await target.link("take a connection", lambda connection: connection)

    kept = machines.description(target, whole(half))

    def work(connection: Any) -> None:
        guest = connection.lookupByUUIDString(machine.identity)
        # libvirt renames it by DEST_NAME only; both descriptions have to say the old name.
        parameters = way | {
            libvirt.VIR_MIGRATE_PARAM_DEST_NAME: half.name,
            libvirt.VIR_MIGRATE_PARAM_DEST_XML: _arriving(guest, target, half),
            libvirt.VIR_MIGRATE_PARAM_PERSIST_XML: kept.replace(half.name, guest.name(), 1),
        }
        guest.migrate3(there, parameters, flags)

    def stop(connection: Any) -> None:
        with suppress(libvirt.libvirtError):
            connection.lookupByUUIDString(machine.identity).abortJob()

    tell(f"{machine.name}: moving to {target.name} while it runs")
    try:
        await source.link(f"move {machine.name} to {target.name}", work, COPYING)
    except asyncio.CancelledError:
        await source.link("stop moving", stop)
        raise
    except Refused as error:
        if not plain and any(word in error.message for word in ENCRYPTION):
            error.do = (
                "Give both hosts certificates for moving (docs/instructors.md says how); or say --plain, "
                "where the network among the hosts is their own."
            )
        raise


def _way(target: Host) -> dict[str, Any]:
    """Where the other hosts find it; there only it listens, as long as this takes."""
    address = target.site.peer or urlsplit(target.site.uri).hostname or ""
    if not address:
        raise MachineError(
            f"The other KVM hosts do not know where {target.name} is.",
            do="Give it `ansible_host`, its address among them, in hosts.yml.",
        )
    found = {libvirt.VIR_MIGRATE_PARAM_URI: f"tcp://{f'[{address}]' if ':' in address else address}"}
    with suppress(ValueError):  # a name: the host itself knows what it listens on
        found[libvirt.VIR_MIGRATE_PARAM_LISTEN_ADDRESS] = str(ip_address(address))
    return found


def _arriving(guest: Any, target: Host, half: Machine) -> str:
    """The running guest on the other host's disk. It keeps its card, which the guest would miss, for now."""
    tree = describe.tree(guest, libvirt.VIR_DOMAIN_XML_MIGRATABLE | libvirt.VIR_DOMAIN_XML_SECURE)
    describe.rename(tree, name=guest.name(), disk=half.disk, label=whole(half).label)
    for tag in ("memtune", "cputune"):  # limits are set again there, as far as that host can keep them
        for old in tree.findall(tag):
            tree.remove(old)
    for card in tree.findall("devices/interface"):
        for part in ("target", "bandwidth"):
            for old in card.findall(part):
                card.remove(old)
        for place in card.findall("source"):
            place.attrib.clear()
            place.set("network", target.plan.name)
    return ET.tostring(tree, encoding="unicode")
