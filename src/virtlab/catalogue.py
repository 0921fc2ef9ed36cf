"""The labs there are: labs/*/lab.yml, read and checked. A broken one is listed and disturbs no other."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from virtlab import checks as checking
from virtlab import paths, settings
from virtlab.errors import LabError, UsageError
from virtlab.yamlfile import Document

LABEL = "virtlab.lab"
PLAYBOOKS = ("start.yml", "solve.yml", "finish.yml")
SLUG = re.compile(r"^(\d{2})-[a-z0-9]+(-[a-z0-9]+)*$")


def language() -> str:
    """The reader's language: `$VIRTLAB_LANG`, else that of the locale."""
    spoken = os.environ.get("VIRTLAB_LANG") or os.environ.get("LC_ALL") or os.environ.get("LANG") or ""
    return "zh" if spoken.lower().startswith("zh") else "en"


class Text(dict[str, str]):
    """One text in several languages; `str()` gives the reader's, English when there is no other."""

    def __str__(self) -> str:
        return self.get(language()) or self["en"]


@dataclass(frozen=True)
class Task:
    id: str
    title: Text
    hints: tuple[Text, ...] = ()


@dataclass(frozen=True)
class Needs:
    docker: bool = False
    libvirt: bool = False
    memory_mb: int = 0
    disk_mb: int = 0
    images: tuple[str, ...] = ()


@dataclass(frozen=True)
class Choice:
    text: Text
    right: bool
    feedback: Text


@dataclass(frozen=True)
class Question:
    id: str
    question: Text
    choices: tuple[Choice, ...]


@dataclass(frozen=True)
class Quiz:
    questions: tuple[Question, ...] = ()
    predictions: tuple[Question, ...] = ()

    def find(self, wanted: str) -> Question:
        every = {one.id: one for one in (*self.questions, *self.predictions)}
        if wanted not in every:
            raise UsageError(
                f"There is no question '{wanted}'{_nearest(wanted, every)}.",
                do=f"There are: {', '.join(every)}.",
            )
        return every[wanted]


@dataclass(frozen=True)
class Lab:
    """A lab, as playbooks, checks and guides see it."""

    slug: str
    title: Text
    summary: Text
    track: str
    minutes: int
    prefix: str
    tasks: tuple[Task, ...]
    ports: Mapping[str, int]
    needs: Needs
    folder: Path
    host: settings.Host = field(default_factory=settings.host, repr=False, compare=False)

    label = LABEL

    @property
    def number(self) -> str:
        return self.slug[:2]

    @property
    def notebook(self) -> Path:
        """The guide's source."""
        return paths.NOTEBOOKS / f"{self.slug}.ipynb"

    @property
    def work(self) -> Path:
        """The learner's folder: the guide, and the files made in this lab."""
        return paths.workspace() / self.slug

    @property
    def data(self) -> Path:
        """A private folder of the lab's own, for secrets and state; gone at its finish."""
        return paths.data() / "labs" / self.slug

    def name(self, what: str) -> str:
        return f"{self.prefix}-{what}"

    def task(self, wanted: str) -> Task:
        for one in self.tasks:
            if one.id == wanted:
                return one
        known = [one.id for one in self.tasks]
        raise UsageError(
            f"Lab {self.slug} has no task '{wanted}'{_nearest(wanted, known)}.",
            do=f"Its tasks are: {', '.join(known)}.",
        )

    def with_ports(self, moved: Mapping[str, int]) -> Lab:
        for name in moved:
            if name not in self.ports:
                known = ", ".join(self.ports) or "none"
                raise UsageError(f"Lab {self.slug} has no port '{name}'.", do=f"Its ports are: {known}.")
        return replace(self, ports={**self.ports, **moved})

    @cached_property
    def checks(self) -> list[checking.Check]:
        return checking.load(self.folder / "checks.py", [task.id for task in self.tasks])

    @cached_property
    def quiz(self) -> Quiz:
        return _quiz(self.folder / "quiz.yml")

    def variables(self) -> dict[str, Any]:
        """What its playbooks get, as the one variable `lab`."""
        return {
            "slug": self.slug,
            "prefix": self.prefix,
            "label": self.label,
            "ports": dict(self.ports),
            "work": str(self.work),
            "data": str(self.data),
            "host": self.host.as_dict(),
        }


