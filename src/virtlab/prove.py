"""The proof that a lab's checks are right and that its finish leaves nothing behind.

Every check must fail on a fresh start, pass after the solution, fail when just its own outcome is broken (and
no other with it), and pass after the repair. Then the machine after the finish must be the machine before the
start, twice.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from typing import Any

from virtlab import catalogue, checks, claims, lifecycle, paths, patience, snapshot, state
from virtlab.catalogue import LABEL, Lab
from virtlab.checks import Check
from virtlab.errors import Exit, LabError, MachineError
from virtlab.seat import Seat
from virtlab.snapshot import Snapshot, Thing

SETTLE = 10.0  # seconds the machine may take to come to rest: a removed container's mounts go a little later
NOTICE = 5.0  # seconds a broken outcome may take to show

OnStep = Callable[[str], None]


@dataclass
class Row:
    """What was shown of one check; "" is as it should be, anything else says what was not."""

    id: str
    task: str
    fresh: str = "not tried"
    solved: str = "not tried"
    broken: str = "not tried"
    repaired: str = "not tried"

    @property
    def is_proven(self) -> bool:
        return not (self.fresh or self.solved or self.broken or self.repaired)


@dataclass
class Proof:
    lab: Lab
    rows: list[Row]
    left: list[str] = field(default_factory=list)  # how the machine differs after the finish
    problems: list[str] = field(default_factory=list)  # what kept the proof from its end
    seconds: float = 0.0

    @property
    def exit(self) -> Exit:
        proven = all(row.is_proven for row in self.rows) and not self.left and not self.problems
        return Exit.OK if proven else Exit.FAILED

    def as_dict(self) -> dict[str, Any]:
        return {
            "lab": self.lab.slug,
            "proven": self.exit == Exit.OK,
            "checks": [asdict(row) | {"proven": row.is_proven} for row in self.rows],
            "left": self.left,
            "problems": self.problems,
            "seconds": round(self.seconds, 1),
        }


def prove(wanted: str, on_step: OnStep = lambda _: None, *, busy: bool = False) -> Proof:
    """Run the whole proof, with data and a folder of its own: nobody's progress is touched.

    On a `busy` machine, where others come and go, only differences that bear the lab's name count against it.
    """
    lab = catalogue.find(wanted)
    if state.read(lab.slug).is_begun:
        raise MachineError(
            f"Lab {lab.slug} is started on this machine, and a proof would take it apart.",
            do=f"Run `lab finish {lab.number}` first.",
        )
    began = time.monotonic()
    proof = Proof(lab, [Row(one.id, one.task) for one in lab.checks])
    with state.locked(lab.slug, "prove"), _aside(lab.slug):
        lab = proof.lab = catalogue.load(lab.slug)  # with the values of this learner, who is none
        claims.check(lab)
        on_step("Removing what an earlier proof may have left")
        lifecycle.finish(lab.slug)
        before = _machine(lab)
        try:
            _checks(lab, proof, on_step)
        except LabError as error:
            proof.problems.append(" ".join(filter(None, (error.message, error.do))))
        _clean(proof, before, on_step, when="the finish", busy=busy)
        if not proof.problems:
            try:
                on_step("Starting a second time")
                lifecycle.start(lab.slug)
            except LabError as error:
                proof.problems.append(f"It does not start again: {error.message}")
            _clean(proof, before, on_step, when="the second finish", busy=busy)
    proof.seconds = time.monotonic() - began
    return proof


@contextmanager
def _aside(slug: str) -> Iterator[None]:
    """Data and a workspace of the proof's own, in a fixed place: a killed proof is cleaned up by the next."""
    place = paths.private(paths.data() / "proofs") / slug
    mine = {"VIRTLAB_DATA": str(place / "data"), "VIRTLAB_WORKSPACE": str(place / "work")}
    old = {name: os.environ.get(name) for name in mine}
    os.environ.update(mine)
    try:
        yield
    finally:
        is_clean = not state.read(slug).is_begun
        for name, value in old.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        if is_clean:
            shutil.rmtree(place, ignore_errors=True)


