"""Grades from the records of the seats: what `lab report --json` said there, one file a student.

A record is kept in the student's own machine, where the student is root: it is a report, not a proof.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from virtlab import catalogue
from virtlab.catalogue import Lab
from virtlab.classroom import tables
from virtlab.classroom.findings import Finding
from virtlab.classroom.inventory import Class
from virtlab.classroom.roster import Student
from virtlab.language import choose

LARGEST = 10_000_000  # bytes: a record of all labs is a thousandth of it
STATES = ("done", "helped", "open")
# The columns that Canvas wants, in its order, and the headers of a roster that fill them.
CANVAS = ("Student", "ID", "SIS User ID", "SIS Login ID", "Section")
# What Moodle can find a student by, as the roster calls it: columns are matched by hand at the upload.
MOODLE = ("id", "login", "number", "first", "last", "name", "email")


@dataclass(frozen=True)
class Grade:
    """One lab of one student."""

    lab: str
    done: int
    helped: int
    tasks: int
    hints: int
    completed: str  # when every check passed, or ""
    points: float

    def as_dict(self) -> dict[str, Any]:
        return vars(self)


@dataclass(frozen=True)
class Graded:
    student: Student
    grades: tuple[Grade, ...]  # one for each lab of the class; none at all without a record

    @property
    def has_record(self) -> bool:
        return bool(self.grades)


def collect(of: Class, folder: Path) -> tuple[list[Graded], list[Finding]]:
    """Everybody in the roster, with the record that lies in `folder`: <id>.json."""
    labs = [catalogue.load(slug) for slug in of.labs]
    found: list[Finding] = []
    everybody = []
    for student in of.roster.students:
        record = _record(folder / f"{student.id}.json", found)
        grades = tuple(_grade(lab, record, of) for lab in labs) if record is not None else ()
        everybody.append(Graded(student, grades))
    known = {student.id for student in of.roster.students}
    for file in sorted(folder.glob("*.json")):
        if file.stem not in known:
            found.append(Finding(file, 1, f"Nobody in the roster is '{file.stem}'.", is_error=False))
    return everybody, found


def _record(file: Path, found: list[Finding]) -> Mapping[str, Any] | None:
    """By lab; None without a usable one. It comes from a student: nothing in it is trusted."""
    try:
        with file.open("rb") as stream:
            content = stream.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise ValueError("it is too large")
        labs = json.loads(content)["labs"]
        return {str(one["lab"]): one for one in labs}
    except FileNotFoundError:
        found.append(Finding(file, 1, f"There is no record of {file.stem}.", is_error=False))
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        said = f"It is not what `lab report --json` prints: {' '.join(str(error).split())[:100]}."
        found.append(Finding(file, 1, said, is_error=False))
    return None


def _grade(lab: Lab, record: Mapping[str, Any], of: Class) -> Grade:
    """By the tasks that the lab has here; what else the record says does not count."""
    said = record.get(lab.slug)
    said = said if isinstance(said, dict) else {}
    tasks = [one for one in _list(said.get("tasks")) if isinstance(one, dict)]
    states = {str(one.get("id")): str(one.get("state")) for one in tasks}
    mine = [states.get(task.id, "open") for task in lab.tasks]
    done, helped = mine.count("done"), mine.count("helped")
    parts = (done + of.grading.helped * helped) / len(lab.tasks) if lab.tasks else 0.0
    points = round(parts * of.grading.points, 2)
    hints = [one.get("hints") for one in tasks]
    shown = sum(count for count in hints if isinstance(count, int) and 0 < count < 100)
    completed = str(said.get("completed") or "")[:20]
    return Grade(lab.slug, done, helped, len(lab.tasks), shown, completed, points)


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def as_dict(of: Class, everybody: Iterable[Graded]) -> dict[str, Any]:
    return {
        "class": of.folder.resolve().name,
        "points": of.grading.points,
        "students": [
            {
                "id": one.student.id, "name": one.student.name, "email": one.student.email,
                "record": one.has_record, "labs": [grade.as_dict() for grade in one.grades],
            }
            for one in everybody
        ],
    }  # fmt: skip


def csv(of: Class, everybody: Iterable[Graded]) -> str:
    """A table to look at: who, and the points of each lab. Empty: no record."""
    rows = [[one.student.id, one.student.name, one.student.email, *_points(of, one)] for one in everybody]
    return tables.write(["id", "name", "e-mail", *_titles(of)], rows)


def moodle(of: Class, everybody: Iterable[Graded]) -> str:
    """For Moodle's import of grades: the columns of the roster that say who, then one for each lab."""
    own = [of.roster.headers[name] for name in MOODLE if name in of.roster.headers]
    rows = [[*(one.student.lms.get(name, "") for name in own), *_points(of, one)] for one in everybody]
    return tables.write([*own, *_titles(of)], rows, mark=False)


def canvas(of: Class, everybody: Iterable[Graded]) -> str:
    """For Canvas's gradebook: its own columns, the line with the points possible, one column for each lab."""
    rows: list[list[object]] = [["    Points Possible", "", "", "", "", *[of.grading.points] * len(of.labs)]]
    for one in everybody:
        who = {"Student": one.student.name, "SIS Login ID": one.student.id} | {
            name: cell for name, cell in one.student.lms.items() if name in CANVAS
        }
        rows.append([*(who.get(name, "") for name in CANVAS), *_points(of, one)])
    return tables.write([*CANVAS, *_titles(of)], rows, mark=False)


def _titles(of: Class) -> list[str]:
    """The gradebook's names for the labs, else their numbers and titles."""
    labs = [catalogue.load(slug) for slug in of.labs]
    language = of.languages[0]
    return [of.grading.columns.get(lab.slug, f"{lab.number} {choose(lab.title, language)}") for lab in labs]


def _points(of: Class, one: Graded) -> list[object]:
    return [f"{grade.points:g}" for grade in one.grades] if one.grades else [""] * len(of.labs)


FORMATS = {"csv": csv, "moodle": moodle, "canvas": canvas}
