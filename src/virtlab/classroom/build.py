"""A class's KVM hosts, brought to where seats can start: all at once, and one that fails stops no other."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from virtlab.classroom.image import Image
from virtlab.errors import LabError, MachineError
from virtlab.hub import machines, placement, seats, warm
from virtlab.hub.hosts import Host
from virtlab.hub.machines import Machine

LOOK = 15.0  # seconds a host may take to say what it has
HALF_MADE = 90.0  # seconds after which a seat that nobody completes counts as left over


@dataclass
class Progress:
    """What was done, told line by line as it happens, and what went wrong."""

    tell: Callable[[str], None]
    changed: int = 0
    problems: list[tuple[str, LabError]] = field(default_factory=list)

    def failed(self, where: str, error: LabError) -> None:
        self.problems.append((where, error))
        self.tell(f"{where}: FAILED: {error.message} {error.do}")


Step = Callable[[Host], Awaitable[None]]


async def each(hosts: Iterable[Host], step: Step, progress: Progress) -> list[Host]:
    """Those it went well with."""

    async def one(host: Host) -> Host | None:
        try:
            await step(host)
        except LabError as error:
            progress.failed(host.name, error)
            return None
        except Exception as error:  # of one host, whatever it is
            said = " ".join(f"{type(error).__name__}: {error}".split())
            progress.failed(host.name, MachineError(f"{said}.", do="Look at that host, then run this again."))
            return None
        return host

    return [host for host in await asyncio.gather(*map(one, hosts)) if host]


async def rooms(hosts: Iterable[Host]) -> dict[str, placement.Host]:
    """What those hosts still have that carry seats of this class already."""

    async def ask(host: Host) -> placement.Host:
        async with asyncio.timeout(LOOK):
            return await host.look()

    answers = await asyncio.gather(*map(ask, hosts), return_exceptions=True)
    return {one.name: one for one in answers if isinstance(one, placement.Host)}


def ready(image: Image, want_template: bool, progress: Progress) -> Step:
    """Network, filter, pool and image; then a template, without which seats boot cold."""

    async def step(host: Host) -> None:
        if not await _is_laid(host):
            await host.prepare()
            progress.changed += 1
            progress.tell(f"{host.name}: network {host.site.subnet}, filter and pool are made")
        else:
            await host.prepare()  # as the plan is today
        if not await host.has_image():
            progress.tell(f"{host.name}: sending the image")
            await host.send_image(image.file, image.digest, tell=progress.tell)
            progress.changed += 1
            progress.tell(f"{host.name}: the image is there, and its digest is right")
        if want_template and await warm.find(host) is None:
            await _template(host, progress)
        else:
            progress.tell(f"{host.name}: ready")

    return step


async def _template(host: Host, progress: Progress) -> None:
    began = time.monotonic()
    try:
        await warm.make(host, tell=progress.tell)
    except LabError as error:
        progress.failed(host.name, error)
        progress.tell(f"{host.name}: ready, but seats boot cold there")
    else:
        progress.changed += 1
        progress.tell(f"{host.name}: ready; the template took {time.monotonic() - began:.0f} s")


async def _is_laid(host: Host) -> bool:
    plan = host.plan

    def work(connection: Any) -> bool:
        pools = {one.name() for one in connection.listAllStoragePools() if one.isActive()}
        networks = {one.name() for one in connection.listAllNetworks() if one.isActive()}
        filters = {one.name() for one in connection.listAllNWFilters()}
        return plan.pool in pools and plan.name in networks and plan.filter in filters

    return await host.link("say what it has of the class", work)


def warmed(count: int, progress: Progress) -> Step:
    """So many seats awake, for whoever comes first."""

    async def step(host: Host) -> None:
        await _clear(host, progress)
        pool = warm.Pool(host, seats.wake)
        before = len(await pool.waiting())
        have = await pool.fill(count, tell=progress.tell)
        progress.changed += max(0, have - before)
        if have < count and await warm.find(host):
            progress.tell(f"{host.name}: {have} of {count} seats are warm; there is no room for more")

    return step


def _half(found: Iterable[Machine]) -> set[str]:
    """Nobody's, and off or never told who they are: being made, or left over from somebody who was killed."""
    return {one.name for one in found if not one.owner and not (one.running and one.label.host_key)}


async def _clear(host: Host, progress: Progress) -> None:
    """Remove what was left over. The hub may be making some too, so they get the time that takes."""
    half, end = _half(await machines.everyone(host)), time.monotonic() + HALF_MADE
    while half and time.monotonic() < end:
        await asyncio.sleep(2)
        half &= _half(await machines.everyone(host))
    for name in sorted(half):
        await machines.remove(host, name)
        progress.changed += 1
        progress.tell(f"{host.name}: {name} was never finished and is removed")
