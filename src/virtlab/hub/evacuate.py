"""Emptying a KVM host: it takes no more seats, and those it has go to the others, as far as there is room."""

from __future__ import annotations

import asyncio
import logging
import xml.etree.ElementTree as ET
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from virtlab.errors import LabError, MachineError, UsageError
from virtlab.hub import machines, move, placement
from virtlab.hub.hosts import Host, Tell, nothing
from virtlab.hub.link import HostDown
from virtlab.hub.machines import Machine
from virtlab.hub.placement import SeatSize

log = logging.getLogger(__name__)
Moved = Callable[[Machine], Awaitable[None]]  # tells the hub where a seat that runs is now


@dataclass(frozen=True)
class Peer:
    """A host that seats may go to: how much room it has, and which processor its guests see."""

    look: placement.Host
    processor: str


@dataclass(frozen=True)
class How:
    """What whoever empties a host has to say about it."""

    tell: Tell = nothing  # progress
    moved: Moved | None = None
    plain: bool = False  # what runs is not encrypted on its way


@dataclass(frozen=True)
class Left:
    """A seat that stays, and why."""

    machine: Machine
    why: str


@dataclass
class Report:
    moved: list[tuple[Machine, Machine]] = field(default_factory=list)  # before, after
    left: list[Left] = field(default_factory=list)
    silent: list[str] = field(default_factory=list)  # hosts that were not asked, because they do not answer


def assign(
    seats: Iterable[Machine], processor: str, peers: Sequence[Peer], size: SeatSize
) -> list[tuple[Machine, str, str]]:
    """Each seat with the host it goes to, or "" and why it stays. Those that run come first.

    One that runs needs the same processor there; one that is off only room for its disk.
    """
    room, found = {one.look.name: one.look for one in peers if not one.look.closed}, []
    alike = {one.look.name for one in peers if one.processor == processor}
    for seat in sorted(seats, key=lambda one: (not one.running, one.name)):
        if seat.running:
            fit = placement.choose((look for name, look in room.items() if name in alike), size)
        else:
            roomy = [one for one in room.values() if one.disk_free_mb - one.disk_reserve_mb >= size.disk_mb]
            fit = max(roomy, key=lambda one: (one.disk_free_mb, one.name), default=None)
        if fit is None:
            found.append((seat, "", _why(seat, room, alike)))
            continue
        after = fit.with_seats(1, size)
        room[fit.name] = after if seat.running else replace(fit, disk_free_mb=after.disk_free_mb)
        found.append((seat, fit.name, ""))
    return found


def _why(seat: Machine, room: Mapping[str, placement.Host], alike: set[str]) -> str:
    if not room:
        return "there is no other host that takes seats"
    if seat.running and not alike & room.keys():
        return "no other host has the same processor: it can move once it is off"
    return "no other host has room for it" if seat.running else "no other host has room for its disk"


async def evacuate(hosts: Mapping[str, Host], name: str, how: How) -> Report:
    """Close a host and move everything that is somebody's away. Run again, it goes on where it was."""
    source, others = _one(hosts, name), {key: host for key, host in hosts.items() if key != name}
    await source.close()
    report, peers = Report(), await _peers(others)
    report.silent = sorted(others.keys() - {one.look.name for one in peers})
    processor = await _processor(source)
    done: set[str] = set()
    while seats := [one for one in await machines.everyone(source) if one.identity not in done]:
        for seat in seats:
            done.add(seat.identity)
            if not seat.owner:  # a warm one that nobody has yet
                await machines.remove(source, seat)
        for seat, *_ in assign([one for one in seats if one.owner], processor, peers, source.plan.size):
            try:
                if not (there := await _begun(source, hosts, seat)):
                    peers = await _peers(others)  # as they are by now
                    [(_, there, why)] = assign([seat], processor, peers, source.plan.size)
                if there:
                    report.moved.append((seat, await _away(source, hosts[there], seat, how)))
                else:
                    report.left.append(Left(seat, why))
            except LabError as error:
                log.warning("%s stays on %s: %s %s", seat.name, name, error.message, error.do)
                report.left.append(Left(seat, f"{error.message} {error.do}".strip()))
    return report


async def reopen(hosts: Mapping[str, Host], name: str, how: How) -> Report:
    """Take seats again. What an evacuation that was killed left half done is brought to an end before."""
    source, report = _one(hosts, name), Report()
    for seat in await machines.everyone(source):
        try:
            if there := await _begun(source, hosts, seat):
                report.moved.append((seat, await _away(source, hosts[there], seat, how)))
        except LabError as error:
            report.left.append(Left(seat, f"{error.message} {error.do}".strip()))
    if report.left:
        raise MachineError(
            f"{name} stays closed: where the machine of {report.left[0].machine.owner} is now is not clear. "
            f"{report.left[0].why}",
            do="Run it again once that is mended.",
        )
    await source.open()
    return report


async def _begun(source: Host, hosts: Mapping[str, Host], seat: Machine) -> str:
    """The host that has a seat already whose move was broken off at its end; "" when it is here."""
    going = seat.label.going
    if not going:
        return ""
    if going not in hosts:
        raise MachineError(
            f"{seat.name} was on its way to {going}, which the class has no more.",
            do="Put that host into hosts.yml again, and `lab classroom up`.",
        )
    if move.whose(*await move.settled(source, hosts[going], seat)) == "target":
        return going
    await move.stay(source, hosts[going], seat)
    return ""


async def _away(source: Host, target: Host, seat: Machine, how: How) -> Machine:
    """Moved, told, cleared: in this order, so that there is always somewhere to go on from."""
    there = await move.move(source, target, seat, tell=how.tell, plain=how.plain)
    if how.moved is not None and there.running:
        await how.moved(there)
    await move.forget(source, seat)
    how.tell(f"{seat.owner}: {source.name} {seat.name} → {target.name} {there.name}")
    return there


def _one(hosts: Mapping[str, Host], name: str) -> Host:
    if name not in hosts:
        raise UsageError(f"The class has no KVM host {name}.", do=f"It has {', '.join(sorted(hosts))}.")
    return hosts[name]


async def _peers(hosts: Mapping[str, Host]) -> list[Peer]:
    async def ask(host: Host) -> Peer | None:
        try:
            look = await host.look()
            if not await host.has_image():
                look = replace(look, closed=True)
            return Peer(look, await _processor(host))
        except HostDown:
            return None

    return [one for one in await asyncio.gather(*map(ask, hosts.values())) if one is not None]


async def _processor(host: Host) -> str:
    """What guests see: a running one moves only where that is the same."""
    site = host.site
    if site.cpu or site.emulated:
        return f"{'emulated' if site.emulated else 'kvm'} {site.cpu}"

    def work(connection: Any) -> str:
        cpu = ET.fromstring(connection.getCapabilities()).find("host/cpu")  # noqa: S314  (libvirt's own words)
        return "" if cpu is None else f"{cpu.findtext('vendor')} {cpu.findtext('model')}"

    return await host.link("say which processor it has", work)
