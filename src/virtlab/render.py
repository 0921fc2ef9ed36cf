"""Values as text. Plain when nobody watches; on a terminal with colour, but never by colour alone."""

from __future__ import annotations

import os
import re
import shlex
import sys
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

from virtlab.errors import Exit, LabError

if TYPE_CHECKING:
    from virtlab.catalogue import Broken, Lab
    from virtlab.lint import Finding
    from virtlab.outcomes import Finished, Grade, Hint, Solved, Started, Status
    from virtlab.prove import Proof
    from virtlab.scaffold import Made
    from virtlab.summary import Summary

COLOURS = {"good": "32", "bad": "31", "odd": "33", "quiet": "2", "strong": "1"}
MARKS = {"pass": ("✔", "good"), "fail": ("✘", "bad"), "unknown": ("?", "odd")}


class Style:
    """How this terminal wants its text."""

    def __init__(self, stream: TextIO | None = None) -> None:
        stream = stream or sys.stdout
        self.is_terminal = stream.isatty() and os.environ.get("TERM") != "dumb"
        self.has_colour = self.is_terminal and not os.environ.get("NO_COLOR")
        self.has_marks = self.is_terminal and "utf" in (stream.encoding or "").lower()

    def paint(self, text: str, colour: str) -> str:
        return f"\033[{COLOURS[colour]}m{text}\033[0m" if self.has_colour else text

    def mark(self, state: str) -> str:
        """A verdict as a word, with its shape on a terminal."""
        shape, colour = MARKS[state]
        return self.paint(f"{shape} {state}" if self.has_marks else state, colour)


Draw = Callable[[Style], str]


@dataclass(frozen=True)
class Result:
    """What a command returns: rendered once, as text or as JSON."""

    data: Any
    text: str | Draw
    exit: Exit = Exit.OK

    def draw(self, style: Style) -> str:
        return self.text if isinstance(self.text, str) else self.text(style)


def width(text: str) -> int:
    """Columns on a terminal: Chinese characters take two."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def table(rows: Iterable[Sequence[str]], style: Style, head: Sequence[str] = ()) -> str:
    body = [list(row) for row in rows]
    if head:
        body.insert(0, [name.upper() for name in head])
    if not body:
        return ""
    widths = [max(width(row[column]) for row in body) for column in range(len(body[0]))]
    lines = [
        "  ".join(c + " " * (w - width(c)) for c, w in zip(row, widths, strict=True)).rstrip() for row in body
    ]
    if head:
        lines[0] = style.paint(lines[0], "strong")
    return "\n".join(lines)


def indent(text: str, by: int) -> str:
    return "\n".join(" " * by + line for line in text.splitlines())


def error(problem: LabError, style: Style) -> str:
    said = f"{style.paint('Error:', 'bad')} {problem.message}"
    return f"{said}\n{style.paint('What to do:', 'strong')} {problem.do}" if problem.do else said


def labs(every: Sequence[Lab | Broken], passed: dict[str, str], style: Style) -> str:
    from virtlab.catalogue import Broken

    rows = [
        (lab.slug, "-", "-", f"cannot be used: {lab.error.message}")
        if isinstance(lab, Broken)
        else (lab.slug, f"{lab.minutes} min", passed.get(lab.slug, ""), str(lab.title))
        for lab in every
    ]
    if not rows:
        return "There are no labs here."
    return table(rows, style, ("lab", "takes", "passed", "title"))


def lab(one: Lab, style: Style) -> str:
    needs = one.needs
    wants = [
        *(["Docker"] if needs.docker else []),
        *(["libvirt"] if needs.libvirt else []),
        *([f"{needs.memory_mb} MiB memory"] if needs.memory_mb else []),
        *([f"{needs.disk_mb} MiB disk"] if needs.disk_mb else []),
        *([f"images {', '.join(needs.images)}"] if needs.images else []),
    ]
    ports = ", ".join(f"{name}={port}" for name, port in one.ports.items())
    facts = [
        ("takes", f"about {one.minutes} minutes"),
        ("needs", ", ".join(wants)),
        ("ports", ports),
        ("yours", _yours(one)),
        ("names", f"{one.prefix}-…"),
        ("folder", str(one.work)),
    ]
    return "\n".join(
        [
            f"{style.paint(one.slug, 'strong')}  {one.title}",
            str(one.summary),
            "",
            table([fact for fact in facts if fact[1]], style),
            "",
            style.paint("Tasks", "strong"),
            *(f"  {number}. {task.title}  ({task.id})" for number, task in enumerate(one.tasks, 1)),
        ]
    )


def _yours(one: Lab) -> str:
    """The learner's own values, as commands spell them."""
    return ", ".join(f"$LAB_{name.upper()}={shlex.quote(str(value))}" for name, value in one.values.items())


def started(done: Started, style: Style) -> str:
    if done.already:
        said = "was started already; " + (
            "nothing to change." if not done.changed else f"{done.changed} things mended."
        )
    else:
        said = f"is ready ({done.seconds:.1f} s)."
    lines = [f"{style.paint(done.lab.slug, 'strong')} {said}", *done.notes, f"Your folder: {done.lab.work}"]
    if done.lab.ports:
        lines.append("Ports: " + ", ".join(f"{name}={port}" for name, port in done.lab.ports.items()))
    if done.lab.values:
        lines.append(f"Yours alone: {_yours(done.lab)}")
    return "\n".join([*lines, f"Next: work on the tasks, then `lab grade {done.lab.number}`."])


