"""Is a lab complete and well written? Named rules; each complaint says where, and what to do about it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from virtlab import catalogue, paths
from virtlab.catalogue import Lab
from virtlab.errors import LabError

TASKS = 5
QUESTIONS = 3


@dataclass(frozen=True)
class Finding:
    rule: str
    where: str
    message: str

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


Found = Iterator[tuple[str, str]]  # where, message


def lint(slug: str) -> list[Finding]:
    """Every complaint about a lab. Without a readable lab.yml there is nothing more to look at."""
    try:
        lab = catalogue.load(slug)
    except LabError as error:
        return [_finding("lab", error)]
    found = []
    for rule, look in RULES.items():
        try:
            found += [Finding(rule, where, message) for where, message in look(lab)]
        except LabError as error:
            found.append(_finding(rule, error))
    return found


def _finding(rule: str, error: LabError) -> Finding:
    where, _, message = error.message.partition(": ")
    return Finding(rule, where, message) if message else Finding(rule, "", error.message)


def tasks(lab: Lab) -> Found:
    """At least five tasks, each with a check, a hint and a Chinese title."""
    where = paths.short(lab.folder / "lab.yml")
    if len(lab.tasks) < TASKS:
        yield where, f"{len(lab.tasks)} tasks; a lab has {TASKS} or more"
    checked = {check.task for check in lab.checks}
    for task in lab.tasks:
        if task.id not in checked:
            yield where, f"task '{task.id}' has no check"
        if not task.hints:
            yield where, f"task '{task.id}' has no hint"
        if not task.explain:
            yield where, f"task '{task.id}' has no explanation (`explain`) for `lab solve --task`"
    if not lab.learned:
        yield where, "says nothing of what is learned (`learned`), which the learner is told at the end"


def checks(lab: Lab) -> Found:
    """Each check has a hint, and a way to break its outcome for the proof."""
    for check in lab.checks:
        where = f"{paths.short(check.file)}:{check.line}"
        if check.undo is None:
            yield where, f"check '{check.id}' has no broken_by, so nothing proves it"
        if not check.hint:
            yield where, f"check '{check.id}' has no hint"


def playbooks(lab: Lab) -> Found:
    """Plays over lab_host, without become and facts; in solve.yml a tag for each task; Ansible takes them."""
    import yaml

    tags: set[str] = set()
    for name in catalogue.PLAYBOOKS:
        file = lab.folder / name
        try:
            plays = yaml.safe_load(file.read_text())
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            yield f"{paths.short(file)}:{mark.line + 1 if mark else 1}", "not valid YAML"
            return
        if not isinstance(plays, list) or not all(isinstance(play, dict) for play in plays):
            yield f"{paths.short(file)}:1", "a playbook is a list of plays"
            return
        for play in plays:
            if play.get("hosts") != "lab_host":
                yield paths.short(file), "a lab's plays are for `hosts: lab_host`"
            if play.get("become"):
                yield paths.short(file), "a lab does not become root: what needs it is done by `lab up`"
            if play.get("gather_facts") is not False:
                yield paths.short(file), "say `gather_facts: false`: facts take a second at every start"
            if name == "solve.yml":
                tags |= set(_tags(play))
    for task in lab.tasks:
        if task.id not in tags:
            yield (
                paths.short(lab.folder / "solve.yml"),
                f"nothing is tagged '{task.id}', for `lab solve --task`",
            )
    yield from _syntax(lab)


def _tags(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        tags = node.get("tags", [])
        yield from [tags] if isinstance(tags, str) else tags
        for key in ("tasks", "block", "pre_tasks", "post_tasks", "always", "rescue"):
            yield from _tags(node.get(key))
    elif isinstance(node, list):
        for one in node:
            yield from _tags(one)


def _syntax(lab: Lab) -> Found:
    """What Ansible itself says, without running anything."""
    program = Path(sys.prefix) / "bin/ansible-playbook"
    books = [str(lab.folder / name) for name in catalogue.PLAYBOOKS]
    done = subprocess.run(
        [program, "--syntax-check", *books],
        cwd=paths.ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode:
        said = [line.strip() for line in done.stderr.splitlines() if line.strip() and "WARNING" not in line]
        yield paths.short(lab.folder), f"Ansible does not accept its playbooks: {' '.join(said)[:300]}"


def quiz(lab: Lab) -> Found:
    """Three questions or more, in the language of the guide and with an explanation for every choice."""
    count = len(lab.quiz.questions)
    if count < QUESTIONS:
        yield paths.short(lab.folder / "quiz.yml"), f"{count} questions; a lab has {QUESTIONS} or more"


def guide(lab: Lab) -> Found:
    """The guide is there, executed, in whole languages, and readable for everybody; it gives nothing away."""
    from virtlab import lint_guide

    yield from lint_guide.guide(lab)


RULES: dict[str, Callable[[Lab], Found]] = {
    "tasks": tasks,
    "checks": checks,
    "playbooks": playbooks,
    "quiz": quiz,
    "guide": guide,
}
