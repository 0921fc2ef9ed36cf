"""The board's rows: what the page, the API and the CSV say of each student."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from virtlab.classroom.board.store import SeatSeen

AWAY = 60.0  # seconds without a report: the seat is off, or out of reach
IDLE = 300.0  # seconds in which nothing was done


def here(seat: SeatSeen | None, now: float) -> str:
    """active, idle, away or never."""
    if seat is None or not seat.seen:
        return "never"
    if now - seat.seen > AWAY:
        return "away"
    return "active" if seat.busy or now - seat.used < IDLE else "idle"


def row(student: str, name: str, seat: SeatSeen | None, now: float) -> dict[str, Any]:
    labs = {slug: _lab(lab) for slug, lab in seat.labs.items()} if seat else {}
    open_labs = [slug for slug, lab in labs.items() if lab["phase"] == "started"]
    current = max(open_labs, key=lambda slug: labs[slug]["since"], default=None)
    return {
        "id": student,
        "name": name,
        "here": here(seat, now),
        "seen": seat.seen if seat else 0,
        "used": seat.used if seat else 0,
        "busy": seat.busy if seat else [],
        "visitors": seat.visitors if seat else [],
        "hand": seat.hand if seat else None,
        "lab": current,
        # Since when nothing new has passed in the lab that is open and not done.
        "stuck": labs[current]["since"] if current and not labs[current]["done"] else None,
        "hints": sum(lab["hints"] for lab in labs.values()),
        "labs": labs,
        "version": seat.version if seat else 0,
    }


def _lab(lab: Mapping[str, Any]) -> dict[str, Any]:
    checks = lab["checks"]
    steps = [one["first_passed"] for one in checks if one["first_passed"]]
    return {
        "phase": lab["phase"],
        "passed": sum(one["first_passed"] is not None for one in checks),
        "total": len(checks),
        "done": lab["completed"] is not None,
        "hints": sum(lab["hints"].values()),
        "helped": len(lab["helped"]),
        "since": max([lab["started"] or 0.0, *(at for at in steps if at > (lab["started"] or 0.0))]),
        # One letter a check, by task: what is so now. What passed once and does not now is r, for regressed.
        "tasks": _tasks(checks),
    }


def _tasks(checks: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    tasks: dict[str, str] = {}
    for one in checks:
        letter = one["state"][0]
        if letter == "f" and one["first_passed"]:
            letter = "r"
        tasks[one["task"]] = tasks.get(one["task"], "") + letter
    return tasks


def as_csv(rows: Iterable[Mapping[str, Any]], labs: Iterable[str]) -> str:
    """For a spreadsheet: one line a student."""
    labs = list(labs)
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([
        "id", "name", "here", "last used", "hand up since", "lab", "no progress since", "hints",
        *(f"{slug} {what}" for slug in labs for what in ("passed", "checks", "hints", "helped", "done")),
    ])  # fmt: skip
    for one in rows:
        line = [one["id"], one["name"], one["here"], _time(one["used"]), _time(one["hand"]), one["lab"] or "",
                _time(one["stuck"]), one["hints"]]  # fmt: skip
        for slug in labs:
            lab = one["labs"].get(slug)
            names = ("passed", "total", "hints", "helped", "done")
            line += [int(lab[name]) for name in names] if lab else [""] * len(names)
        writer.writerow([_harmless(cell) for cell in line])
    return out.getvalue()


def _harmless(cell: Any) -> Any:
    """A student's name must not be a formula for whoever opens the table."""
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@", "\t", "\r") else cell


def _time(at: float | None) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds") if at else ""
