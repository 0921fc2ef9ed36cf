"""What an instructor does with one seat of a running class."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from virtlab.classroom.front import Front
from virtlab.classroom.seats import Outcome
from virtlab.errors import Exit, UsageError
from virtlab.hub import agent, disks, machines, rescue, seats
from virtlab.hub.hosts import Host
from virtlab.hub.machines import Machine

GRACE = 5  # seconds a program has to end by itself, once its time is over
ENDED = (124, 137)  # what timeout(1) exits with then


async def snapshot(host: Host, machine: Machine, name: str, *, again: bool) -> Outcome:
    """Keep its disk under this name, running or not; `again`: who has it already is left as they are."""
    if name == rescue.NAME:
        raise UsageError(f"'{name}' is the name of the hub's own copies.", do="Take another name.")
    if again and name in await disks.snapshots(host, machine.name):
        return Outcome(f"has a snapshot {name} already", "skipped")
    await disks.snapshot(host, machine, name)
    return Outcome(f"snapshot {name} taken{' while it ran' if machine.running else ''}")


async def rollback(front: Front, host: Host, machine: Machine, name: str) -> Outcome:
    """Its disk as it was at the snapshot; it is off afterwards."""
    have = await disks.snapshots(host, machine.name)
    if name not in have:  # said before anything is stopped
        known = ", ".join(one for one in have if one != rescue.NAME)
        raise UsageError(f"{machine.owner} has no snapshot {name}.", do=f"There are: {known or 'none yet'}.")
    await disks.rollback(host, await _off(front, host, machine), name)
    return Outcome(f"back to {name}", more={"stopped": machine.running})


async def reset(front: Front, host: Host, machine: Machine) -> Outcome:
    """An empty disk over the image; it is off afterwards."""
    await disks.reset(host, await _off(front, host, machine))
    return Outcome("as new", more={"stopped": machine.running})


async def _off(front: Front, host: Host, machine: Machine) -> Machine:
    """Off, and the hub knows it: else it would send the student to a machine that is gone."""
    await asyncio.to_thread(front.stop, machine.owner)
    now = await machines.get(host, machine.name)
    if now.running:  # the hub knew nothing of it
        await seats.stop(host, now)
    return await machines.get(host, machine.name)


async def execute(
    host: Host, machine: Machine, command: Sequence[str], *, root: bool, seconds: int
) -> Outcome:
    """Run a program in it; no shell sees its words but the one that gives the student's environment."""
    if not machine.running:
        return Outcome("is off", "skipped")
    words = as_root(command, seconds) if root else as_user(host.plan.user, machine.owner, command, seconds)
    began = time.monotonic()
    code, output, errors = await agent.run(
        host.link, machine.name, *words, patience=seconds + 2 * GRACE + agent.ANSWER
    )
    more = {"exit_code": code, "output": output, "errors": errors}
    if code in ENDED and time.monotonic() - began >= seconds:
        return Outcome(f"ended after {seconds} seconds", "failed", "", Exit.FAILED, more)
    if code:
        return Outcome(f"exit code {code}", "failed", "", Exit.FAILED, more)
    return Outcome("exit code 0", more=more)


def as_root(command: Sequence[str], seconds: int) -> list[str]:
    return ["timeout", f"--kill-after={GRACE}", str(seconds), "env", "LANG=C.UTF-8", *command]


def as_user(user: str, learner: str, command: Sequence[str], seconds: int) -> list[str]:
    """With the environment of a login; the words are arguments of the shell, which it does not read."""
    limit = ["timeout", f"--kill-after={GRACE}", str(seconds)]
    # Whose values a lab draws: the hub says it to JupyterLab's terminals likewise.
    said = ["env", "LANG=C.UTF-8", f"VIRTLAB_LEARNER={learner}"]
    login = ["runuser", "--login", "--shell=/bin/sh", '--command=exec "$@"', "--", user, "lab"]
    return [*login, *limit, *said, *command]
