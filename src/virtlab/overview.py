"""The catalogue with how far the learner is: what `lab list` and the start page both show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from virtlab import catalogue, messages, needs, progress, state
from virtlab.catalogue import Broken, Lab
from virtlab.errors import LabError
from virtlab.progress import Record
from virtlab.seat import Seat


@dataclass(frozen=True)
class Entry:
    """`stands`: new, begun, done, blocked (it cannot start here, and `why`) or broken (its files are)."""

    lab: Lab | Broken
    stands: str
    phase: str = "new"
    solved: tuple[str, ...] = ()  # tasks: since the last start while it is begun, else ever
    record: Record = field(default_factory=Record)
    why: tuple[LabError, ...] = ()

    @property
    def touched(self) -> str:
        """When the learner last did anything in it."""
        record = self.record
        first = [one.first_passed or "" for one in record.checks]
        return max(record.started or "", record.finished or "", *first) if self.phase != "new" else ""

    def as_dict(self) -> dict[str, Any]:
        lab = self.lab
        if isinstance(lab, Broken):
            return {"lab": lab.slug, "stands": self.stands, "error": lab.error.message, "do": lab.error.do}
        return {
            "lab": lab.slug,
            "title": lab.title,
            "summary": lab.summary,
            "track": lab.track,
            "minutes": lab.minutes,
            "needs": asdict(lab.needs),
            "tasks": [{"id": task.id, "title": task.title} for task in lab.tasks],
            "stands": self.stands,
            "phase": self.phase,
            "solved": list(self.solved),
            "passed": f"{self.record.passed} of {len(self.record.checks)}" if self.record.checks else None,
            "touched": self.touched,
            "why": [{"message": one.message, "do": one.do} for one in map(messages.error, self.why)],
        }


def entries(*, can_run: bool = False) -> list[Entry]:
    """All labs. With `can_run`, also what keeps those that are not begun from starting on this machine."""
    seat = Seat() if can_run else None
    return [
        Entry(one, "broken", why=(one.error,)) if isinstance(one, Broken) else _entry(one, seat)
        for one in catalogue.every()
    ]


def _entry(lab: Lab, seat: Seat | None) -> Entry:
    begun, record = state.read(lab.slug), progress.read(lab.slug)
    solved = _solved(lab, record, begun.is_begun)
    why: tuple[LabError, ...] = ()
    if begun.is_begun:
        stands = "done" if len(solved) == len(lab.tasks) else "begun"
    elif seat and (why := tuple(needs.obstacles(lab, seat))):
        stands = "blocked"
    else:
        stands = "done" if len(solved) == len(lab.tasks) else "new"
    return Entry(lab, stands, begun.phase, solved, record, why)


def _solved(lab: Lab, record: Record, is_begun: bool) -> tuple[str, ...]:
    """A start begins afresh, and finishing takes nothing away."""
    stood: dict[str, list[bool]] = {}
    for one in record.checks:
        now = one.state == "pass" and one.at >= (record.started or "")
        stood.setdefault(one.task, []).append(now if is_begun else one.first_passed is not None)
    return tuple(task.id for task in lab.tasks if task.id in stood and all(stood[task.id]))


def left_off(every: Sequence[Entry]) -> Entry | None:
    """Where to go on: the lab that was last worked in, else the first that is not done."""
    open_ = [one for one in every if one.stands == "begun"]
    if open_:
        return max(open_, key=lambda one: one.touched)
    return next((one for one in every if one.stands == "new"), None)
