"""What a finished lab was: what was built and learned, the time and the help it took, what comes next."""

from __future__ import annotations

import calendar
import time
from dataclasses import dataclass
from typing import Any

from virtlab import catalogue, progress
from virtlab.catalogue import Lab, Task
from virtlab.errors import LabError
from virtlab.progress import Record
from virtlab.text import Text


@dataclass(frozen=True)
class Summary:
    lab: Lab
    seconds: int  # from the start to the moment when every check passed
    hints: int
    helped: tuple[Task, ...]  # done by `lab solve`
    right: int  # questions answered, and how many of them right
    answered: int
    following: Lab | None  # the next lab in the order of the catalogue that is not done yet

    @property
    def built(self) -> tuple[Text, ...]:
        return tuple(task.title for task in self.lab.tasks)

    @property
    def learned(self) -> tuple[Text, ...]:
        return self.lab.learned

    def as_dict(self) -> dict[str, Any]:
        return {
            "built": list(self.built),
            "learned": list(self.learned),
            "seconds": self.seconds,
            "hints": self.hints,
            "helped": [task.id for task in self.helped],
            "right": self.right,
            "answered": self.answered,
            "next": self.following.slug if self.following else None,
            "next_title": self.following.title if self.following else None,
        }


def of(lab: Lab, record: Record | None = None) -> Summary | None:
    """None before every check has passed."""
    record = record or progress.read(lab.slug)
    if not record.completed:
        return None
    quiz = [one for one in record.answers if one.kind == "quiz"]
    return Summary(
        lab,
        took(record) or 0,
        sum(shown for _, shown in record.hints),
        tuple(task for task in lab.tasks if task.id in record.solved),
        sum(one.is_right for one in quiz),
        len(quiz),
        _following(lab),
    )


def took(record: Record) -> int | None:
    """Seconds from the start to the moment when every check passed."""
    if not record.started or not record.completed:
        return None
    return max(0, _seconds(record.completed) - _seconds(record.started))


def _seconds(at: str) -> int:
    return calendar.timegm(time.strptime(at, "%Y-%m-%dT%H:%M:%SZ"))


def _following(lab: Lab) -> Lab | None:
    slugs = catalogue.slugs()
    later = [slug for slug in slugs if slug > lab.slug] + [slug for slug in slugs if slug < lab.slug]
    for slug in later:
        if progress.read(slug).completed:
            continue
        try:
            return catalogue.load(slug)
        except LabError:
            continue  # a broken one is nothing to go to
    return None
