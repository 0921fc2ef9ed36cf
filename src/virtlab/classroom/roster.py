"""Who is in the class: roster.csv with id, name, e-mail, or what Moodle and Canvas export."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from virtlab.classroom import tables
from virtlab.classroom.findings import Finding
from virtlab.classroom.tables import Row

ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}")
E_MAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
MOST = 2000  # students; beyond, one hub is not the thing

# What a column may be called: without case, spaces, dots, dashes and underscores.
COLUMNS = {
    "id": "id studentid userid 学号 学生编号 id号 id号码 编号",
    "login": "username login loginid sisloginid 用户名 登录名 登录id 账号 帐号",
    "number": "idnumber sisuserid studentnumber matriculationnumber 学生号",
    "name": "name fullname student studentname displayname 姓名 全名 学生 学生姓名",
    "first": "firstname givenname forename 名 名字",
    "last": "lastname surname familyname 姓 姓氏",
    "email": "email mail emailaddress 邮箱 电子邮件 电子邮箱 电子邮件地址 email地址 邮件地址 邮件",
    "section": "section sections 班级 班",
    "role": "role roles 角色",
}
KNOWN = {name: column for column, names in COLUMNS.items() for name in names.split()}
# Where the name in the hub is taken from, best first. In Canvas's gradebook "ID" is Canvas's own number.
SOURCES = {"canvas": ("login", "number", "id"), "": ("id", "login", "number", "email")}


@dataclass(frozen=True)
class Student:
    id: str
    name: str
    email: str
    line: int = 0
    lms: Mapping[str, str] = field(default_factory=dict, compare=False)  # the roster's cells, by header


@dataclass(frozen=True)
class Roster:
    students: tuple[Student, ...]
    findings: tuple[Finding, ...]
    form: str = ""  # canvas, moodle or "": a list of one's own
    headers: Mapping[str, str] = field(default_factory=dict)  # what the file calls the columns we know


def read(file: Path, reserved: frozenset[str] = frozenset()) -> Roster:
    """`reserved`: names that are somebody else's, the instructors'."""
    try:
        table = tables.read(file)
    except tables.UnreadableError as error:
        return Roster((), (error.finding,))
    if not table.rows:
        return Roster((), (Finding(file, 1, "The roster is empty.", "The first line is: id,name,e-mail"),))
    head, *body = table.rows
    columns = _columns(head)
    form = _form(columns, head)
    source = next((name for name in SOURCES.get(form, SOURCES[""]) if name in columns), "")
    if not source:
        seen = ", ".join(f"'{cell}'" for cell in head.cells)
        return Roster((), (Finding(
            file, head.line, f"No column says who is who; I see {seen}.",
            "One has to be called id, username, ID number, SIS Login ID or e-mail (or 学号, 用户名, 邮箱).",
        ),))  # fmt: skip
    students, found = [], []
    for row in body:
        if _is_no_student(row, columns, form):
            continue
        student, wrong = _student(file, row, head, columns, source)
        students.append(student)
        found += wrong
    found += _together(file, students, reserved)
    headers = {name: head.cells[index] for name, index in columns.items()}
    return Roster(tuple(students), tuple(sorted(found)), form, headers)


def _key(header: str) -> str:
    return re.sub(r"[\s._\-:：]", "", unicodedata.normalize("NFKC", header).lower())


def _columns(head: Row) -> dict[str, int]:
    columns: dict[str, int] = {}
    for index, cell in enumerate(head.cells):
        if (name := KNOWN.get(_key(cell))) is not None:
            columns.setdefault(name, index)
    return columns


def _form(columns: Mapping[str, int], head: Row) -> str:
    keys = [_key(cell) for cell in head.cells]
    if "sisloginid" in keys or "sisuserid" in keys or (keys[:2] == ["student", "id"] and "section" in keys):
        return "canvas"
    return "moodle" if {"first", "last"} <= set(columns) else ""


def _is_no_student(row: Row, columns: Mapping[str, int], form: str) -> bool:
    """Canvas puts lines of its own between: points, posting policies, a student for trying things out."""
    name = _cell(row, columns, "name") or _cell(row, columns, "last")
    if form == "canvas":
        return not name or name.startswith("Points Possible") or name == "Student, Test"
    roles = _cell(row, columns, "role").lower()
    return form == "moodle" and bool(_TEACHERS & {one.strip() for one in roles.split(",")})


_TEACHERS = {"teacher", "manager", "non-editing teacher", "editingteacher", "教师", "无编辑权教师", "管理员"}


def _cell(row: Row, columns: Mapping[str, int], name: str) -> str:
    index = columns.get(name, len(row.cells))
    return row.cells[index] if index < len(row.cells) else ""


def _student(
    file: Path, row: Row, head: Row, columns: Mapping[str, int], source: str
) -> tuple[Student, list[Finding]]:
    found = []
    given, email = _cell(row, columns, source), _cell(row, columns, "email")
    id = (given.split("@")[0] if E_MAIL.fullmatch(given) else given).lower()
    name = _name(row, columns)
    if len(row.cells) > len(head.cells):
        said = f"The line has {len(row.cells)} cells, the first line {len(head.cells)}."
        do = "A comma inside a cell needs quotation marks around the cell."
        found.append(Finding(file, row.line, said, do))
    column = head.cells[columns[source]]
    if not given:
        found.append(Finding(file, row.line, f"'{column}' is empty."))
    elif not ID.fullmatch(id):
        found.append(Finding(file, row.line, f"'{id}' is no name for an account: {_why(id)}.",
                             f"Change '{column}', or add a column `id`."))  # fmt: skip
    if not name:
        found.append(Finding(file, row.line, f"{id or 'Somebody'} has no name.", is_error=False))
    if any(cell[:1] in ("=", "+", "@") for cell in (name, email)):
        found.append(Finding(file, row.line, "A cell begins like a formula.", "Remove the first character."))
    if email and not E_MAIL.fullmatch(email):
        found.append(Finding(file, row.line, f"'{email}' is no e-mail address."))
    lms = {title: cell for title, cell in zip(head.cells, row.cells, strict=False) if title}
    return Student(id, name, email, row.line, lms), found


def _why(id: str) -> str:
    if len(id) > 32:
        return f"it has {len(id)} characters, more than 32"
    strange = sorted({char for char in id if not re.match(r"[a-z0-9._-]", char)})
    if strange:
        return f"it has {' '.join(repr(char) for char in strange)}; a to z, 0 to 9, . _ - can be used"
    return "it must begin with a letter or a digit"


def _name(row: Row, columns: Mapping[str, int]) -> str:
    if whole := _cell(row, columns, "name"):
        last, comma, first = whole.partition(", ")  # Canvas: "Doe, Jane"
        return _join(first, last) if comma else whole
    return _join(_cell(row, columns, "first"), _cell(row, columns, "last"))


def _join(first: str, last: str) -> str:
    """As people are called: 王小明, Jane Doe."""
    if re.fullmatch(r"[\u3400-\u9fff]+", first + last):
        return last + first
    return f"{first} {last}".strip()


def _together(file: Path, students: list[Student], reserved: frozenset[str]) -> Iterator[Finding]:
    """What only shows when all are looked at."""
    if not students:
        yield Finding(file, 1, "There is nobody in the roster.")
    if len(students) > MOST:
        yield Finding(file, students[MOST].line, f"More than {MOST} students are too many for one hub.")
    ids: dict[str, Student] = {}
    mails: dict[str, Student] = {}
    for student in students:
        if student.id in reserved:
            yield Finding(file, student.line, f"'{student.id}' is an instructor in class.yml.")
        if (first := ids.setdefault(student.id, student)) is not student and student.id:
            yield Finding(file, student.line, f"'{student.id}' stands in line {first.line} already.",
                          "Each needs an id of its own.")  # fmt: skip
        elif student.email and (first := mails.setdefault(student.email.lower(), student)) is not student:
            said = f"{student.email} is {first.id}'s e-mail address too."
            yield Finding(file, student.line, said, is_error=False)
