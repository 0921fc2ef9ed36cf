"""Each thing the engine returns, as a panel. Words and shapes say it all; colours only repeat it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING
from urllib.parse import quote

from virtlab import catalogue, messages
from virtlab.errors import UsageError
from virtlab.language import say
from virtlab.notebook.panel import Panel, fold, indent, paragraphs, rich, stacked
from virtlab.release import guide_in

if TYPE_CHECKING:
    from pathlib import Path

    from virtlab import outcomes
    from virtlab.catalogue import Broken, Lab
    from virtlab.checks import Result
    from virtlab.errors import LabError
    from virtlab.quiz import Choice, Question

MARKS = {"pass": "✔", "fail": "✘", "unknown": "?"}
WORDS = {"pass": "works", "fail": "not yet", "unknown": "cannot tell"}


def error(problem: LabError) -> Panel:
    """What happened and what to do: never a traceback."""
    problem = messages.error(problem)
    do = f"**{say('What to do:')}** {problem.do}" if problem.do else ""
    return paragraphs("odd", problem.message, [do])


def started(done: outcomes.Started) -> Panel:
    said = "{lab} was started already, and is still ready." if done.already else "{lab} is ready."
    ports = ", ".join(f"{name} {port}" for name, port in done.lab.ports.items())
    return paragraphs("good", say(said, lab=done.lab.slug), [
        *done.notes,
        say("Ports kept for it on localhost: {ports}.", ports=ports) if ports else "",
        say("**Next:** work through the guide; `%lab grade` shows how far you are.")])


def grade(done: outcomes.Grade) -> Panel:
    """What was checked, what was seen, what to do next, task by task."""
    title = say("{lab}: {passed} of {total} checks pass",
                lab=done.lab.title, passed=done.passed, total=done.total)
    body, text = [f"<p><b>{rich(title)}</b></p>"], [title]
    for number, task in enumerate(done.lab.tasks, 1):
        of_task = [one for one in done.results if one.task == task.id]
        heading = f"{number}. {task.title}"
        body.append(f'<p class="task">{rich(heading)}</p><ul>{"".join(map(_item, of_task))}</ul>')
        text += [heading, *map(_lines, of_task)]
    closing = [*done.notes, f"**{say('Next:')}** {_advice(done)}"]
    body += [f"<p>{rich(line)}</p>" for line in closing]
    text += [line.replace("**", "") for line in closing]
    tone = {0: "good", 1: "bad"}.get(done.exit, "odd")
    return Panel(tone, "".join(body), "\n".join(text))


def _item(one: Result) -> str:
    """One check: its mark and its word, so that nothing depends on seeing colours."""
    seen = f'<span class="seen">{rich(one.message)}</span>' if one.message else ""
    to_do = say("What to do:")
    do = f'<span class="seen"><b>{to_do}</b> {rich(one.do)}</span>' if one.do else ""
    hint = fold(say("Where to look"), f"<p>{rich(one.hint)}</p>") if one.hint and one.state == "fail" else ""
    return (f'<li class="{one.state}"><b class="mark">{MARKS[one.state]}</b>{rich(one.title)}'
            f" <i>({say(WORDS[one.state])})</i>{seen}{do}{hint}</li>")


def _lines(one: Result) -> str:
    lines = [f"   {MARKS[one.state]} {one.title} ({say(WORDS[one.state])})"]
    lines += [indent(one.message, 5)] if one.message else []
    lines += [indent(f"{say('What to do:')} {one.do}", 5)] if one.do else []
    return "\n".join(lines)


def _advice(done: outcomes.Grade) -> str:
    if any(one.state == "unknown" for one in done.results):
        return say("do what stands beside the question mark, then `%lab grade` again.")
    task = done.first_unsolved()
    if task is None:
        return say("everything works. `%lab finish` puts the machine back as it was.")
    return say("task {number}, “{title}”. `%lab hint` gives one step at a time.",
               number=done.lab.tasks.index(task) + 1, title=task.title)


def hint(given: outcomes.Hint) -> Panel:
    if given.task is None:
        return paragraphs("good", say("Everything is solved: no hint needed."))
    if given.text is None:
        return paragraphs("plain", str(given.task.title), [
            say("It has no hint; `%lab grade` says what is seen.")])
    more = say("The next `%lab hint` says more.")
    if given.number == given.of:
        more = say("That was the last one. `%lab solve {task}` does this task for you.", task=given.task.id)
    title = say("{task}: hint {number} of {of}", task=given.task.title, number=given.number, of=given.of)
    return paragraphs("plain", title, [str(given.text), more])


def solved(done: outcomes.Solved) -> Panel:
    what = say("All tasks are done for you.")
    if done.task:
        what = say("Task “{task}” is done for you.", task=done.task.title)
    return paragraphs("good", what, [say("**Next:** look at what was made; `%lab grade`.")])


def finished(done: outcomes.Finished) -> Panel:
    removed = say("Removed with it: {names}.", names=", ".join(done.removed)) if done.removed else ""
    left = say("Not this lab's, left alone: {names}.", names=", ".join(done.left)) if done.left else ""
    return paragraphs("good", say("{lab} is finished, and the machine is as it was.", lab=done.lab.slug),
                      [removed, left, *done.notes, say("Your files in this folder stay.")])


def lab(one: Lab) -> Panel:
    tasks = [f"{number}. {task.title} (`{task.id}`)" for number, task in enumerate(one.tasks, 1)]
    return paragraphs("plain", say("{lab} ({minutes} minutes)", lab=one.title, minutes=one.minutes), [
        str(one.summary), *tasks])


def values(one: Lab) -> Panel:
    """The learner's own values, and how commands spell them."""
    if not one.values:
        return paragraphs("plain", say("{lab} has no values of your own.", lab=one.slug))
    rows = [
        (str(one.kinds[name].title), str(value), f"$LAB_{name.upper()}") for name, value in one.values.items()
    ]
    body = "".join(
        f"<tr><td>{rich(what)}</td><td><b>{rich(value)}</b></td><td>{rich(f'`{spelt}`')}</td></tr>"
        for what, value, spelt in rows
    )
    head = "".join(f"<th>{name}</th>" for name in (say("what"), say("yours"), say("in commands")))
    text = "\n".join(say("{what}: {value} ({spelt} in commands)", what=what, value=value, spelt=spelt)
                     for what, value, spelt in rows)
    return Panel("plain", f"<table><tr>{head}</tr>{body}</table>", text)