def grade(done: Grade, style: Style) -> str:
    lines = []
    for number, task in enumerate(done.lab.tasks, 1):
        lines.append(style.paint(f"{number}. {task.title}", "strong"))
        for one in (one for one in done.results if one.task == task.id):
            lines.append(f"   {style.mark(one.state)}  {one.title}")
            lines.append(indent(one.message, 8))
            if one.state == "fail" and one.hint:
                lines.append(indent(style.paint(f"Hint: {one.hint}", "quiet"), 8))
            if one.do:
                lines.append(indent(f"What to do: {one.do}", 8))
    summary = f"{done.passed} of {done.total} checks pass ({done.seconds:.2f} s)."
    lines += ["", style.paint(summary, "good" if done.passed == done.total else "strong"), *done.notes]
    if done.passed < done.total:
        lines.append(f"`lab hint {done.lab.number}` gives the next step.")
    return "\n".join([*lines, *_ending(done.summary, style)])


def hint(done: Hint, style: Style) -> str:
    if done.task is None:
        return f"Every task of {done.lab.slug} is done: there is nothing to hint at."
    title = style.paint(f"{done.task.title} ({done.task.id})", "strong")
    if done.text is None:
        return (
            f"{title}\nIt has no hint. `lab solve {done.lab.number} --task {done.task.id}` does it for you."
        )
    more = (
        f"`lab hint {done.lab.number} {done.task.id}` says more."
        if done.number < done.of
        else f"That was the last one. `lab solve {done.lab.number} --task {done.task.id}` does it for you."
    )
    return f"{title}\nHint {done.number} of {done.of}: {done.text}\n{more}"


def solved(done: Solved, style: Style) -> str:
    what = f"task {done.task.id}" if done.task else "every task"
    from virtlab import telling

    said = f"{style.paint(done.lab.slug, 'strong')}: {what} is done ({done.seconds:.1f} s)."
    then = f"Look at what is there now, then `lab grade {done.lab.number}`."
    return "\n".join([said, *(_bold(line, style) for line in telling.solved(done)), then])


def _ending(summary: Summary | None, style: Style) -> list[str]:
    if summary is None:
        return []
    from virtlab import telling

    title, lines = telling.summary(summary)
    return ["", style.paint(title, "good"), *(_bold(line, style) for line in lines)]


def _bold(line: str, style: Style) -> str:
    return re.sub(r"\*\*([^*]+)\*\*", lambda found: style.paint(found[1], "strong"), line)


def finished(done: Finished, style: Style) -> str:
    lines = [
        f"{style.paint(done.lab.slug, 'strong')} is finished ({done.seconds:.1f} s). "
        f"Your files stay in {done.lab.work}."
    ]
    if done.removed:
        lines.append(f"Removed: {_some(done.removed)}.")
    if done.left:
        lines.append(f"Appeared meanwhile and not the lab's, so left alone: {_some(done.left)}.")
    return "\n".join([*lines, *done.notes, *_ending(done.summary, style)])


def _some(names: Sequence[str], most: int = 8) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def status(found: Sequence[Status], style: Style) -> str:
    if not found:
        return "No lab was started yet. `lab list` shows what there is."
    rows = []
    for one in found:
        phase = {
            "new": "not started",
            "starting": "start not completed",
            "finishing": "finish not completed",
        }.get(one.phase, one.phase)
        helps = [f"hints: {sum(shown for _, shown in one.record.hints)}"] if one.record.hints else []
        helps += [f"solved for you: {_some(one.record.solved, 3)}"] if one.record.solved else []
        rows.append(
            (
                one.lab.slug,
                phase,
                f"{one.record.passed} of {one.total}",
                one.since or "-",
                ", ".join(helps) or "-",
            )
        )
    text = table(rows, style, ("lab", "state", "passed", "since", "help"))
    if len(found) == 1 and found[0].record.checks:
        marks = [
            (
                style.mark(check.state),
                check.id,
                f"first passed {check.first_passed}" if check.first_passed else "",
            )
            for check in found[0].record.checks
        ]
        text += "\n\n" + "\n".join("  ".join(row).rstrip() for row in marks)
    return text


def proof(done: Proof, style: Style) -> str:
    rows = [
        (row.id, *("ok" if not said else "NO" for said in (row.fresh, row.solved, row.broken, row.repaired)))
        for row in done.rows
    ]
    lines = [
        table(rows, style, ("check", "fresh: fails", "solved: passes", "broken: fails", "repaired: passes"))
    ]
    for row in done.rows:
        stages = (
            ("fresh", row.fresh),
            ("solved", row.solved),
            ("broken", row.broken),
            ("repaired", row.repaired),
        )
        lines += [f"{row.id}, {stage}: {said}" for stage, said in stages if said]
    lines += done.problems
    lines += done.left or ([] if done.problems else ["Finish is clean, twice: the machine is as it was."])
    verdict = style.paint("proven", "good") if not done.exit else style.paint("NOT PROVEN", "bad")
    return "\n".join([*lines, f"{done.lab.slug}: {verdict} ({done.seconds:.0f} s)."])


def findings(found: Sequence[Finding], looked: int, style: Style) -> str:
    lines = [f"{one.where}: {one.message} ({one.rule})" for one in found]
    problems = "nothing to complain about" if not found else f"{len(found)} things to mend"
    return "\n".join(
        [*lines, style.paint(f"{looked} labs looked at: {problems}.", "bad" if found else "good")]
    )


def made(done: Made, style: Style) -> str:
    from virtlab import paths

    files = [f"  {paths.short(file)}" for file in done.files]
    todo = [f"  {number}. {said}" for number, said in enumerate(done.todo, 1)]
    return "\n".join(
        [f"{style.paint(done.lab.slug, 'strong')} is there, and works:", *files, "What is left:", *todo]
    )
