"""Grading from outside: the checks run on the hub's machine and look at a seat over SSH."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from virtlab.classroom.seats import Outcome
from virtlab.errors import MachineError, Unknown
from virtlab.hub.hosts import Host
from virtlab.hub.machines import Machine
from virtlab.hub.visit import visit
from virtlab.remote.line import Way

LIMIT = 900.0  # seconds for one seat: a guest in an emulated guest takes its time


async def grade(host: Host, machine: Machine, lab: str) -> Outcome:
    """What is to be seen of a lab in this seat, and what its student's own record says."""
    if not machine.running:
        return Outcome("is off", "skipped")
    with tempfile.TemporaryDirectory(prefix="virtlab-") as name:
        folder = Path(name)
        async with visit(host, machine, folder):
            way = Way(host.plan.user, machine.address, python=host.plan.python)
            said = await look(lab, machine.owner, folder, way)
    return outcome(said)


def outcome(said: dict[str, Any]) -> Outcome:
    seen = said["seen"]
    if seen is None:
        return Outcome("finished" if said["phase"] == "finished" else "not started", more=said)
    return Outcome(f"{seen['passed']} of {seen['total']} checks pass", more=said)


async def look(lab: str, learner: str, folder: Path, way: Way) -> dict[str, Any]:
    """Have it done by a process of its own, which ends in time, with all that it started."""
    asked = {"lab": lab, "folder": str(folder), "way": asdict(way)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "virtlab.classroom.look", env=os.environ | environment(folder, learner),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip
    try:
        async with asyncio.timeout(LIMIT):
            out, errors = await process.communicate(json.dumps(asked).encode())
    except TimeoutError:
        raise Unknown(
            f"Grading it did not end within {LIMIT / 60:.0f} minutes.", do="Try it alone."
        ) from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    try:
        said: dict[str, Any] = json.loads(out)
    except ValueError:
        last = (errors.decode(errors="replace").strip().splitlines() or ["it said nothing"])[-1]
        raise MachineError(f"Grading it failed: {last[:300]}", do="Try it alone: --seat.") from None
    if "error" in said:
        raise Unknown(said["error"]["message"], do=said["error"]["do"])
    return said


def environment(folder: Path, learner: str) -> dict[str, str]:
    """The learner's and the machine's, in the folder; nothing of ours, such as passwords for registries."""
    return {
        "VIRTLAB_DATA": str(folder / "data"),
        "VIRTLAB_STATE": str(folder / "state"),
        "VIRTLAB_CLAIMS": str(folder / "started"),
        "VIRTLAB_LEARNER": learner,
        "DOCKER_CONFIG": str(folder / "nothing"),
    }
