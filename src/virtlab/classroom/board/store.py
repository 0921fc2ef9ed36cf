"""What the board knows, and keeps over its own end: reports, hands, messages. All times are the board's."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from virtlab import paths

TABLES = """
CREATE TABLE IF NOT EXISTS seats (student TEXT PRIMARY KEY, labs TEXT NOT NULL, seen REAL NOT NULL,
                                  hand REAL);
CREATE TABLE IF NOT EXISTS messages (id INTEGER PRIMARY KEY AUTOINCREMENT, student TEXT NOT NULL,
                                     sender TEXT NOT NULL, text TEXT NOT NULL, at REAL NOT NULL, read REAL);
"""


@dataclass
class SeatSeen:
    """A student's seat as it was last heard of."""

    labs: dict[str, Any] = field(default_factory=dict)
    seen: float = 0.0
    used: float = 0.0
    busy: list[str] = field(default_factory=list)
    visitors: list[str] = field(default_factory=list)
    hand: float | None = None  # since when it is up
    version: int = 0  # of the board, when this changed last
    fresh: bool = False  # heard of since the board was started


class Store:
    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        file = paths.private(folder) / "board.sqlite3"
        file.touch(mode=0o600)
        self._db = sqlite3.connect(file, timeout=5, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(TABLES)
        self.seats: dict[str, SeatSeen] = {}
        self.version = 1
        self._changed = asyncio.Event()
        for student, labs, seen, hand in self._db.execute("SELECT student, labs, seen, hand FROM seats"):
            self.seats[student] = SeatSeen(json.loads(labs), seen, seen, hand=hand, version=1)
        rows = self._db.execute(f"{MESSAGES} WHERE read IS NULL ORDER BY id")
        self._waiting: dict[str, list[dict[str, Any]]] = {}
        for row in rows:
            self._waiting.setdefault(row[1], []).append(_message(row))

    def close(self) -> None:
        self._db.close()

    # What seats say

    def report(self, student: str, said: dict[str, Any]) -> dict[str, Any]:
        now, seat = self.clock(), self.seats.setdefault(student, SeatSeen())
        again = "labs" not in said and not seat.fresh  # we were away: the seat tells all of it once more
        before = (seat.busy, seat.visitors, now - seat.seen < 60, seat.labs)
        seat.seen, seat.used = now, now - float(said["used"])
        seat.busy, seat.visitors, seat.fresh = said["busy"], said["visitors"], seat.fresh or "labs" in said
        if "labs" in said:
            seat.labs = {slug: _dated(lab, now) for slug, lab in said["labs"].items()}
            self._keep(student, seat)
        if said["read"]:
            self._read(student, said["read"])
        if before != (seat.busy, seat.visitors, True, seat.labs):
            self.touch(student)
        return {"hand": seat.hand is not None, "messages": self.waiting(student), "again": again}

    def hand(self, student: str, up: bool) -> dict[str, Any]:
        seat = self.seats.setdefault(student, SeatSeen())
        if up is not (seat.hand is not None):
            seat.hand = self.clock() if up else None
            self._keep(student, seat)
            self.touch(student)
        return {"hand": up, "messages": self.waiting(student), "again": False}

    # What instructors say

    def send(self, sender: str, students: Iterable[str], text: str) -> None:
        now = self.clock()
        for student in students:
            insert = "INSERT INTO messages (student, sender, text, at) VALUES (?, ?, ?, ?)"
            number = self._db.execute(insert, (student, sender, text, now)).lastrowid
            message = _message((number, student, sender, text, now, None))
            self._waiting.setdefault(student, []).append(message)
            self.seats.setdefault(student, SeatSeen())
            self.touch(student)

    def waiting(self, student: str) -> list[dict[str, Any]]:
        return self._waiting.get(student, [])

    def messages(self, student: str) -> list[dict[str, Any]]:
        rows = self._db.execute(f"{MESSAGES} WHERE student = ? ORDER BY id DESC LIMIT 50", (student,))
        return [_message(row) for row in rows]

    # Who wants to hear of changes

    def touch(self, student: str) -> None:
        self.version += 1
        self.seats[student].version = self.version
        self._changed.set()
        self._changed = asyncio.Event()

    async def newer(self, than: int, seconds: float) -> None:
        """Wait until there is something newer, but not for ever."""
        if self.version <= than:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), seconds)

    def _read(self, student: str, ids: list[int]) -> None:
        now, marks = self.clock(), ", ".join("?" * len(ids))
        self._db.execute(
            f"UPDATE messages SET read = ? WHERE student = ? AND read IS NULL AND id IN ({marks})",  # noqa: S608
            (now, student, *ids),
        )
        left = [one for one in self.waiting(student) if one["id"] not in ids]
        if len(left) != len(self.waiting(student)):
            self._waiting[student] = left
            self.touch(student)

    def _keep(self, student: str, seat: SeatSeen) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO seats (student, labs, seen, hand) VALUES (?, ?, ?, ?)",
            (student, json.dumps(seat.labs, ensure_ascii=False), seat.seen, seat.hand),
        )


MESSAGES = "SELECT id, student, sender, text, at, read FROM messages"


def _message(row: tuple[Any, ...]) -> dict[str, Any]:
    return {"id": row[0], "from": row[2], "text": row[3], "at": row[4], "read": row[5]}


def _dated(lab: dict[str, Any], now: float) -> dict[str, Any]:
    """Ages become times, by the board's clock."""

    def at(ago: float | None) -> float | None:
        return None if ago is None else round(now - ago, 1)

    checks = [one | {"first_passed": at(one["first_passed"])} for one in lab["checks"]]
    return lab | {"started": at(lab["started"]), "completed": at(lab["completed"]), "checks": checks}
