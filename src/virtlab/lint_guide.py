"""Is a guide executed, whole in each language, readable for everybody, and does it give nothing away?"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

from virtlab import catalogue, guides, paths
from virtlab.catalogue import Lab
from virtlab.errors import UsageError
from virtlab.language import LANGUAGES

PLACES = re.compile(r"(?<![\w.~/-])/(?:home|root|tmp|work|Users)/[\w.-]+")  # somebody's own folders
FENCED = re.compile(r"^(```|~~~).*?^\1", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"(`+)(?!`).*?(?<!`)\1(?!`)")
HEADING = re.compile(r"^(#{1,6}) +(.+?) *$", re.MULTILINE)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(<?([^)\s>]+)[^)]*\)|<(https?:[^>\s]+)>|<a\b[^>]*href=[\"']([^\"']+)")
TELLING = 20  # characters of a line that nobody writes by chance

Cell = dict[str, Any]
Found = Iterator[tuple[str, str]]  # where, message


def guide(lab: Lab) -> Found:
    where = paths.short(lab.notebook)
    if not lab.notebook.exists():
        yield where, "the guide is missing"
        return
    try:
        book = json.loads(lab.notebook.read_text(encoding="utf-8"))
        cells = book["cells"]
    except (ValueError, KeyError, TypeError):
        raise UsageError(f"{where}: not a readable notebook") from None
    fresh = [str(number) for number, cell in enumerate(cells, 1) if _is_fresh(cell)]
    if fresh:
        do = f"`.venv/bin/python -m virtlab.guides execute {lab.slug}`"
        yield where, f"{len(fresh)} cells were not executed ({', '.join(fresh[:5])} …): run {do}"
    numbered = list(enumerate(cells, 1))
    wrong = [(number, said) for number, cell in numbered for said in guides.problems(cell)]
    found = [*wrong, *_cells(numbered), *_twins(numbered)]
    for language in _languages(cells):
        shown = [(n, cell) for n, cell in numbered if not guides.other_language(cell, language)]
        found += [*_headings(shown), *_links(shown, language)]
        if not wrong:  # with a wrong tag nobody can tell what a solution is
            found += _leaks(book, language, shown)
    if not wrong:
        found += _places(lab, book)
    for number, message in dict.fromkeys(found):  # what is wrong in both languages is said once
        yield f"{where}, cell {number}" if number else where, message


def _languages(cells: list[Cell]) -> list[str]:
    tags = {tag for cell in cells for tag in guides.tags_of(cell)}
    return [one for one in LANGUAGES if f"lang-{one}" in tags] or ["en"]


def _is_fresh(cell: Cell) -> bool:
    """Code that nobody ran, so that its stored output proves nothing."""
    return cell["cell_type"] == "code" and bool(guides.text(cell).strip() and not cell.get("execution_count"))


Complaints = Iterator[tuple[int, str]]  # the cell's number, message


def _cells(numbered: list[tuple[int, Cell]]) -> Complaints:
    """What can be said of a cell by itself."""
    for number, cell in numbered:
        look = {"code": _code, "markdown": _pictures}.get(cell["cell_type"])
        yield from ((number, said) for said in (look(cell) if look else ()))


def _code(cell: Cell) -> Iterator[str]:
    for output in cell.get("outputs", []):
        expected = {"raises-exception", "nbval-raises-exception"} & guides.tags_of(cell)
        if output["output_type"] == "error" and not expected:
            yield f"ended in an error: {output.get('ename')}: {output.get('evalue')}"
        said = json.dumps([output.get("text"), output.get("data")])
        for path in sorted(set(PLACES.findall(said))):
            yield f"its output names a folder of one machine: {path}"


def _pictures(cell: Cell) -> Iterator[str]:
    prose = _prose(cell)
    for name in re.findall(r"!\[\s*\]\(([^)]*)\)", prose):
        yield f"picture {name} has no text alternative: say what it shows"
    for tag in re.findall(r"<img\b[^>]*>", prose):
        if not re.search(r"""alt=["'][^"']+["']""", tag):
            yield "an <img> has no alt text: say what it shows"
    for name in sorted(guides.images({"cells": [cell]})):
        if not (paths.NOTEBOOKS / name).is_file():
            yield f"picture {name} is not in notebooks/"


def _prose(cell: Cell) -> str:
    """Without its code, in which anything may stand."""
    return INLINE.sub("", FENCED.sub("", guides.text(cell)))


def _twins(numbered: list[tuple[int, Cell]]) -> Complaints:
    """Once anything is translated, each piece of English prose is followed by the same in every language."""
    if len(_languages([cell for _, cell in numbered])) < len(LANGUAGES):
        return
    waiting: list[tuple[int, Cell]] = []  # English that was not yet said in Chinese
    said: list[tuple[int, Cell]] = []
    for number, cell in [*numbered, (0, {})]:
        tags = guides.tags_of(cell)
        if "lang-zh" in tags:
            if not waiting:
                yield number, "lang-zh stands alone: its lang-en cell comes right before it"
            said.append((number, cell))
            continue
        if said and waiting:
            yield from _same(waiting, said)
        elif waiting and "lang-en" not in tags:
            yield from ((one, "it has no lang-zh twin: put one right after it") for one, _ in waiting)
        waiting = [] if said or "lang-en" not in tags else waiting
        said = []
        if "lang-en" in tags:
            waiting.append((number, cell))


def _same(english: list[tuple[int, Cell]], chinese: list[tuple[int, Cell]]) -> Complaints:
    """The words differ; the headings, the pictures and the code do not."""
    for (name, told), (_, twin) in zip(_facts(english), _facts(chinese), strict=True):
        if told != twin:
            yield chinese[0][0], f"not the same {name} as in the English before it"


def _facts(part: list[tuple[int, Cell]]) -> list[tuple[str, list[str]]]:
    prose = "\n\n".join(guides.text(cell) for _, cell in part)
    return [
        ("headings", [mark for mark, _ in HEADING.findall(FENCED.sub("", prose))]),
        ("pictures", [a or b for a, b in guides.IMAGE.findall(prose)]),
        ("code", [found[0] for found in FENCED.finditer(prose)]),
    ]


def _places(lab: Lab, book: Any) -> Complaints:
    """Once a solution says its task, every task is asked for somewhere: who goes on is led there."""
    asked, known = set(guides.places(book)), {task.id for task in lab.tasks}
    for task in sorted(known - asked) if asked else ():
        yield 0, f"no solution is tagged `task-{task}`"
    for task in sorted(asked - known):
        yield 0, f"a solution is tagged `task-{task}`, and lab.yml has no such task"


def _headings(shown: list[tuple[int, Cell]]) -> Complaints:
    level = 0
    for number, cell in shown:
        if cell["cell_type"] != "markdown":
            continue
        for mark, _ in HEADING.findall(FENCED.sub("", guides.text(cell))):
            if len(mark) > level + 1:
                yield (
                    number,
                    f"a heading of level {len(mark)} follows one of level {level}: none may be skipped",
                )
            level = len(mark)


def _links(shown: list[tuple[int, Cell]], language: str) -> Complaints:
    """Links within the guide and to other guides lead somewhere; those to the world are at least whole."""
    prose = [(number, cell) for number, cell in shown if cell["cell_type"] == "markdown"]
    titles = [title for _, cell in prose for _, title in HEADING.findall(FENCED.sub("", guides.text(cell)))]
    anchors = {re.sub(r"\s", "-", re.sub(r"[`*]", "", title)) for title in titles}  # as JupyterLab makes them
    known = {f"../{slug}/{slug}.ipynb" for slug in catalogue.slugs()}
    for number, cell in prose:
        for link in map("".join, LINK.findall(_prose(cell))):
            place = urlsplit(link)
            if place.scheme in ("http", "https"):
                is_dead = not place.hostname  # nobody asks the internet: guides are written offline, too
            elif place.path:
                is_dead = bool(place.scheme) or unquote(place.path) not in known
            else:
                is_dead = unquote(place.fragment) not in anchors
            if is_dead:
                yield number, f"the link {link} leads nowhere in a learner's folder"


def _leaks(book: Any, language: str, shown: list[tuple[int, Cell]]) -> Complaints:
    """What a solution says, or what it printed, stands nowhere in the learner's edition."""
    edition = guides.learners_edition(book, language)
    if any(cell.get("outputs") for cell in edition["cells"]):
        yield 0, "stored outputs are in the learner's edition"
    open_cells = [(n, cell) for n, cell in shown if "solution" not in guides.tags_of(cell)]
    for number, cell in shown:
        if "solution" not in guides.tags_of(cell):
            continue
        before = {line for n, one in open_cells if n < number for line in _lines(_all(one))}
        secret = [line for line in _lines(guides.text(cell)) if line not in before]
        printed = _lines("".join(map(_printed, cell.get("outputs", []))))  # a line may come in two pieces
        for other, one in open_cells:
            there = _flat(_all(one))
            if secret and 2 * sum(line in there for line in secret) > len(secret):
                yield other, f"it gives away the solution of cell {number}"
            elif any(line in there for line in printed if line not in before):
                yield other, f"it shows what the solution of cell {number} printed"


def _all(cell: Cell) -> str:
    """A cell as the learner gets it, with what is attached to it."""
    return f"{guides.text(cell)}\n{json.dumps(cell.get('attachments', {}), ensure_ascii=False)}"


def _printed(output: Any) -> str:
    said = output.get("text") or output.get("data", {}).get("text/plain") or ""
    return said if isinstance(said, str) else "".join(said)


def _lines(text: str) -> list[str]:
    """The lines that tell something: long enough, no comment, spaces as they come."""
    lines = [_flat(line).rstrip("\\ ") for line in text.splitlines()]
    return [line for line in lines if len(line) >= TELLING and not line.startswith("#")]


def _flat(text: str) -> str:
    return " ".join(text.split())
