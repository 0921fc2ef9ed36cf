"""All the KVM hosts of a plan: where somebody's machine is, where there is room, who waits for it."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from virtlab.errors import MachineError
from virtlab.hub import machines, placement, seats, warm
from virtlab.hub.hosts import Host
from virtlab.hub.link import HostDown
from virtlab.hub.machines import Machine
from virtlab.hub.placement import SeatSize
from virtlab.hub.plan import Plan, Site
from virtlab.hub.queue import Queue

LOOK = 15.0  # seconds a host may take to say what it has, before it counts as away
ASK_AGAIN = 3.0  # seconds between two looks of somebody who waits in the queue
Choose = Callable[[Iterable[placement.Host], SeatSize], placement.Host | None]
log = logging.getLogger(__name__)


class Full(MachineError):
    """No place came free in time."""


@dataclass(frozen=True)
class Found:
    """Where somebody's machine is, if it is anywhere, and which hosts could not be asked."""

    host: Host | None
    machine: Machine | None
    away: frozenset[str]


class Places:
    def __init__(
        self,
        plan: Plan,
        sites: Iterable[Site],
        *,
        choose: Choose = placement.choose,
        queue: Queue | None = None,
    ) -> None:
        self.plan = plan
        self.hosts = {site.name: Host(plan, site) for site in sites}
        self.pools = {name: warm.Pool(host, seats.wake) for name, host in self.hosts.items()}
        self.queue = Queue() if queue is None else queue  # an empty one is false
        self._choose = choose
        self._coming = Counter[str]()
        self._deciding = asyncio.Lock()  # from the look to the promise: many log in in the same second

    async def find(self, owner: str, home: str = "") -> Found:
        """The machine of somebody.

        There are two when a host came back from the dead: that at `home`, where they went on, counts, and the
        other is set aside. One that is being moved is known on both hosts: it is where it runs.
        """

        async def ask(host: Host) -> Machine | None:
            async with asyncio.timeout(LOOK):
                return await machines.of(host, owner)

        answers = await asyncio.gather(*map(ask, self.hosts.values()), return_exceptions=True)
        away, have = set[str](), dict[str, Machine]()
        for name, answer in zip(self.hosts, answers, strict=True):
            if isinstance(answer, Machine):
                have[name] = answer
            elif isinstance(answer, HostDown | TimeoutError):
                log.warning("%s does not answer: %s", name, answer)
                away.add(name)
            elif isinstance(answer, BaseException):
                raise answer
        if not have:
            return Found(None, None, frozenset(away))
        at = home if home in have else next(iter(have))
        if not have[at].running:
            same = (name for name, one in have.items() if one.running and one.identity == have[at].identity)
            at = next(same, at)
        for name, old in have.items():
            if name != at and old.identity != have[at].identity:  # the same one is just being moved
                log.warning("%s has an older machine %s of %s: it is set aside", name, old.name, owner)
                await seats.set_aside(self.hosts[name], old)
        return Found(self.hosts[at], have[at], frozenset(away))

    async def room(
        self, owner: str, without: Iterable[str], minutes: float, waits: Callable[[int], Any]
    ) -> Host:
        """A host with a warm machine or with room for one; until there is one, a place in the queue.

        `waits` is told the place. Who was given room has to say `arrived` in the end.
        """
        left_out = set(without)
        hosts = {name: host for name, host in self.hosts.items() if name not in left_out}
        return await self._wait(owner, hosts, minutes, waits, False)

    async def room_at(self, owner: str, host: Host, minutes: float, waits: Callable[[int], Any]) -> Host:
        """Room on this host for a machine that was off; a warm one that nobody has yet gives way to it."""
        return await self._wait(owner, {host.name: host}, minutes, waits, True)

    async def _wait(
        self, owner: str, hosts: Mapping[str, Host], minutes: float, waits: Callable[[int], Any], own: bool
    ) -> Host:
        end = asyncio.get_running_loop().time() + minutes * 60
        told = 0
        try:
            while asyncio.get_running_loop().time() < end:
                async with self._deciding:
                    place, host = await self._ask(owner, hosts, own)
                if host:
                    return host
                if place and place != told:
                    waits(told := place)
                await asyncio.sleep(ASK_AGAIN)
        except asyncio.CancelledError:
            raise  # the hub stops, and the place is kept; the queue forgets whoever does not come back
        except BaseException:
            self.queue.leave(owner)
            raise
        self.queue.leave(owner)
        raise Full(
            f"All places are taken, and none came free within {minutes:g} minutes.",
            do="Try again later, stop machines that nobody uses, or add a KVM host.",
        )

    async def _ask(self, owner: str, hosts: Mapping[str, Host], own: bool) -> tuple[int, Host | None]:
        """The place in the queue, or a host."""
        looks = await self._looks(hosts)
        if own and looks and looks[0].closed:
            raise MachineError(
                f"{looks[0].name} is being emptied, and your machine moves to another computer.",
                do="Try again in a minute.",
            )
        looks = [look for look in looks if not look.closed]
        ready = [hosts[look.name] for look in looks if await self.pools[look.name].waiting()]
        place = self.queue.admit(owner, len(ready) + sum(look.room(self.plan.size) for look in looks))
        if place or not (host := await self._take(hosts, looks, ready, own)):
            return place, None
        self.coming(host)
        return 0, host

    async def _take(
        self, hosts: Mapping[str, Host], looks: list[placement.Host], ready: list[Host], own: bool
    ) -> Host | None:
        if ready and not own:
            return ready[0]
        if chosen := self._choose(looks, self.plan.size):
            return hosts[chosen.name]
        if ready:
            await self.pools[ready[0].name].give_way()
            return ready[0]
        return None

    async def _looks(self, hosts: Mapping[str, Host]) -> list[placement.Host]:
        """What there is on each host that answers, less what is promised to those on the way."""
        answers = await asyncio.gather(*(host.look() for host in hosts.values()), return_exceptions=True)
        return [
            answer.with_seats(self._coming[answer.name], self.plan.size)
            for answer in answers
            if isinstance(answer, placement.Host)
        ]

    def coming(self, host: Host) -> None:
        self._coming[host.name] += 1

    def arrived(self, host: Host) -> None:
        """The machine exists and counts by itself, or there will be none."""
        self._coming[host.name] -= 1
