#!/usr/bin/env python3
"""Seats of a class: how soon one is ready, cold and warm, alone and three at once; what an idle one takes.

From the request to the hub until it says that JupyterLab answers. A KVM host of the tests' own (a libvirt in
namespaces), with their small disk; VIRTLAB_SEAT_IMAGE=FILE takes another, with VIRTLAB_SEAT_USER and
VIRTLAB_SEAT_PYTHON. As root, on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests/classroom"), str(ROOT / "bench")]

import seatimage  # noqa: E402
import seatlab  # noqa: E402
from classhub import ClassHub, until  # noqa: E402
from kvmhosts import KvmHost  # noqa: E402
from measure import machine, processes, pss_mib  # noqa: E402
from seathub import Student, hub_of  # noqa: E402

from virtlab.hub import machines, seats, warm  # noqa: E402
from virtlab.hub.hosts import Host  # noqa: E402

PARTS = ("cold", "warm", "three", "memory")
KSM = Path("/sys/kernel/mm/ksm")
SETTLE = 60  # seconds until a seat idles, and for the kernel to find same pages
NAMES = ("s01", "s02", "s03")
Row = tuple[str, str, str]


class Bench:
    def __init__(self, host: Host, hub: ClassHub, kvm: KvmHost) -> None:
        self.do, self.host, self.hub, self.kvm = seatlab.Loop(), host, hub, kvm
        self.cold = self.one_warm = 0.0

    def start(self, name: str) -> float:
        student = Student(self.hub, name)
        began = time.monotonic()
        said = student.start()
        seconds = time.monotonic() - began
        if not said[-1].get("ready"):
            raise SystemExit(f"{name} did not start: {said[-1]}")
        return seconds

    def together(self, names: Sequence[str]) -> float:
        """Until the last is ready."""
        with ThreadPoolExecutor(len(names)) as all_of:
            return max(all_of.map(self.start, names))

    def clear(self) -> None:
        """Nobody has a seat any more."""
        for name in NAMES:
            student = Student(self.hub, name)
            self.hub.api(f"{student.path}/server", student.lab, "DELETE")
            until(lambda who=student: not who.is_on(), 120)
        for one in self.do(machines.everyone(self.host)):
            self.do(machines.remove(self.host, one))

    # --- rows -------------------------------------------------------------------------------------------
    def rows(self, parts: Sequence[str]) -> Iterator[Row]:
        if "cold" in parts:
            self.cold = self.start("s01")
            yield "one seat, cold: a new disk, booted", f"{self.cold:.1f} s", ""
            self.clear()
        began = time.monotonic()
        self.do(warm.make(self.host))
        yield "the template, made once for each host", f"{time.monotonic() - began:.0f} s", ""
        if "warm" in parts or "three" in parts:
            yield from self.warm()
        if "three" in parts:
            yield from self.three()
        if "memory" in parts:
            yield from self.memory()

    def warm(self) -> Iterator[Row]:
        times = []
        for _ in range(3):
            times.append(self.start("s01"))
            self.clear()
        self.one_warm = statistics.median(times)
        said = f"{self.one_warm:.1f} s"
        said += f", {self.cold / self.one_warm:.1f} × as fast as cold" if self.cold else ""
        yield "one seat, warm: woken from the template (median of 3)", said, "≥ 6 ×"
        times = []
        for _ in range(3):
            self.do(warm.Pool(self.host, seats.wake).fill(1))
            times.append(self.start("s01"))
            self.clear()
        yield "one seat that was warm already (median of 3)", f"{statistics.median(times):.1f} s", ""

    def three(self) -> Iterator[Row]:
        all_three = self.together(NAMES)
        said = f"{all_three:.1f} s, {all_three / self.one_warm:.1f} × one"
        yield "three seats at once, warm", said, "≤ 2.5 ×"
        self.clear()

    def memory(self) -> Iterator[Row]:
        with merging(0):
            self.together(NAMES)
            time.sleep(SETTLE)
            alone = self.each()
        size = self.host.plan.size.memory_mb
        yield f"memory of an idle seat of {size} MiB, without KSM (PSS, mean of 3)", f"{alone:.0f} MiB", ""
        with merging(1):
            time.sleep(SETTLE)
            merged = self.each()
        yield "the same with KSM, after a minute", f"{merged:.0f} MiB", ""
        self.clear()

    def each(self) -> float:
        guests = [pid for pid, (_, command) in processes().items() if "qemu-system" in command.split(" ")[0]
                  and "guest=vlt-" in command]  # fmt: skip
        assert len(guests) == len(NAMES), guests
        return statistics.mean(map(pss_mib, guests))


@contextmanager
def merging(run: int) -> Iterator[None]:
    """The kernel's merging of same pages on or off (2: taken apart again), and as it was afterwards."""
    wanted = {"run": str(run or 2), "pages_to_scan": "10000", "sleep_millisecs": "10"}
    before = {name: (KSM / name).read_text() for name in wanted}
    try:
        for name, value in wanted.items():
            (KSM / name).write_text(value)
        yield
    finally:
        for name, value in before.items():
            (KSM / name).write_text(value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="just these rows")
    options = parser.parse_args()
    if seatlab.IMAGE == seatimage.IMAGE:
        seatimage.made()
    print(f"{machine()}\n\n| what | measured | goal |\n|---|---|---|", flush=True)
    with ExitStack() as stack:
        made = tempfile.TemporaryDirectory(prefix="virtlab-bench-", dir="/var/tmp")
        folder = Path(stack.enter_context(made))
        kvm = stack.enter_context(KvmHost(folder, 1))
        found = seatlab.digest()
        host = Host(seatlab.plan(found, hub=seatlab.HUB, vcpus=1), seatlab.site(kvm))
        loop = seatlab.Loop()
        loop(seatlab.ready(host, found))
        hub = stack.enter_context(hub_of(folder, host.plan, [kvm]))
        for what, measured, goal in Bench(host, hub, kvm).rows(options.only):
            print(f"| {what} | {measured} | {goal} |", flush=True)
        loop(host.remove())


if __name__ == "__main__":
    main()
