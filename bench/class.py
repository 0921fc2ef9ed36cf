#!/usr/bin/env python3
"""A class on paper: 30 and 300 seats on 1 to 20 hosts, with the hub's own placement, capacity and queue.

Time and hosts are simulated; who goes where, and who waits, is decided by the code that a real hub runs.
All but the time of a decision is the same at every run. `--help` has the assumptions, to be changed.
"""

from __future__ import annotations

import argparse
import heapq
import json
import random
import statistics
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from virtlab.hub.capacity import capacity
from virtlab.hub.placement import Host, SeatSize, choose
from virtlab.hub.queue import Queue

ASKS = 5.0  # seconds after which a waiting student's page asks again


@dataclass
class Machine:
    """A host as time goes by: seats that run, and starts that share its processors."""

    host: Host
    is_up: bool = True
    starting: dict[str, float] = field(default_factory=dict)  # processor seconds that each start still takes

    def work(self, seconds: float) -> list[str]:
        """Let time pass; names of the seats that became ready."""
        share = seconds * min(1.0, self.host.cpus / max(1, len(self.starting)))
        for name in self.starting:
            self.starting[name] -= share
        ready = [name for name, left in self.starting.items() if left <= 0]
        for name in ready:
            del self.starting[name]
        return ready

    def seen(self) -> Host:
        return replace(self.host, load=float(len(self.starting)) + 0.1 * self.host.seats)


class Class:
    """Students log in, each asks for a seat, and asks again every few seconds while there is none."""

    def __init__(self, options: argparse.Namespace, students: int, hosts: int, start: float) -> None:
        self.seat = SeatSize(options.seat_mb, options.vcpus, options.disk_mb)
        self.start = start
        memory, disk = options.host_gib * 1024, options.host_disk_gib * 1024
        free = memory * 15 // 16  # the rest is the host's own
        names = [f"host{number:02}" for number in range(hosts)]
        self.machines = {
            name: Machine(Host(name, "", memory, free, disk, options.cpus, 0.0, 0)) for name in names
        }
        draw = random.Random(students)  # noqa: S311 (the same class every time)
        logs_in = (draw.triangular(0, options.arrive, options.arrive / 4) for _ in range(students))
        self.coming = sorted((at, f"s{number:03}") for number, at in enumerate(logs_in))
        self.queue = Queue()
        self.now = 0.0
        self.asked: dict[str, float] = {}
        self.where: dict[str, str] = {}
        self.waits: dict[str, float] = {}
        self.decisions: list[float] = []

    def settle(self) -> None:
        """Second by second, until nobody starts and whoever waits would wait for ever."""
        while self.coming[len(self.queue) :] or any(machine.starting for machine in self.machines.values()):
            self.now += 1.0
            for machine in self.machines.values():
                for name in machine.work(1.0):
                    self.waits[name] = self.now - self.asked[name]
            while self.coming and self.coming[0][0] <= self.now:
                _, name = heapq.heappop(self.coming)
                self.asked.setdefault(name, self.now)
                if not self.ask(name):
                    heapq.heappush(self.coming, (self.now + ASKS, name))

    def ask(self, name: str) -> bool:
        hosts = [machine.seen() for machine in self.machines.values() if machine.is_up]
        began = time.perf_counter()
        place = self.queue.admit(name, sum(host.room(self.seat) for host in hosts), self.now)
        chosen = None if place else choose(hosts, self.seat)
        self.decisions.append(time.perf_counter() - began)
        if chosen is None:
            return False
        machine = self.machines[chosen.name]
        machine.host = machine.host.with_seats(1, self.seat)
        machine.starting[name] = self.start
        self.where[name] = chosen.name
        return True

    def lose(self, host: str) -> int:
        """The host dies. Everybody there asks again, for a start elsewhere."""
        self.machines[host].is_up = False
        lost = [name for name, where in self.where.items() if where == host]
        for name in lost:
            self.asked[name] = self.now
            heapq.heappush(self.coming, (self.now, name))
        return len(lost)

    def seats(self) -> list[int]:
        return [machine.host.seats for machine in self.machines.values()]