def labs(every: Sequence[Lab | Broken], known: Mapping[str, outcomes.Status], here: Path) -> Panel:
    """The labs there are, and how far one is. A name leads to its guide, as seen from `here`."""
    rows, text = [], []
    for one in every:
        if isinstance(one, catalogue.Broken):
            name, cells = one.slug, [say("cannot be used: {why}", why=one.error.message), "", ""]
        else:
            guide = guide_in(one.work)
            link = quote(os.path.relpath(guide, here))
            name = f'<a href="{link}">{one.slug}</a>' if guide.exists() else one.slug
            takes = say("{minutes} minutes", minutes=one.minutes)
            cells = [str(one.title), takes, _progress(known.get(one.slug))]
        rows.append(f"<tr><td>{name}</td>{''.join(f'<td>{rich(cell)}</td>' for cell in cells)}</tr>")
        text.append("  ".join([one.slug, *filter(None, cells)]))
    head = "".join(f"<th>{name}</th>" for name in (
        say("lab"), say("what it is about"), say("takes"), say("how far you are")))
    return Panel("plain", f"<table><tr>{head}</tr>{''.join(rows)}</table>", "\n".join(text))


def _progress(one: outcomes.Status | None) -> str:
    if one is None:
        return say("not started yet")
    done = say("{passed} of {total} checks have passed", passed=one.record.passed, total=one.total)
    return done if one.phase == "finished" else f"{done}; {say('started')}"


def questions(asked: Sequence[Question]) -> Panel:
    """Each choice opens and says why it is right or wrong."""
    return stacked([_question(one, say("Choose, then open your answer.")) for one in asked])


def prediction(asked: Question, answer: str) -> Panel:
    """Before an experiment. With an answer: just what there is to say about that one, for afterwards."""
    if not answer:
        return _question(asked, say("Choose before you go on. The next cells show whether it is so."))
    known = {line[0]: (line, choice) for line, choice in _choices(asked).items()}
    letter = answer.strip("()").lower()
    if letter not in known:
        raise UsageError(say("There is no answer '{answer}'.", answer=answer),
                         do=say("Choose one of {letters}.", letters=", ".join(known)))
    line, choice = known[letter]
    said, then = say("You say {choice}", choice=line), say("Now run the experiment.")
    reason = fold(say("Afterwards: was it so?"), f"<p>{_verdict(choice)}</p>")
    return Panel("plain", f"<p><b>{rich(said)}</b></p><p>{then}</p>{reason}", f"{said}\n{then}")


def _question(one: Question, then: str) -> Panel:
    choices = _choices(one)
    rows = [fold(line, f"<p>{_verdict(choice)}</p>") for line, choice in choices.items()]
    body = f"<p><b>{rich(str(one.question))}</b></p>{''.join(rows)}<p>{then}</p>"
    return Panel("plain", body, "\n".join([str(one.question), *(f"  {line}" for line in choices), then]))


def _choices(one: Question) -> dict[str, Choice]:
    letters = "abcdefgh"
    return {f"{letter}) {choice.text}": choice for letter, choice in zip(letters, one.choices, strict=False)}


def _verdict(choice: Choice) -> str:
    return f"{say('✔ Yes.') if choice.right else say('✘ No.')} {rich(str(choice.feedback))}"
