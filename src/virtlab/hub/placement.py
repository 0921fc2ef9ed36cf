"""Which KVM host the next seat goes to. Plain values and arithmetic: who asks the hosts fills them in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

QEMU_MB = 224  # what QEMU takes beside its guest's memory; 203 measured under emulation, 128 of it code


@dataclass(frozen=True)
class SeatSize:
    memory_mb: int
    vcpus: int
    disk_mb: int
    sharing: float = 4.0  # virtual processors that share one of the host's; half as many under emulation

    @property
    def host_mb(self) -> int:
        """What one seat may take of its host's memory."""
        return self.memory_mb + QEMU_MB


@dataclass(frozen=True)
class Host:
    """One look at a host. A host that cannot be asked is not in the list."""

    name: str
    uri: str
    memory_mb: int
    free_mb: int  # available, less what seats were promised and have not touched yet
    disk_free_mb: int  # where the disks are; likewise less what disks may still grow
    cpus: int
    load: float  # processes that want to run, averaged over a minute
    seats: int  # that run now
    emulated: bool = False
    closed: bool = False  # takes no more seats: it is being emptied

    @property
    def reserve_mb(self) -> int:
        """Stays free, for the host itself and its page cache."""
        return min(max(self.memory_mb // 16, 512), 4096)

    @property
    def disk_reserve_mb(self) -> int:
        """Stays free: a full file system stops every guest on it."""
        return 2048

    def slots(self, seat: SeatSize) -> float:
        """Virtual processors this host carries."""
        return self.cpus * seat.sharing / (2 if self.emulated else 1)

    def limits(self, seat: SeatSize) -> dict[str, int]:
        """How many more seats fit, by each thing that can run out."""
        return {
            "memory": (self.free_mb - self.reserve_mb) // seat.host_mb,
            "disk": (self.disk_free_mb - self.disk_reserve_mb) // seat.disk_mb,
            "processors": int(self.slots(seat) // seat.vcpus) - self.seats,
        }

    def room(self, seat: SeatSize) -> int:
        """How many more seats fit. It may be a host that carries too much already: then none."""
        if self.closed:
            return 0
        return max(0, min(self.limits(seat).values()))

    def with_seats(self, count: int, seat: SeatSize) -> Host:
        """The same host once `count` more seats run there: for seats that are on their way."""
        return replace(
            self,
            free_mb=self.free_mb - count * seat.host_mb,
            disk_free_mb=self.disk_free_mb - count * seat.disk_mb,
            seats=self.seats + count,
        )


def choose(hosts: Iterable[Host], seat: SeatSize) -> Host | None:
    """The host that stays the emptiest with one more seat; None when it fits nowhere: then it has to wait."""
    able = [host for host in hosts if host.room(seat)]
    return min(able, key=lambda host: (-_ease(host, seat), host.seats, host.name), default=None)


def _ease(host: Host, seat: SeatSize) -> float:
    """What is left of the scarcer of memory and processors, in parts of the whole; half on a busy host."""
    after = host.with_seats(1, seat)
    memory = after.free_mb / host.memory_mb
    processors = 1 - after.seats * seat.vcpus / host.slots(seat)
    return min(memory, processors) * (1 - min(host.load / host.cpus, 1) / 2)
