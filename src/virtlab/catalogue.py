"""The labs there are: labs/*/lab.yml, read and checked. A broken one is listed and disturbs no other."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from virtlab import checks as checking
from virtlab import paths, patience, quiz, settings
from virtlab.errors import LabError, UsageError
from virtlab.language import say
from virtlab.quiz import Quiz
from virtlab.text import Text, nearest
from virtlab.values import Kind, Values, draw
from virtlab.yamlfile import Document

LABEL = "virtlab.lab"
PLAYBOOKS = ("start.yml", "solve.yml", "finish.yml")
SLUG = re.compile(r"^(\d{2})-[a-z0-9]+(-[a-z0-9]+)*$")


@dataclass(frozen=True)
class Task:
    id: str
    title: Text
    hints: tuple[Text, ...] = ()
    explain: Text | None = None  # what `lab solve` did, and why so


@dataclass(frozen=True)
class Needs:
    docker: bool = False
    libvirt: bool = False
    memory_mb: int = 0
    disk_mb: int = 0
    images: tuple[str, ...] = ()


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
    kinds: Mapping[str, Kind] = field(default_factory=dict)  # values of the learner's own
    learned: tuple[Text, ...] = ()
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
        near = nearest(wanted, known)
        raise UsageError(
            say("Lab {lab} has no task '{task}'{near}.", lab=self.slug, task=wanted, near=near),
            do=say("Its tasks are: {tasks}.", tasks=", ".join(known)),
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
        return quiz.read(self.folder / "quiz.yml")

    @cached_property
    def values(self) -> Values:
        """The learner's own values, drawn when one is asked for."""
        return Values(self.slug, self.kinds, self.ports)

    def environment(self) -> dict[str, str]:
        """What a terminal or a guide of this lab has in its environment."""
        words: dict[str, Any] = {"LAB": self.slug, "LAB_PREFIX": self.prefix}
        if self.ports:
            words["LAB_PORT"] = next(iter(self.ports.values()))
        words |= {f"LAB_PORT_{name.upper()}": port for name, port in self.ports.items()}
        words |= {f"LAB_{name.upper()}": value for name, value in self.values.items()}
        return {name: str(value) for name, value in words.items()}

    def variables(self) -> dict[str, Any]:
        """What its playbooks get, as the one variable `lab`."""
        return {
            "slug": self.slug,
            "prefix": self.prefix,
            "label": self.label,
            "ports": dict(self.ports),
            "value": dict(self.values),  # in Jinja, `.values` is a method of every table
            "work": str(self.work),
            "data": str(self.data),
            "host": self.host.as_dict(),
            "patience": patience.times(),
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
    kinds, ports = _kinds(document, slug, values)
    return Lab(
        slug=slug,
        title=Text(values["title"]),
        summary=Text(values["summary"]),
        track=values["track"],
        minutes=values["minutes"],
        prefix=values["prefix"],
        tasks=tuple(
            Task(
                one["id"],
                Text(one["title"]),
                tuple(map(Text, one.get("hints") or ())),
                Text(one["explain"]) if "explain" in one else None,
            )
            for one in values["tasks"]
        ),
        ports=ports,
        needs=Needs(**needs),
        folder=folder,
        kinds=kinds,
        learned=tuple(map(Text, values.get("learned") or ())),
    )


def _kinds(
    document: Document, slug: str, values: Mapping[str, Any]
) -> tuple[dict[str, Kind], dict[str, int]]:
    """What is drawn for each learner, and all ports: a drawn one is looked at and removed like the others."""
    kinds: dict[str, Kind] = {}
    ports: dict[str, int] = dict(values.get("ports") or {})
    for name, one in (values.get("values") or {}).items():
        if name in ports:
            raise document.at(("values", name), f"'{name}' is a port's name already")
        ranged = one["kind"] in ("number", "port")
        if ranged and not one.get("from", 1) < one.get("to", 0):
            raise document.at(("values", name), "it is drawn `from` one number `to` a larger one")
        if one["kind"] == "port" and not 1024 <= one["from"] < one["to"] <= 65535:
            raise document.at(("values", name), "a port is from 1024 to 65535")
        kinds[name] = Kind(one["kind"], Text(one["title"]), one.get("from", 0), one.get("to", 0))
    if any(one.kind == "port" for one in kinds.values()):
        drawn = draw(slug, kinds)
        ports |= {name: int(drawn[name]) for name, one in kinds.items() if one.kind == "port"}
    return kinds, ports


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
        say("There is no lab '{wanted}'{near}.", wanted=wanted, near=nearest(wanted, names)),
        do=say("`lab list` shows all of them."),
    )


def find(wanted: str) -> Lab:
    return load(slug(wanted))
