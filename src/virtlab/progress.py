"""What a learner has done: what passed and when, hints, help, answers. In SQLite, to survive crashes."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from virtlab import paths
from virtlab.checks import Result
from virtlab.errors import MachineError
from virtlab.state import now

# One step a format, in order; a file of an older one takes the steps it lacks, and keeps what is in it.
STEPS = (
    """
CREATE TABLE labs (lab TEXT PRIMARY KEY, started TEXT, starts INTEGER NOT NULL DEFAULT 0, finished TEXT);
CREATE TABLE checks (lab TEXT, id TEXT, task TEXT NOT NULL, state TEXT NOT NULL, at TEXT NOT NULL,
                     first_passed TEXT, PRIMARY KEY (lab, id));
CREATE TABLE hints (lab TEXT, task TEXT, shown INTEGER NOT NULL, at TEXT NOT NULL, PRIMARY KEY (lab, task));
CREATE TABLE solved (lab TEXT, task TEXT, at TEXT NOT NULL, PRIMARY KEY (lab, task));
""",
    """
ALTER TABLE labs ADD COLUMN completed TEXT;
CREATE TABLE answers (lab TEXT, start INTEGER NOT NULL, question TEXT, kind TEXT NOT NULL,
                      choice TEXT NOT NULL, is_right INTEGER NOT NULL, tries INTEGER NOT NULL,
                      at TEXT NOT NULL, PRIMARY KEY (lab, start, question));
""",
)
VERSION = len(STEPS)


@dataclass(frozen=True)
class Passed:
    """How a check stood when it was last looked at."""

    id: str
    task: str
    state: str
    at: str
    first_passed: str | None


@dataclass(frozen=True)
class Answer:
    """What a learner said to a question (`quiz`) or before an experiment (`predict`)."""

    question: str
    kind: str
    choice: str  # in English, as in quiz.yml: a letter would mean another answer once the order has changed
    is_right: bool
    tries: int
    at: str


@dataclass(frozen=True)
class Record:
    """A lab's progress."""

    started: str | None = None
    starts: int = 0
    finished: str | None = None
    checks: tuple[Passed, ...] = ()
    hints: tuple[tuple[str, int], ...] = ()  # task, how many were shown
    solved: tuple[str, ...] = ()  # tasks that `lab solve` did
    completed: str | None = None  # when every check passed at once, since the last start
    answers: tuple[Answer, ...] = ()  # since the last start

    def answer(self, question: str) -> Answer | None:
        return next((one for one in self.answers if one.question == question), None)

    def is_own(self, task: str) -> bool:
        """All of its checks have passed, and nobody helped."""
        of_task = [one for one in self.checks if one.task == task]
        passed = bool(of_task) and all(one.first_passed for one in of_task)
        return passed and task not in self.solved

    @property
    def passed(self) -> int:
        """Checks that passed at some time: finishing a lab takes nothing away."""
        return sum(one.first_passed is not None for one in self.checks)


def file() -> Path:
    return paths.data() / "progress.sqlite3"


@contextlib.contextmanager
def _open() -> Iterator[sqlite3.Connection]:
    path = file()
    try:
        paths.private(path.parent)
        with contextlib.closing(sqlite3.connect(path, timeout=5, isolation_level=None)) as db:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute(
                "PRAGMA synchronous=NORMAL"
            )  # with WAL: a power cut may take the last entry, never the file
            db.execute("BEGIN IMMEDIATE")
            _migrate(db)
            yield db
            db.execute("COMMIT")
    except (sqlite3.Error, OSError) as error:
        raise MachineError(
            f"I cannot keep your progress in {path}: {error}.",
            do="Make room on the disk or mend the folder's permissions; a damaged file can be moved away.",
        ) from None


def _migrate(db: sqlite3.Connection) -> None:
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version > VERSION:
        raise MachineError(
            f"{file()} was written by a newer virtlab (format {version}, this one knows {VERSION}).",
            do="Use that newer virtlab.",
        )
    if version == VERSION:
        return
    for step in STEPS[version:]:
        for statement in filter(str.strip, step.split(";")):
            db.execute(statement)
    db.execute(f"PRAGMA user_version = {VERSION}")


def started(lab: str) -> None:
    with _open() as db:
        db.execute(
            "INSERT INTO labs (lab, started, starts) VALUES (?, ?, 1) "
            "ON CONFLICT DO UPDATE SET started = excluded.started, starts = starts + 1, finished = NULL, "
            "completed = NULL",
            (lab, now()),
        )