def figures(options: argparse.Namespace, students: int, hosts: int) -> dict[str, object]:
    ready = {}
    for how, start in (("warm", options.warm), ("cold", options.cold)):
        one = Class(options, students, hosts, start)
        one.settle()
        ready[how] = max(one.waits.values(), default=0.0)
    spread, waiting = max(one.seats()) - min(one.seats()), len(one.queue)
    moved = one.lose("host00")
    one.waits.clear()
    if hosts > 1:
        one.settle()
    return {
        "students": students,
        "hosts": hosts,
        "have a seat": students - waiting,
        "wait": waiting,
        "longest start, warm": f"{ready['warm']:.0f} s",
        "longest start, cold": f"{ready['cold']:.0f} s",
        "fullest − emptiest": spread,
        "a host dies: lose their seat": moved,
        "of these have another": len(one.waits),
        "longest start, cold again": f"{max(one.waits.values()):.0f} s" if one.waits else "–",
        "decision": f"{1000 * statistics.median(one.decisions):.2f} ms",
    }


def sizing(options: argparse.Namespace) -> list[dict[str, object]]:
    """How many seats an empty host carries: by its memory and processors, and by the size of a seat."""
    rows = []
    for gib, cpus in ((16, 4), (32, 8), (64, 16), (128, 32), (256, 64)):
        row: dict[str, object] = {"a host with": f"{gib} GiB, {cpus} processors"}
        for memory, vcpus in ((1024, 1), (1536, 2), (2048, 2), (4096, 2)):
            free = gib * 1024 * 15 // 16
            host = Host("", "", gib * 1024, free, gib * 16 * 1024, cpus, 0.0, 0)  # disk enough
            seat = SeatSize(memory, vcpus, options.disk_mb)
            (room,) = capacity([host], seat).rooms
            row[f"{memory} MiB, {vcpus} vCPU"] = f"{room.more} ({room.limit})"
        rows.append(row)
    return rows


def main() -> int:
    shape = argparse.ArgumentDefaultsHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=shape)
    parser.add_argument("--students", type=int, nargs="+", default=[30, 300], help="sizes of the class")
    parser.add_argument("--hosts", type=int, nargs="+", default=[1, 2, 3, 5, 10, 20], help="how many hosts")
    parser.add_argument("--host-gib", type=int, default=64, help="memory of a host")
    parser.add_argument("--host-disk-gib", type=int, default=500, help="free disk of a host")
    parser.add_argument("--cpus", type=int, default=16, help="processors of a host")
    parser.add_argument("--seat-mb", type=int, default=1536, help="memory of a seat")
    parser.add_argument("--vcpus", type=int, default=2, help="processors of a seat")
    parser.add_argument("--disk-mb", type=int, default=10240, help="disk of a seat")
    parser.add_argument("--warm", type=float, default=7.0, help="processor seconds of a warm start")
    parser.add_argument("--cold", type=float, default=60.0, help="processor seconds of a cold start")
    parser.add_argument("--arrive", type=float, default=60.0, help="seconds within which the class logs in")
    parser.add_argument("--sizing", action="store_true", help="instead: how many seats a host carries")
    parser.add_argument("--json", action="store_true", help="the figures as JSON")
    options = parser.parse_args()
    classes = [(students, hosts) for students in options.students for hosts in options.hosts]
    rows = sizing(options) if options.sizing else [figures(options, *one) for one in classes]
    if options.json:
        print(json.dumps(rows, indent=2))
        return 0
    print("| " + " | ".join(rows[0]) + " |\n|" + "---|" * len(rows[0]))
    for row in rows:
        print("| " + " | ".join(str(value) for value in row.values()) + " |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
