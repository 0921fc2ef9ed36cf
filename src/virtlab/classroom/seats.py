"""The seats of the class that runs here: whose they are, where they are, and what becomes of them."""

from __future__ import annotations

import asyncio
import difflib
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from virtlab.classroom.accounts import normal
from virtlab.classroom.class_data import ClassData
from virtlab.errors import Exit, LabError, MachineError, UsageError
from virtlab.hub import machines
from virtlab.hub.hosts import Host
from virtlab.hub.link import HostDown
from virtlab.hub.machines import Machine
from virtlab.hub.places import LOOK


@dataclass(frozen=True)
class Seat:
    """Somebody's seat; without a machine they have none yet, or `wrong` says why it cannot be told."""

    id: str
    name: str
    host: Host | None = None
    machine: Machine | None = None
    wrong: LabError | None = None

    @property
    def is_on(self) -> bool:
        return self.machine is not None and self.machine.running


@dataclass(frozen=True)
class Outcome:
    """What became of one seat."""

    said: str
    state: str = "done"  # done, skipped, failed
    do: str = ""
    exit: Exit = Exit.OK
    more: Mapping[str, Any] = field(default_factory=dict)
    seat: str = ""
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        about = {"seat": self.seat, "state": self.state, "message": self.said, "do": self.do}
        return about | {"seconds": round(self.seconds, 1), **self.more}


Work = Callable[[Host, Machine], Awaitable[Outcome]]
Tell = Callable[[Outcome], None]


def chosen(data: ClassData, wanted: Iterable[str] = ()) -> dict[str, str]:
    """What those are called who were named, by id; without names all students."""
    students = data.names()
    known = students | {normal(one): one for one in data.instructors}
    ids = [normal(one) for one in wanted]
    for one in ids:
        if one not in known:
            raise _unknown(one, known)
    return {one: known[one] for one in ids} if ids else students


def _unknown(one: str, known: Mapping[str, str]) -> UsageError:
    near = difflib.get_close_matches(one, known, 5, 0.6)
    near += [id for id, name in known.items() if one and one in name.lower() and id not in near]
    if near:
        those = ", ".join(f"{id} ({known[id]})" if known[id] != id else id for id in near[:5])
        do = f"Did you mean {those}?"
    else:
        some = ", ".join(list(known)[:5])
        do = f"A seat is called by the student's id in the roster, for example {some}."
    return UsageError(f"Nobody in this class is '{one}'.", do=do)


async def find(hosts: Mapping[str, Host], names: Mapping[str, str]) -> list[Seat]:
    """The machine of each, wherever it is."""

    async def ask(host: Host) -> list[Machine]:
        async with asyncio.timeout(LOOK):
            return await machines.everyone(host)

    answers = await asyncio.gather(*map(ask, hosts.values()), return_exceptions=True)
    away: list[str] = []
    have: dict[str, list[tuple[Host, Machine]]] = {}
    for host, answer in zip(hosts.values(), answers, strict=True):
        if isinstance(answer, HostDown | TimeoutError):
            away.append(host.name)
        elif isinstance(answer, BaseException):
            raise answer
        else:
            for machine in answer:
                have.setdefault(machine.owner, []).append((host, machine))
    return [_seat(id, name, have.get(id, []), away) for id, name in names.items()]


def _seat(id: str, name: str, found: Sequence[tuple[Host, Machine]], away: Sequence[str]) -> Seat:
    if len(found) == 1:
        return Seat(id, name, *found[0])
    if found:
        where = " and ".join(host.name for host, _ in found)
        wrong = MachineError(
            f"{id} has a machine on {where}.",
            do="If it is just being moved, wait. If a host has come back, the hub sets the older machine "
            "aside when the student starts the next time.",
        )
        return Seat(id, name, wrong=wrong)
    if away:
        where = ", ".join(away)
        wrong = MachineError(f"{id} may be on {where}, which does not answer.", do="Is it switched on?")
        return Seat(id, name, wrong=wrong)
    return Seat(id, name)


async def each(seats: Iterable[Seat], work: Work, at_once: int, tell: Tell) -> list[Outcome]:
    """Work on all of them side by side; what goes wrong with one stops no other."""
    limit = asyncio.Semaphore(at_once)

    async def one(seat: Seat) -> Outcome:
        async with limit:
            began = time.monotonic()
            outcome = replace(await _outcome(seat, work), seat=seat.id, seconds=time.monotonic() - began)
        tell(outcome)
        return outcome

    return list(await asyncio.gather(*map(one, seats)))


async def _outcome(seat: Seat, work: Work) -> Outcome:
    try:
        if seat.wrong:
            raise seat.wrong
        if seat.host is None or seat.machine is None:
            return Outcome("has no machine yet", "skipped")
        return await work(seat.host, seat.machine)
    except LabError as error:
        return Outcome(error.message, "failed", error.do, error.exit)
    except Exception as error:  # a student is root inside: what the agent there answers may be anything
        said = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        return Outcome(f"Something unexpected came back: {said}.", "failed", exit=Exit.MACHINE)
