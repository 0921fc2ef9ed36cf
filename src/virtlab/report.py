"""The learner's record: each lab that was begun, what was done alone or with help, what was answered."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from virtlab import lifecycle, state, summary, values
from virtlab.catalogue import Lab, Task
from virtlab.language import current, say
from virtlab.outcomes import Status
from virtlab.progress import Answer
from virtlab.quiz import Question
from virtlab.telling import duration

STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:56em;margin:2em auto;padding:0 1em}
body{color:#222;background:#fff}
h1{font-size:1.6em}h2{font-size:1.25em;margin:2em 0 .3em;border-bottom:1px solid #bbb}
table{border-collapse:collapse;width:100%;margin:.5em 0}
th,td{text-align:left;vertical-align:top;padding:.3em .8em .3em 0;border-bottom:1px solid #ddd}
th{font-weight:600}.quiet{color:#555}@media print{body{margin:0}h2{break-after:avoid}}
"""
PAGE = """<!doctype html>
<html lang="{language}">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><style>{style}</style></head>
<body>
<h1>{title}</h1>
<p class="quiet">{made}</p>
{body}</body>
</html>
"""
WORDS = {"done": "✔ done", "helped": "◐ done with help", "open": "○ not yet"}


@dataclass(frozen=True)
class Report:
    learner: str
    made: str
    labs: tuple[Status, ...]

    def as_dict(self) -> dict[str, Any]:
        return {"learner": self.learner, "made": self.made, "labs": [_lab(one) for one in self.labs]}


def make(wanted: str | None = None) -> Report:
    return Report(values.learner(), state.now(), tuple(lifecycle.status(wanted)))


def task_state(one: Status, task: Task) -> str:
    """`done` alone, `helped` when `lab solve` did it, else `open`: help is no failure."""
    of_task = [check for check in one.record.checks if check.task == task.id]
    passed = bool(of_task) and all(check.first_passed for check in of_task)
    if task.id in one.record.solved:
        return "helped" if passed else "open"
    return "done" if passed else "open"


def _lab(one: Status) -> dict[str, Any]:
    record, hints = one.record, dict(one.record.hints)
    known = {check.id: check for check in record.checks}
    return {
        "lab": one.lab.slug,
        "title": one.lab.title,
        "state": "completed" if record.completed else one.phase,
        "started": record.started,
        "starts": record.starts,
        "completed": record.completed,
        "finished": record.finished,
        "seconds": summary.took(record),
        "passed": record.passed,
        "total": one.total,
        "tasks": [
            {
                "id": task.id,
                "title": task.title,
                "state": task_state(one, task),
                "hints": hints.get(task.id, 0),
                "checks": [
                    {"id": check.id, "state": check.state, "first_passed": check.first_passed}
                    for check in known.values()
                    if check.task == task.id
                ],
            }
            for task in one.lab.tasks
        ],
        "answers": [vars(answer) for answer in record.answers],
    }


def text(report: Report) -> str:
    if not report.labs:
        return say("No lab was started yet. `lab list` shows what there is.")
    return "\n\n".join(
        "\n".join([str(one.lab.title), *(f"  {line}" for line in _lines(one))]) for one in report.labs
    )


def _lines(one: Status) -> Iterator[str]:
    yield _facts(one)
    hints = dict(one.record.hints)
    for task in one.lab.tasks:
        taken = f"  ({say('Hints: {count}.', count=hints[task.id])})" if task.id in hints else ""
        yield f"{say(WORDS[task_state(one, task)])}: {task.title}{taken}"
    right = sum(answer.is_right for answer in one.record.answers)
    if one.record.answers:
        yield say(
            "Questions and predictions: {right} of {asked} right.", right=right, asked=len(one.record.answers)
        )


def _facts(one: Status) -> str:
    record = one.record
    facts = [say("{passed} of {total} checks have passed", passed=record.passed, total=one.total)]
    if record.started:
        facts.append(say("started {at}", at=_when(record.started)))
    took = summary.took(record)
    if record.completed and took is not None:
        facts.append(
            say("everything worked {at}, after {time}", at=_when(record.completed), time=duration(took))
        )
    return "; ".join(facts)


def _when(at: str) -> str:
    """As kept, in UTC: a record may be read elsewhere than it was made."""
    return f"{at[:10]} {at[11:16]} UTC"


def page(report: Report) -> str:
    """One HTML page with nothing outside of it: to keep, to print, to hand in."""
    title = say("Learning record of {learner}", learner=report.learner)
    body = "".join(_section(one) for one in report.labs) or f"<p>{say('No lab was started yet.')}</p>"
    made = say("Made {at} by virtlab.", at=_when(report.made))
    return PAGE.format(
        language="zh-CN" if current() == "zh" else "en",
        title=_safe(title), made=_safe(made), style=STYLE, body=body,
    )  # fmt: skip


def _section(one: Status) -> str:
    hints = dict(one.record.hints)
    rows = [
        (
            str(task.title),
            say(WORDS[task_state(one, task)]),
            str(hints.get(task.id, 0) or "–"),
            _first(one, task),
        )
        for task in one.lab.tasks
    ]
    head = (say("task"), say("state"), say("hints"), say("first worked"))
    parts = [
        f"<h2>{_safe(f'{one.lab.number} {one.lab.title}')}</h2>\n<p>{_safe(_facts(one))}</p>\n",
        _table(say("Tasks"), head, rows),
    ]
    if one.record.answers:
        asked = [_answer(one.lab, answer) for answer in one.record.answers]
        parts.append(
            _table(say("Questions and predictions"), (say("asked"), say("answered"), say("right?")), asked)
        )
    if one.record.completed and one.lab.learned:
        known = "".join(f"<li>{_safe(str(sentence))}</li>" for sentence in one.lab.learned)
        parts.append(f"<h3>{_safe(say('Learned'))}</h3>\n<ul>{known}</ul>\n")
    return "".join(parts)


def _first(one: Status, task: Task) -> str:
    times = [check.first_passed for check in one.record.checks if check.task == task.id]
    return _when(max(filter(None, times))) if times and all(times) else "–"


def _answer(lab: Lab, given: Answer) -> tuple[str, str, str]:
    """With the words of today, if the question is still there."""
    known: dict[str, Question] = {one.id: one for one in (*lab.quiz.questions, *lab.quiz.predictions)}
    asked = known.get(given.question)
    choice = next((one for one in asked.choices if one.text["en"] == given.choice), None) if asked else None
    kind = say("prediction") if given.kind == "predict" else say("question")
    tries = (
        f" ({say('tries: {count}', count=given.tries)})" if given.tries > 1 and given.kind == "quiz" else ""
    )
    return (
        f"{asked.question if asked else given.question} ({kind})",
        str(choice.text if choice else given.choice),
        f"{say('✔ right') if given.is_right else say('✘ wrong')}{tries}",
    )


def _table(caption: str, head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    top = "".join(f'<th scope="col">{_safe(cell)}</th>' for cell in head)
    body = "".join(f"<tr>{''.join(f'<td>{_safe(cell)}</td>' for cell in row)}</tr>\n" for row in rows)
    return f"<h3>{_safe(caption)}</h3>\n<table><thead><tr>{top}</tr></thead>\n<tbody>{body}</tbody></table>\n"


def _safe(words: str) -> str:
    return html.escape(words.replace("`", "").replace("**", ""))
