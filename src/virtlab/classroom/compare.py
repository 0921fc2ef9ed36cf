"""What was seen from outside beside what a student's own record says. Plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from virtlab.catalogue import Lab

SAME, RECORD_ONLY, OUTSIDE_ONLY, UNSEEN = "same", "record only", "outside only", "unseen"


@dataclass(frozen=True)
class Task:
    id: str
    title: Mapping[str, str]
    outside: str  # pass, fail, unknown; "" when nothing was looked at
    record: str  # done, helped, open; "" without a record

    @property
    def verdict(self) -> str:
        """Only what was seen and what is written can differ: a check that cannot tell says nothing."""
        if self.outside not in ("pass", "fail") or not self.record:
            return UNSEEN
        seen, written = self.outside == "pass", self.record in ("done", "helped")
        return SAME if seen == written else OUTSIDE_ONLY if seen else RECORD_ONLY

    @property
    def state(self) -> str:
        """For the gradebook: what was seen counts, and that it was done with help stays so."""
        if self.outside == "pass":
            return "helped" if self.record == "helped" else "done"
        return "open" if self.outside == "fail" else self.record or "open"

    def as_dict(self) -> dict[str, Any]:
        about = {"id": self.id, "title": self.title, "outside": self.outside or None}
        return about | {"record": self.record or None, "verdict": self.verdict}


def tasks(lab: Lab, said: Mapping[str, Any]) -> list[Task]:
    """Every task of the lab; `said` is what came of grading one seat."""
    states: dict[str, list[str]] = {}
    for one in (said.get("seen") or {}).get("results", ()):
        states.setdefault(one["task"], []).append(one["state"])
    written = {one["id"]: one["state"] for one in entry(lab, said.get("record")).get("tasks", ())}
    return [
        Task(one.id, one.title, _state(states.get(one.id, [])), written.get(one.id, "")) for one in lab.tasks
    ]


def _state(states: list[str]) -> str:
    """A task fails with any of its checks; that one cannot tell comes before that all others pass."""
    return next((state for state in ("fail", "unknown", "pass") if state in states), "")


def entry(lab: Lab, record: Mapping[str, Any] | None) -> dict[str, Any]:
    """What a record says about the lab."""
    return next((dict(one) for one in (record or {}).get("labs", ()) if one["lab"] == lab.slug), {})


def kept(lab: Lab, old: Mapping[str, Any], said: Mapping[str, Any]) -> dict[str, Any]:
    """A record for `lab classroom grades`: the old one, with this lab as it was seen.

    Where nothing could be seen, the student's own word stands, and `seen` says so.
    """
    record: Mapping[str, Any] = said.get("record") or {}
    mine = {one["id"]: one for one in entry(lab, record).get("tasks", ())}
    found = tasks(lab, said)
    seen = [
        {"id": one.id, "title": one.title, "hints": 0} | mine.get(one.id, {})
        | {"state": one.state, "seen": "outside" if one.outside in ("pass", "fail") else "record"}
        for one in found
    ]  # fmt: skip
    this = {"lab": lab.slug, "title": lab.title, "completed": None} | entry(lab, record) | {"tasks": seen}
    if any(one.state == "open" for one in found):
        this["completed"] = None
    others = [one for one in old.get("labs", ()) if one.get("lab") != lab.slug]
    about = {name: record.get(name) or old.get(name) for name in ("learner", "made")}
    return {**about, "labs": sorted([*others, this], key=lambda one: str(one["lab"]))}
