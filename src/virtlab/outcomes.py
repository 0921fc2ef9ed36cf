"""What the verbs of a lab return: values, which the command line and the guides show each in their way."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from virtlab.catalogue import Lab, Task
from virtlab.checks import Result
from virtlab.errors import Exit
from virtlab.progress import Record
from virtlab.summary import Summary
from virtlab.text import Text


@dataclass(frozen=True)
class Started:
    lab: Lab
    already: bool  # it had been started before; it was brought up to date
    changed: int
    seconds: float
    log: Path
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        return {
            "lab": self.lab.slug,
            "already": self.already,
            "changed": self.changed,
            "seconds": round(self.seconds, 2),
            "ports": dict(self.lab.ports),
            "values": dict(self.lab.values),
            "environment": self.lab.environment(),
            "work": str(self.lab.work),
            "log": str(self.log),
            "notes": list(self.notes),
        }


@dataclass(frozen=True)
class Grade:
    lab: Lab
    results: tuple[Result, ...]
    seconds: float
    notes: tuple[str, ...] = ()
    summary: Summary | None = None  # when every check passes

    @property
    def passed(self) -> int:
        return sum(one.state == "pass" for one in self.results)

    @property
    def total(self) -> int:
        return len(self.results)

    @property
    def exit(self) -> Exit:
        """Not being able to tell comes first: it says nothing about the learner."""
        states = {str(one.state) for one in self.results}
        return Exit.MACHINE if "unknown" in states else Exit.FAILED if "fail" in states else Exit.OK

    def first_unsolved(self) -> Task | None:
        return next((task for task in self.lab.tasks if not self.is_solved(task)), None)

    def is_solved(self, task: Task) -> bool:
        return all(one.state == "pass" for one in self.results if one.task == task.id)

    def as_dict(self) -> dict[str, Any]:
        return {
            "lab": self.lab.slug,
            "passed": self.passed,
            "total": self.total,
            "seconds": round(self.seconds, 3),
            "results": [one.as_dict() for one in self.results],
            "notes": list(self.notes),
            "summary": self.summary.as_dict() if self.summary else None,
        }


@dataclass(frozen=True)
class Hint:
    lab: Lab
    task: Task | None  # None: everything is solved
    text: Text | None = None
    number: int = 0
    of: int = 0

    def as_dict(self) -> dict[str, Any]:
        return {
            "lab": self.lab.slug,
            "task": self.task.id if self.task else None,
            "hint": self.text,
            "number": self.number,
            "of": self.of,
        }


@dataclass(frozen=True)
class Solved:
    lab: Lab
    task: Task | None  # None: all of them
    changed: int
    seconds: float
    log: Path
    steps: tuple[str, ...] = ()  # what was run, by the names in solve.yml

    @property
    def explained(self) -> tuple[Task, ...]:
        """The tasks that were done and have an explanation."""
        due = (self.task,) if self.task else self.lab.tasks
        return tuple(one for one in due if one.explain)

    def as_dict(self) -> dict[str, Any]:
        return {
            "lab": self.lab.slug,
            "task": self.task.id if self.task else None,
            "changed": self.changed,
            "seconds": round(self.seconds, 2),
            "log": str(self.log),
            "steps": list(self.steps),
            "explained": {one.id: one.explain for one in self.explained},
        }


@dataclass(frozen=True)
class Finished:
    lab: Lab
    removed: tuple[str, ...]  # what of the lab's was still there after finish.yml
    left: tuple[str, ...]  # what appeared meanwhile and is not the lab's
    seconds: float
    notes: tuple[str, ...] = ()
    summary: Summary | None = None  # when every check had passed

    def as_dict(self) -> dict[str, Any]:
        return {
            "lab": self.lab.slug,
            "removed": list(self.removed),
            "left": list(self.left),
            "seconds": round(self.seconds, 2),
            "notes": list(self.notes),
            "summary": self.summary.as_dict() if self.summary else None,
        }


@dataclass(frozen=True)
class Status:
    lab: Lab
    phase: str
    since: str
    total: int
    record: Record = field(default_factory=Record)

    def as_dict(self) -> dict[str, Any]:
        return {
            "lab": self.lab.slug,
            "phase": self.phase,
            "since": self.since,
            "passed": self.record.passed,
            "total": self.total,
            **asdict(self.record),
        }
