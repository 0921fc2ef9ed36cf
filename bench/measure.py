"""Time and memory, measured the same way for every row."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LAB = str(ROOT / "lab")
PYTHON = str(ROOT / ".venv/bin/python")


class CannotMeasureError(Exception):
    """Why a row has no figure."""


@dataclass(frozen=True)
class Done:
    seconds: float
    peak_mib: float
    output: str
    code: int


def run(command: Sequence[str], *, env: dict[str, str] | None = None, codes: Sequence[int] = (0,)) -> Done:
    """One run: wall time, and the largest resident memory of the command and of whatever it waited for."""
    began = time.perf_counter()
    with subprocess.Popen(
        command, cwd=ROOT, env=os.environ | (env or {}), stdin=subprocess.DEVNULL, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        output = process.stdout.read() if process.stdout else ""
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in codes:
        shown = " ".join(command).replace(f"{ROOT}/", "./")
        raise CannotMeasureError(f"`{shown}` ended with {process.returncode}: {output.strip()[-300:]}")
    return Done(seconds, usage.ru_maxrss / 1024, output, process.returncode)


def median(times: int, what: Callable[[], float]) -> float:
    """After one run that does not count: it fills the caches."""
    what()
    return statistics.median(what() for _ in range(times))


def as_json(command: Sequence[str], **how: Any) -> Any:
    return json.loads(run([*command, "--json"], **how).output)


def wait_for(what: Callable[[], bool], seconds: float, every: float = 0.1) -> None:
    end = time.monotonic() + seconds
    while not what():
        if time.monotonic() > end:
            raise CannotMeasureError(f"it did not happen within {seconds:g} seconds")
        time.sleep(every)


def pss_mib(pid: int) -> float:
    """Proportional set size: shared memory is counted once, in parts. Only root may ask."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def processes() -> dict[int, tuple[int, str]]:
    """pid: (its parent, its command line)."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            parent = int((folder / "stat").read_text().rpartition(") ")[2].split()[1])
        except OSError:
            continue
        if command:
            found[int(folder.name)] = (parent, command)
    return found


def with_children(roots: set[int], tree: dict[int, tuple[int, str]]) -> set[int]:
    found = set(roots)
    while more := {pid for pid, (parent, _) in tree.items() if parent in found} - found:
        found |= more
    return found


def machine() -> str:
    """Which machine the figures are from."""
    model = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
         if line.startswith("model name")), "unknown CPU",
    )  # fmt: skip
    memory = int(Path("/proc/meminfo").read_text().split()[1]) / 2**20
    try:
        record = json.loads(Path("/var/lib/virtlab/host.d/kvm_host.json").read_text())
        guests = "guests with KVM" if record["domain_type"] == "kvm" else "guests emulated (no working KVM)"
    except (OSError, KeyError, ValueError):
        guests = "guests not set up"
    release = dict(
        line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line
    )
    name = release.get("PRETTY_NAME", "").strip('"')
    load = f"load {os.getloadavg()[0]:.1f} at the start"
    return f"{name}, {model}, {len(os.sched_getaffinity(0))} cores, {memory:.0f} GiB, {guests}; {load}"