def _machine(lab: Lab) -> Snapshot:
    """The machine without other labs' things: those may come and go at the same time."""
    prefixes = tuple(
        f"{one.prefix}-" for one in catalogue.every() if isinstance(one, Lab) and one.slug != lab.slug
    )

    def is_others(thing: Thing) -> bool:
        named = thing.name.rpartition("/")[2].startswith(prefixes) if prefixes else False
        return named or thing.labels.get(LABEL, lab.slug) != lab.slug

    return snapshot.host(Seat(), is_others)


def _clean(proof: Proof, before: Snapshot, on_step: OnStep, *, when: str, busy: bool) -> None:
    lab = proof.lab
    on_step(f"Finishing and comparing the machine with before ({when})")
    try:
        lifecycle.finish(lab.slug)
    except LabError as error:
        proof.problems.append(f"{when}: {error.message}")
    until = time.monotonic() + patience.seconds(SETTLE)
    while (left := _differences(lab, before, busy)) and time.monotonic() < until:
        time.sleep(1)
    proof.left += [f"after {when}: {line}" for line in left]


def _differences(lab: Lab, before: Snapshot, busy: bool) -> list[str]:
    marks = (f"{lab.prefix}-", lab.slug, *(f" {port}" for port in lab.ports.values()))
    found = snapshot.differences(before, _machine(lab))
    return [line for line in found if not busy or any(mark in line for mark in marks)]


def _checks(lab: Lab, proof: Proof, on_step: OnStep) -> None:
    rows = {row.id: row for row in proof.rows}
    on_step("Starting")
    lifecycle.start(lab.slug)
    for one in lifecycle.grade(lab.slug).results:
        wrong = {"pass": "passes although nothing was done"}.get(one.state, "")
        rows[one.id].fresh = f"the check breaks: {one.message}" if one.broken else wrong
    on_step("Solving")
    lifecycle.solve(lab.slug)
    for one in lifecycle.grade(lab.slug).results:
        rows[one.id].solved = "" if one.state == "pass" else f"{one.state}: {one.message}"
    for check in lab.checks:
        on_step(f"Breaking and repairing {check.id}")
        _break(lab, check, rows[check.id])
        rows[check.id].repaired = _repair(lab, check)
    on_step("Solving everything once more")
    lifecycle.solve(lab.slug)
    if failing := _failing(lab):
        proof.problems.append(f"After the last solve these do not pass: {', '.join(failing)}.")


def _break(lab: Lab, one: Check, row: Row) -> None:
    if one.undo is None:
        row.broken = "has no broken_by"
        return
    try:
        one.undo(Seat(), lab)
    except Exception as error:
        row.broken = f"broken_by does not work: {type(error).__name__}: {' '.join(str(error).split())[:200]}"
        return
    until = time.monotonic() + patience.seconds(NOTICE)
    while True:
        results = {result.id: result for result in checks.run(lab.checks, Seat(), lab)}
        if results[one.id].state == "fail" or time.monotonic() > until:
            break
        time.sleep(0.5)
    said = results[one.id]
    if said.state == "pass":
        row.broken = "still passes when its outcome is broken"
    elif said.state == "unknown":
        row.broken = f"cannot tell when its outcome is broken: {said.message}"
    else:
        allowed = {other.id for other in lab.checks if one.id in other.after}
        also = [
            key for key, other in results.items() if other.state != "pass" and key not in {one.id, *allowed}
        ]
        row.broken = f"takes {', '.join(also)} with it" if also else ""


def _repair(lab: Lab, one: Check) -> str:
    """The solution of its task, and when others went with it, all of it."""
    with suppress(LabError):
        lifecycle.solve(lab.slug, task=one.task)
        if not _failing(lab):
            return ""
    lifecycle.solve(lab.slug)
    failing = _failing(lab)
    return "" if one.id not in failing else "does not pass after solve.yml ran again"


def _failing(lab: Lab) -> list[str]:
    return [one.id for one in lifecycle.grade(lab.slug).results if one.state != "pass"]
