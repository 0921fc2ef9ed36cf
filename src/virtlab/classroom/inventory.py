"""A class as its folder describes it: hosts.yml, class.yml, roster.csv. All that is wrong is said at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from virtlab import catalogue, paths
from virtlab.classroom import findings, machines, roster
from virtlab.classroom.findings import Finding
from virtlab.classroom.machines import Machine
from virtlab.classroom.roster import Roster
from virtlab.errors import LabError, UsageError
from virtlab.hub.placement import SeatSize
from virtlab.text import Text
from virtlab.yamlfile import Document

SYSTEM_MB = 500  # what the system, Docker and JupyterLab of a seat take before any lab
LISTEN = {"address": "127.0.0.1", "port": 8443}
SEAT = {"memory_mb": 1536, "vcpus": 2, "disk_mb": 20480, "sharing": 4}


@dataclass(frozen=True)
class Grading:
    points: int = 100
    helped: float = 0.5
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Class:
    folder: Path
    title: Text
    languages: tuple[str, ...]
    address: str
    listen: str
    port: int
    instructors: tuple[str, ...]
    seat: SeatSize
    warm: int
    labs: tuple[str, ...]
    grading: Grading
    hub: Machine
    hosts: tuple[Machine, ...]
    roster: Roster

    @property
    def hosts_file(self) -> Path:
        """Ansible's inventory."""
        return self.folder / "hosts.yml"


def load(folder: Path) -> Class:
    """The class, when nothing is wrong with it."""
    found, wrong = read(folder)
    findings.stop(wrong)
    assert found  # noqa: S101 (no errors: then there is one)
    return found


def read(folder: Path) -> tuple[Class | None, list[Finding]]:
    """The class, or None when it cannot be used; and everything there is to say about its files."""
    if not folder.is_dir():
        raise UsageError(
            f"There is no folder {paths.short(folder.absolute())}.",
            do=f"`cp -r {paths.ROOT / 'inventory/classroom.example'} {folder}` makes one to change.",
        )
    found: list[Finding] = []
    hub, hosts = machines.read(folder / "hosts.yml", found)
    values, document = _class(folder / "class.yml", found)
    instructors = tuple(values.get("instructors", ("teacher",)))
    people = roster.read(folder / "roster.csv", frozenset(instructors))
    found += people.findings
    if document is None:
        return None, sorted(found)
    seat = SeatSize(**(SEAT | values.get("seat", {})))
    labs = _labs(values["labs"], seat, document, found)
    grading = _grading(values, labs, document, found)
    if hub is None or any(one.is_error for one in found):
        return None, sorted(found)
    listen = LISTEN | values.get("listen", {})
    address = values.get("address", f"https://localhost:{listen['port']}").rstrip("/")
    made = Class(
        folder, Text(values["title"]), tuple(values.get("languages", ("en", "zh"))), address,
        listen["address"], listen["port"], instructors, seat, values.get("warm", 2), labs, grading,
        hub, hosts, people,
    )  # fmt: skip
    return made, sorted(found)


def _class(file: Path, found: list[Finding]) -> tuple[dict[str, Any], Document | None]:
    try:
        document = Document(file)
        return document.validate("class.schema.json"), document
    except LabError as error:
        found.append(findings.of(file, error))
        return {}, None


def _labs(wanted: Sequence[str], seat: SeatSize, document: Document, found: list[Finding]) -> tuple[str, ...]:
    """Slugs of the labs, of which none needs more than a seat has."""
    if list(wanted) == ["all"]:
        every = [one for one in catalogue.every() if isinstance(one, catalogue.Lab)]
        return tuple(one.slug for one in every if one.needs.memory_mb <= seat.memory_mb - SYSTEM_MB)
    slugs = []
    for index, name in enumerate(wanted):
        line = document.lines[("labs", index)]
        try:
            lab = catalogue.find(name)
        except LabError as error:
            found.append(Finding(document.file, line, error.message, error.do))
            continue
        slugs.append(lab.slug)
        needs = lab.needs.memory_mb + SYSTEM_MB
        if needs > seat.memory_mb:
            found.append(Finding(
                document.file, line, f"{lab.slug} would not start in a seat of {seat.memory_mb} MiB.",
                f"Make `memory_mb` {-(-needs // 256) * 256}, or leave it out.",
            ))  # fmt: skip
        if lab.needs.disk_mb * 2 > seat.disk_mb:
            said = f"{lab.slug} needs {lab.needs.disk_mb} MiB of disk, a seat has {seat.disk_mb}."
            found.append(Finding(document.file, line, said, is_error=False))
    return tuple(slugs)


def smallest_mb(labs: Sequence[str]) -> int:
    """The memory with which a seat can still start each of these."""
    return max((catalogue.load(slug).needs.memory_mb for slug in labs), default=0) + SYSTEM_MB


def _grading(
    values: Mapping[str, Any], labs: Sequence[str], document: Document, found: list[Finding]
) -> Grading:
    given = dict(values.get("grades", {}))
    columns = {}
    for name, column in given.pop("columns", {}).items():
        try:
            columns[catalogue.slug(name)] = column
        except LabError as error:
            line = document.lines[("grades", "columns", name)]
            found.append(Finding(document.file, line, error.message, error.do))
    return Grading(**given, columns={slug: column for slug, column in columns.items() if slug in labs})
