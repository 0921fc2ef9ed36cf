"""How many seats fit, what limits, and what to change for more. The figures come from `placement` itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from virtlab.hub.placement import Host, SeatSize

SMALLEST_MB = 768  # below, JupyterLab and Docker together have no air


@dataclass(frozen=True)
class Room:
    """What one host still takes."""

    host: str
    running: int
    more: int
    limits: Mapping[str, int]  # how many more, by memory, disk, processors

    @property
    def limit(self) -> str:
        return min(self.limits, key=lambda name: self.limits[name])


@dataclass(frozen=True)
class Change:
    """Something to change, and how many seats fit in all once it is done."""

    what: str
    seats: int


@dataclass(frozen=True)
class Capacity:
    rooms: tuple[Room, ...]
    wanted: int
    changes: tuple[Change, ...]

    @property
    def running(self) -> int:
        return sum(room.running for room in self.rooms)

    @property
    def seats(self) -> int:
        """In all, with those that run."""
        return sum(room.running + room.more for room in self.rooms)

    @property
    def waiting(self) -> int:
        """Students who would have to wait if all came at once."""
        return max(0, self.wanted - self.seats)

    def as_dict(self) -> dict[str, Any]:
        return {
            "seats": self.seats,
            "running": self.running,
            "wanted": self.wanted,
            "waiting": self.waiting,
            "hosts": [
                {"host": one.host, "running": one.running, "more": one.more, "limit": one.limit,
                 "limits": dict(one.limits)}
                for one in self.rooms
            ],
            "changes": [{"what": one.what, "seats": one.seats} for one in self.changes],
        }  # fmt: skip


def capacity(
    hosts: Sequence[Host], seat: SeatSize, wanted: int = 0, smallest_mb: int = SMALLEST_MB
) -> Capacity:
    """`wanted`: for how many it should be enough; what to change is told only when it is not.

    `smallest_mb`: the least memory with which a seat still does what it is for.
    """
    rooms = tuple(Room(host.name, host.seats, host.room(seat), host.limits(seat)) for host in hosts)
    found = Capacity(rooms, wanted, ())
    if not found.waiting:
        return found
    return replace(found, changes=tuple(_changes(hosts, seat, wanted, smallest_mb)))


def total(hosts: Sequence[Host], seat: SeatSize) -> int:
    return sum(host.seats + host.room(seat) for host in hosts)


Try = tuple[str, Sequence[Host], SeatSize]


def _changes(hosts: Sequence[Host], seat: SeatSize, wanted: int, smallest: int) -> Iterator[Change]:
    """Of each way the smallest step that is enough; or as far as it goes, if that helps at all."""
    ways = [_smaller(hosts, seat, smallest), _fewer_vcpus(hosts, seat), _denser(hosts, seat)]
    alone = [change for way in ways if (change := _best(way, hosts, seat, wanted))]
    yield from alone
    lean = _best(_leaner(hosts, seat, smallest), hosts, seat, wanted)
    most = max((change.seats for change in alone), default=0)
    if lean and most < min(lean.seats, wanted):
        yield lean
    more = [_memory(hosts, seat), _disk(hosts, seat), _more_hosts(hosts, seat, wanted)]
    yield from (change for way in more if (change := _best(way, hosts, seat, wanted)))


def _best(way: Iterator[Try], hosts: Sequence[Host], seat: SeatSize, wanted: int) -> Change | None:
    best, most = None, total(hosts, seat)
    for what, changed, size in way:
        if (seats := total(changed, size)) > most:
            best, most = Change(what, seats), seats
        if seats >= wanted:
            break
    return best


def _smaller(hosts: Sequence[Host], seat: SeatSize, smallest: int) -> Iterator[Try]:
    for memory in range(seat.memory_mb - 256, smallest - 1, -256):
        yield f"seats of {memory} MiB instead of {seat.memory_mb}", hosts, replace(seat, memory_mb=memory)


def _fewer_vcpus(hosts: Sequence[Host], seat: SeatSize) -> Iterator[Try]:
    for vcpus in range(seat.vcpus - 1, 0, -1):
        said = f"seats of {_several(vcpus, 'processor')} instead of {seat.vcpus}"
        yield said, hosts, replace(seat, vcpus=vcpus)


def _leaner(hosts: Sequence[Host], seat: SeatSize, smallest: int) -> Iterator[Try]:
    """Smaller in both, when neither alone is enough."""
    if seat.vcpus == 1:
        return
    for memory in range(seat.memory_mb - 256, smallest - 1, -256):
        size = replace(seat, memory_mb=memory, vcpus=seat.vcpus - 1)
        yield f"seats of {memory} MiB and {_several(size.vcpus, 'processor')}", hosts, size


def _denser(hosts: Sequence[Host], seat: SeatSize) -> Iterator[Try]:
    for sharing in (1.5 * seat.sharing, 2 * seat.sharing):
        said = f"sharing {sharing:g} instead of {seat.sharing:g}: slower while all are at work"
        yield said, hosts, replace(seat, sharing=sharing)


def _memory(hosts: Sequence[Host], seat: SeatSize) -> Iterator[Try]:
    short = {host.name for host in hosts if Room("", 0, 0, host.limits(seat)).limit == "memory"}
    for more in (4, 8, 16, 32, 64, 128, 256) if short else ():
        added = [
            replace(host, memory_mb=host.memory_mb + more * 1024, free_mb=host.free_mb + more * 1024)
            if host.name in short else host for host in hosts
        ]  # fmt: skip
        yield f"{more} GiB more memory in {_names(short)}", added, seat


def _disk(hosts: Sequence[Host], seat: SeatSize) -> Iterator[Try]:
    short = {host.name for host in hosts if Room("", 0, 0, host.limits(seat)).limit == "disk"}
    for more in (25, 50, 100, 200, 500, 1000, 2000) if short else ():
        added = [
            replace(host, disk_free_mb=host.disk_free_mb + more * 1024) if host.name in short else host
            for host in hosts
        ]
        yield f"{more} GiB more free disk on {_names(short)}", added, seat


def _more_hosts(hosts: Sequence[Host], seat: SeatSize, wanted: int) -> Iterator[Try]:
    """Like the one that carries most, with nothing else on it."""
    if not hosts:
        return
    best = max(hosts, key=lambda host: host.seats + host.room(seat))
    free = best.memory_mb - best.memory_mb // 16
    disk = best.disk_free_mb + best.seats * seat.disk_mb
    new = replace(best, free_mb=free, disk_free_mb=disk, load=0.0, seats=0)
    for count in range(1, wanted + 1):
        yield f"{_several(count, 'more host')} like {best.name}", [*hosts, *[new] * count], seat
        if not new.room(seat):
            return


def _several(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _names(hosts: set[str], most: int = 3) -> str:
    names = sorted(hosts)
    return ", ".join(names) if len(names) <= most else f"each of {len(names)} hosts"
