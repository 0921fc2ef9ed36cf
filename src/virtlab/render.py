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
from virtlab.language import say

if TYPE_CHECKING:
    from virtlab.catalogue import Lab
    from virtlab.outcomes import Finished, Grade, Hint, Solved, Started, Status
    from virtlab.overview import Entry
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
        word = say(state)
        return self.paint(f"{shape} {word}" if self.has_marks else word, colour)


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
    from virtlab import messages

    problem = messages.error(problem)
    said = f"{style.paint(say('Error:'), 'bad')} {problem.message}"
    return f"{said}\n{style.paint(say('What to do:'), 'strong')} {problem.do}" if problem.do else said


def labs(every: Sequence[Entry], style: Style) -> str:
    rows = [_row(one, style) for one in every]
    if not rows:
        return say("There are no labs here.")
    told = [error(why, style) for one in every if one.stands == "blocked" for why in one.why]
    head = [say(name) for name in ("lab", "takes", "state", "title")]
    return "\n".join([table(rows, style, head), *(["", *told] if told else [])])


def _row(one: Entry, style: Style) -> tuple[str, str, str, str]:
    from virtlab.catalogue import Broken

    lab = one.lab
    if isinstance(lab, Broken):
        return lab.slug, "-", "-", say("cannot be used: {why}", why=lab.error.message)
    tasks = say("{done} of {all} tasks", done=len(one.solved), all=len(lab.tasks))
    stands = {
        "new": tasks if one.solved else "", "begun": f"{say('begun')}, {tasks}",
        "blocked": say("cannot start"), "done": say("done"),
    }  # fmt: skip
    return lab.slug, say("{minutes} min", minutes=lab.minutes), stands[one.stands], str(lab.title)


def lab(one: Lab, style: Style) -> str:
    needs = one.needs
    wants = [
        *(["Docker"] if needs.docker else []),
        *(["libvirt"] if needs.libvirt else []),
        *([say("{size} MiB memory", size=needs.memory_mb)] if needs.memory_mb else []),
        *([say("{size} MiB disk", size=needs.disk_mb)] if needs.disk_mb else []),
        *([say("images {names}", names=", ".join(needs.images))] if needs.images else []),
    ]
    ports = ", ".join(f"{name}={port}" for name, port in one.ports.items())
    facts = [
        (say("takes"), say("about {minutes} minutes", minutes=one.minutes)),
        (say("needs"), ", ".join(wants)),
        (say("ports"), ports),
        (say("yours"), _yours(one)),
        (say("names"), f"{one.prefix}-…"),
        (say("folder"), str(one.work)),
    ]
    return "\n".join(
        [
            f"{style.paint(one.slug, 'strong')}  {one.title}",
            str(one.summary),
            "",
            table([fact for fact in facts if fact[1]], style),
            "",
            style.paint(say("Tasks"), "strong"),
            *(f"  {number}. {task.title}  ({task.id})" for number, task in enumerate(one.tasks, 1)),
        ]
    )


def _yours(one: Lab) -> str:
    """The learner's own values, as commands spell them."""
    return ", ".join(f"$LAB_{name.upper()}={shlex.quote(str(value))}" for name, value in one.values.items())


def started(done: Started, style: Style) -> str:
    if done.already:
        said = say("{lab} was started already; nothing to change.")
        if done.changed:
            said = say("{lab} was started already; {changed} things mended.")
    else:
        said = say("{lab} is ready ({seconds:.1f} s).")
    name = style.paint(done.lab.slug, "strong")
    lines = [said.format(lab=name, changed=done.changed, seconds=done.seconds), *done.notes]
    lines.append(say("Your folder: {folder}", folder=done.lab.work))
    if done.lab.ports:
        ports = ", ".join(f"{name}={port}" for name, port in done.lab.ports.items())
        lines.append(say("Ports: {ports}", ports=ports))
    if done.lab.values:
        lines.append(say("Yours alone: {values}", values=_yours(done.lab)))
    return "\n".join([*lines, say("Next: work on the tasks, then `lab grade {lab}`.", lab=done.lab.number)])


