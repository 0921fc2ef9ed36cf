"""Each thing the engine returns, as a panel."""

from collections.abc import Iterable, Sequence
from typing import Any

from virtlab.notebook.panel import Panel, fold, indent, paragraphs, rich

MARKS = {"pass": "✔", "fail": "✘", "unknown": "?"}
WORDS = {"pass": "done", "fail": "not yet", "unknown": "cannot tell"}


def words(value: Any, language: str = "en") -> str:
    """A text of lab.yml: plain, or one for each language."""
    if isinstance(value, dict):
        return str(value.get(language) or value.get("en") or next(iter(value.values()), ""))
    return "" if value is None else str(value)


def checklist(lab: Any, results: Sequence[Any]) -> Panel:
    """What was checked, what was seen, what to do next, task by task."""
    passed = sum(result.state == "pass" for result in results)
    unsure = sum(result.state == "unknown" for result in results)
    title = f"{words(lab.title)}: {passed} of {len(results)} checks pass"
    body, text = [f"<p><b>{rich(title)}</b></p>"], [title]
    for number, task in enumerate(lab.tasks, 1):
        of_task = [result for result in results if result.task == task.id]
        heading = f"{number}. {words(task.title)}"
        body.append(f'<p class="task">{rich(heading)}</p><ul>{"".join(map(_item, of_task))}</ul>')
        text += [heading, *map(_lines, of_task)]
    advice = _advice(results)
    body.append(f"<p><b>Next:</b> {rich(advice)}</p>")
    text.append(f"Next: {advice}")
    tone = "odd" if unsure else "good" if passed == len(results) else "bad"
    return Panel(tone, "".join(body), "\n".join(text))


def _item(result: Any) -> str:
    """One check: its mark and its word, so that nothing depends on seeing colours."""
    seen = f'<span class="seen">{rich(result.message)}</span>' if result.message else ""
    hint = fold("Where to look", f'<span class="next">{rich(words(result.hint))}</span>') \
        if result.hint and result.state == "fail" else ""
    return (f'<li class="{result.state}"><b class="mark">{MARKS[result.state]}</b>{rich(result.title)}'
            f" <i>({WORDS[result.state]})</i>{seen}{hint}</li>")


def _lines(result: Any) -> str:
    lines = f"  {MARKS[result.state]} {result.title} ({WORDS[result.state]})"
    return f"{lines}\n{indent(result.message, 6)}" if result.message else lines


def _advice(results: Sequence[Any]) -> str:
    if any(result.state == "unknown" for result in results):
        return "mend what keeps me from looking (marked ?), then `%lab grade` again."
    if all(result.state == "pass" for result in results):
        return "everything works. `%lab finish` puts the machine back as it was."
    return "work on the first ✘; `%lab hint` gives one step at a time. Then `%lab grade` again."


def error(problem: Any) -> Panel:
    """What happened and what to do: never a traceback."""
    return paragraphs("odd", str(problem), [f"What to do: {words(getattr(problem, 'do', ''))}"
                                            if getattr(problem, "do", "") else ""])


def choices(question: Any, letters: str = "abcdefgh") -> Panel:
    """A question: each choice opens and says why it is right or wrong."""
    asked = words(question.question)
    body, text = [f"<p><b>{rich(asked)}</b></p>"], [asked]
    for letter, choice in zip(letters, question.choices, strict=False):
        verdict = "✔ Yes." if choice.correct else "✘ No."
        body.append(fold(f"{letter}) {words(choice.text)}", f"<p>{verdict} {rich(words(choice.feedback))}</p>"))
        text.append(f"  {letter}) {words(choice.text)}")
    return Panel("plain", "".join(body), "\n".join(text))


def table(head: Sequence[str], rows: Iterable[Sequence[str]], title: str) -> Panel:
    """A few columns of words."""
    rows = [list(row) for row in rows]
    cells = "".join("<tr>" + "".join(f'<td style="text-align:left">{rich(cell)}</td>' for cell in row) + "</tr>"
                    for row in rows)
    heads = "".join(f'<th style="text-align:left">{rich(name)}</th>' for name in head)
    widths = [max(len(row[column]) for row in [list(head), *rows]) for column in range(len(head))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
             for row in [list(head), *rows]]
    return Panel("plain", f"<p><b>{rich(title)}</b></p><table><tr>{heads}</tr>{cells}</table>",
                 "\n".join([title, *lines]))