def finished(lab: str) -> None:
    with _open() as db:
        db.execute("UPDATE labs SET finished = ? WHERE lab = ?", (now(), lab))


def graded(lab: str, results: Iterable[Result]) -> None:
    """Note how each check stands. The first time it passed stays, and when all did."""
    at, results = now(), list(results)
    with _open() as db:
        db.executemany(
            "INSERT INTO checks (lab, id, task, state, at, first_passed) VALUES (?, ?, ?, ?, ?, ?) "
            "ON CONFLICT DO UPDATE SET task = excluded.task, state = excluded.state, at = excluded.at, "
            "first_passed = coalesce(first_passed, excluded.first_passed)",
            [
                (lab, one.id, one.task, str(one.state), at, at if one.state == "pass" else None)
                for one in results
            ],
        )
        if all(one.state == "pass" for one in results):
            db.execute("UPDATE labs SET completed = coalesce(completed, ?) WHERE lab = ?", (at, lab))


def hinted(lab: str, task: str, available: int) -> int:
    """Take the next hint; its number, from 1. The last one stays the last."""
    with _open() as db:
        row = db.execute("SELECT shown FROM hints WHERE lab = ? AND task = ?", (lab, task)).fetchone()
        shown = min((row[0] if row else 0) + 1, available)
        db.execute(
            "INSERT INTO hints (lab, task, shown, at) VALUES (?, ?, ?, ?) "
            "ON CONFLICT DO UPDATE SET shown = excluded.shown, at = excluded.at",
            (lab, task, shown, now()),
        )
        return shown


def helped(lab: str, tasks: Iterable[str]) -> None:
    with _open() as db:
        db.executemany(
            "INSERT OR IGNORE INTO solved (lab, task, at) VALUES (?, ?, ?)",
            [(lab, one, now()) for one in tasks],
        )


def answered(lab: str, question: str, kind: str, choice: str, is_right: bool) -> Answer:
    """Note an answer; the one that counts. A prediction is committed to once, a quiz may be tried again."""
    with _open() as db:
        start = _start(db, lab)
        db.execute(
            "INSERT INTO answers (lab, start, question, kind, choice, is_right, tries, at) "
            "VALUES (?, ?, ?, ?, ?, ?, 1, ?) ON CONFLICT DO UPDATE SET tries = tries + 1, "
            "choice = iif(kind = 'predict', choice, excluded.choice), "
            "is_right = iif(kind = 'predict', is_right, excluded.is_right), "
            "at = iif(kind = 'predict', at, excluded.at)",
            (lab, start, question, kind, choice, is_right, now()),
        )
        return next(one for one in _answers(db, lab, start) if one.question == question)


def _start(db: sqlite3.Connection, lab: str) -> int:
    """How often the lab was started: who starts it again may predict again."""
    row = db.execute("SELECT starts FROM labs WHERE lab = ?", (lab,)).fetchone()
    return int(row[0]) if row else 0


def _answers(db: sqlite3.Connection, lab: str, start: int) -> tuple[Answer, ...]:
    rows = db.execute(
        "SELECT question, kind, choice, is_right, tries, at FROM answers "
        "WHERE lab = ? AND start = ? ORDER BY rowid",
        (lab, start),
    )
    return tuple(Answer(one[0], one[1], one[2], bool(one[3]), one[4], one[5]) for one in rows)


def read(lab: str) -> Record:
    if not file().exists():
        return Record()
    with _open() as db:
        row = db.execute(
            "SELECT started, starts, finished, completed FROM labs WHERE lab = ?", (lab,)
        ).fetchone()
        checks = db.execute(
            "SELECT id, task, state, at, first_passed FROM checks WHERE lab = ? ORDER BY rowid", (lab,)
        ).fetchall()
        hints = db.execute("SELECT task, shown FROM hints WHERE lab = ? ORDER BY rowid", (lab,)).fetchall()
        answers = _answers(db, lab, _start(db, lab))
        solved = db.execute("SELECT task FROM solved WHERE lab = ? ORDER BY rowid", (lab,)).fetchall()
    started_at, starts, finished_at, completed_at = row or (None, 0, None, None)
    return Record(
        started_at,
        starts,
        finished_at,
        tuple(Passed(*one) for one in checks),
        tuple(hints),
        tuple(one[0] for one in solved),
        completed_at,
        answers,
    )
