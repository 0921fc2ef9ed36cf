#!/usr/bin/env python3
"""What following a lab costs while nobody does anything, and how soon it sees what somebody does."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from measure import LAB, PYTHON, ROOT, processes, run

SLUG = "05-container-networks"
SETTLING, IDLE = 60.0, 120.0  # seconds until it is at rest, and of rest
DOCKER = re.compile(r"(^|/)(dockerd|containerd|containerd-shim\S*)( |$)")
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Cost:
    watcher: float  # parts of one core
    docker: float  # what Docker's daemons do meanwhile, more than without a watcher
    green: float  # seconds
    red: float


def cpu(pid: int) -> float:
    """Seconds of processor time of a process and of the children it has waited for."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / TICKS


def dockers() -> float:
    return sum(cpu(pid) for pid, (_, command) in processes().items() if DOCKER.search(command))


def measure(env: Mapping[str, str], settling: float = SETTLING, idle: float = IDLE) -> Cost:
    """Lab 05, started and solved: then every check looks into its containers."""
    run([LAB, "start", SLUG], env=dict(env))
    run([LAB, "solve", SLUG], env=dict(env))
    begun = dockers()
    time.sleep(idle)
    without = dockers() - begun
    with subprocess.Popen(
        [PYTHON, "-P", "-m", "virtlab.watch", SLUG], cwd=ROOT, env=os.environ | env, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as watcher:  # fmt: skip
        said: Queue[Any] = Queue()
        Thread(target=_listen, args=(watcher.stdout, said), daemon=True).start()
        assert said.get(timeout=30)["passed"] == 9
        time.sleep(settling)
        own, docker = cpu(watcher.pid), dockers()
        time.sleep(idle)
        own, docker = cpu(watcher.pid) - own, dockers() - docker - without
        red = _seen(said, "docker network connect bridge net-vault", 8)
        green = _seen(said, "docker network disconnect bridge net-vault", 9)
        watcher.terminate()
    return Cost(own / idle, max(docker, 0.0) / idle, green, red)


def _listen(lines: Any, said: Queue[Any]) -> None:
    for line in lines:
        said.put(json.loads(line))


def _seen(said: Queue[Any], command: str, passed: int) -> float:
    """Seconds from a command's end until it is told that so many checks pass."""
    while not said.empty():
        said.get()  # what a busy machine made of it meanwhile
    run(command.split())
    began = time.monotonic()
    while time.monotonic() - began < 30:
        try:
            if said.get(timeout=1)["passed"] == passed:
                return time.monotonic() - began
        except Empty:
            continue
    raise AssertionError(f"`{command}` was not seen within 30 seconds")


if __name__ == "__main__":
    print(measure({}))