def grade(done: Grade, style: Style) -> str:
    lines = []
    for number, task in enumerate(done.lab.tasks, 1):
        lines.append(style.paint(f"{number}. {task.title}", "strong"))
        for one in (one for one in done.results if one.task == task.id):
            lines.append(f"   {style.mark(one.state)}  {one.title}")
            lines.append(indent(one.message, 8))
            if one.state == "fail" and one.hint:
                lines.append(indent(style.paint(say("Hint: {hint}", hint=one.hint), "quiet"), 8))
            if one.do:
                lines.append(indent(f"{say('What to do:')} {one.do}", 8))
    summary = say("{passed} of {total} checks pass ({seconds:.2f} s).")
    summary = summary.format(passed=done.passed, total=done.total, seconds=done.seconds)
    lines += ["", style.paint(summary, "good" if done.passed == done.total else "strong"), *done.notes]
    if any(one.state == "unknown" for one in done.results):
        said = say("Where nobody can tell, first do what stands there; then `lab grade {lab}` again.")
        lines.append(said.format(lab=done.lab.number))
    elif done.passed < done.total:
        lines.append(say("`lab hint {lab}` gives the next step.", lab=done.lab.number))
    return "\n".join([*lines, *_ending(done.summary, style)])


def hint(done: Hint, style: Style) -> str:
    if done.task is None:
        return say("Every task of {lab} is done: there is nothing to hint at.", lab=done.lab.slug)
    title = style.paint(f"{done.task.title} ({done.task.id})", "strong")
    if done.text is None:
        more = say("It has no hint. `lab solve {lab} --task {task}` does it for you.")
        return f"{title}\n{more.format(lab=done.lab.number, task=done.task.id)}"
    more = (
        say("`lab hint {lab} {task}` says more.")
        if done.number < done.of
        else say("That was the last one. `lab solve {lab} --task {task}` does it for you.")
    ).format(lab=done.lab.number, task=done.task.id)
    said = say("Hint {number} of {of}: {text}", number=done.number, of=done.of, text=done.text)
    return f"{title}\n{said}\n{more}"


def solved(done: Solved, style: Style) -> str:
    what = say("task {task}", task=done.task.id) if done.task else say("every task")
    name = style.paint(done.lab.slug, "strong")
    said = say("{lab}: {what} is done ({seconds:.1f} s).", lab=name, what=what, seconds=done.seconds)
    then = say("Look at what is there now, then `lab grade {lab}`.", lab=done.lab.number)
    from virtlab import telling

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
    said = say("{lab} is finished ({seconds:.1f} s). Your files stay in {folder}.")
    name = style.paint(done.lab.slug, "strong")
    lines = [said.format(lab=name, seconds=done.seconds, folder=done.lab.work)]
    if done.removed:
        lines.append(say("Removed: {names}.", names=_some(done.removed)))
    if done.left:
        said = say("Appeared meanwhile and not the lab's, so left alone: {names}.", names=_some(done.left))
        lines.append(said)
    return "\n".join([*lines, *done.notes, *_ending(done.summary, style)])


def _some(names: Sequence[str], most: int = 8) -> str:
    more = say(" and {count} more", count=len(names) - most) if len(names) > most else ""
    return ", ".join(names[:most]) + more


def status(found: Sequence[Status], style: Style) -> str:
    if not found:
        return say("No lab was started yet. `lab list` shows what there is.")
    rows = []
    for one in found:
        phase = {
            "new": say("not started"),
            "starting": say("start not completed"),
            "started": say("started"),
            "finishing": say("finish not completed"),
            "finished": say("finished"),
        }[one.phase]
        taken = sum(shown for _, shown in one.record.hints)
        helps = [say("hints: {count}", count=taken)] if taken else []
        for_you = _some(one.record.solved, 3)
        helps += [say("solved for you: {names}", names=for_you)] if for_you else []
        rows.append(
            (
                one.lab.slug,
                phase,
                say("{passed} of {total}", passed=one.record.passed, total=one.total),
                one.since or "-",
                ", ".join(helps) or "-",
            )
        )
    text = table(rows, style, tuple(map(say, ("lab", "state", "passed", "since", "help"))))
    if len(found) == 1 and found[0].record.checks:
        marks = [
            (
                style.mark(check.state),
                check.id,
                say("first passed {when}", when=check.first_passed) if check.first_passed else "",
            )
            for check in found[0].record.checks
        ]
        text += "\n\n" + "\n".join("  ".join(row).rstrip() for row in marks)
    return text