@dataclass(frozen=True)
class Broken:
    """A lab that cannot be read, and why."""

    slug: str
    error: LabError


def slugs() -> list[str]:
    if not paths.LABS.is_dir():
        return []
    return sorted(
        folder.name
        for folder in paths.LABS.iterdir()
        if folder.is_dir() and not folder.name.startswith((".", "_"))
    )


def load(slug: str) -> Lab:
    """The lab of this very name, or what is wrong with it."""
    folder = paths.LABS / slug
    if not SLUG.match(slug):
        raise UsageError(f"{paths.short(folder)}: a lab's folder is called like 05-container-networks.")
    document = Document(folder / "lab.yml")
    values = document.validate("lab.schema.json")
    seen: set[str] = set()
    for index, task in enumerate(values["tasks"]):
        if task["id"] in seen:
            raise document.at(("tasks", index, "id"), f"task '{task['id']}' is there twice")
        seen.add(task["id"])
    missing = [name for name in (*PLAYBOOKS, "checks.py") if not (folder / name).is_file()]
    if missing:
        raise UsageError(f"{paths.short(folder / missing[0])}:1: the file is missing; every lab has one.")
    needs = dict(values.get("needs") or {})
    needs["images"] = tuple(needs.get("images") or ())
    return Lab(
        slug=slug,
        title=Text(values["title"]),
        summary=Text(values["summary"]),
        track=values["track"],
        minutes=values["minutes"],
        prefix=values["prefix"],
        tasks=tuple(
            Task(one["id"], Text(one["title"]), tuple(map(Text, one.get("hints") or ())))
            for one in values["tasks"]
        ),
        ports=values.get("ports") or {},
        needs=Needs(**needs),
        folder=folder,
    )


def every() -> list[Lab | Broken]:
    """All labs in their order, the broken ones as such."""
    found: list[Lab | Broken] = []
    for slug in slugs():
        try:
            found.append(load(slug))
        except LabError as error:
            found.append(Broken(slug, error))
    return found


def slug(wanted: str) -> str:
    """The whole name of the lab meant by `05`, `5`, `container-networks` or the slug itself."""
    known = slugs()
    for one in known:
        number, _, name = one.partition("-")
        if wanted in (one, number, name) or (
            wanted.isdigit() and number.isdigit() and int(wanted) == int(number)
        ):
            return one
    names = known + [one.partition("-")[2] for one in known]
    raise UsageError(
        f"There is no lab '{wanted}'{_nearest(wanted, names)}.", do="`lab list` shows all of them."
    )


def find(wanted: str) -> Lab:
    return load(slug(wanted))


def _quiz(file: Path) -> Quiz:
    if not file.exists():
        return Quiz()
    document = Document(file)
    values = document.validate("quiz.schema.json")
    seen: set[str] = set()
    for part in ("quiz", "predict"):
        for index, one in enumerate(values.get(part) or ()):
            if one["id"] in seen:
                raise document.at((part, index, "id"), f"question '{one['id']}' is there twice")
            if not any(choice["right"] for choice in one["choices"]):
                raise document.at((part, index, "choices"), f"question '{one['id']}' has no right answer")
            seen.add(one["id"])
    return Quiz(_questions(values["quiz"]), _questions(values.get("predict") or ()))


def _questions(values: Sequence[Mapping[str, Any]]) -> tuple[Question, ...]:
    return tuple(
        Question(
            one["id"],
            Text(one["question"]),
            tuple(
                Choice(Text(item["text"]), item["right"], Text(item["feedback"])) for item in one["choices"]
            ),
        )
        for one in values
    )


def _nearest(wanted: str, known: Any) -> str:
    import difflib

    near = difflib.get_close_matches(wanted, list(known), 1, 0.5)
    return f" (did you mean '{near[0]}'?)" if near else ""
