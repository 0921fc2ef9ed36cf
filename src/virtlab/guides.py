"""Guides: one executed source of each, and the edition of it that a learner gets.

For authors: `.venv/bin/python -m virtlab.guides execute 05-container-networks` runs that notebook of
notebooks/ for real, in a folder of its own, and writes its outputs back; the lab is finished in any case.
A guide starts with `%load_ext virtlab.notebook`. Cells tagged `solution` are replaced in the learner's
edition; a first line `# Your turn: …` (and one `# 轮到你：…`) in one becomes what the learner is asked.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from virtlab import paths
from virtlab.errors import LabError
from virtlab.language import LANGUAGES

TAGS = {"solution", "lang-en", "lang-zh", "raises-exception", "nbval-ignore-output", "nbval-check-output",
        "nbval-raises-exception", "nbval-skip"}
PROSE = {"lang-en", "lang-zh"}
TASK = re.compile(r"task-([a-z][a-z0-9-]*)")         # of a solution: the task that it solves
ASKED = {"en": "your turn", "zh": "轮到你"}               # prose with these words has asked already
TURN = {"en": re.compile(r"#\s*your turn:?\s*(.+)", re.IGNORECASE),
        "zh": re.compile(r"#\s*轮到你[：:]?\s*(.+)")}
TITLE = {"en": "Your turn", "zh": "轮到你"}
PROMPT = {
    "en": "Work here, or in the terminal on the right. "
          "`%lab hint` gives the next step, `%lab grade` looks at the result.",
    "zh": "可以在这里做，也可以在右边的终端里做。"
          "`%lab hint` 一步一步给提示，`%lab grade` 检查结果。",
}
IMAGE = re.compile(r"""!\[[^\]]*\]\(([^)\s]+)|<img[^>]+src=["']([^"']+)""")
KEPT = ("kernelspec", "language_info")                  # of its metadata; those of widgets would keep outputs


def read(source: Path) -> Any:
    """A guide, with its tags looked at: a wrong tag would hand out the solution.

    As plain JSON: importing nbformat costs a second, and every `lab up` comes by here.
    """
    try:
        guide = json.loads(source.read_text(encoding="utf-8"))
        cells = guide["cells"] if guide["nbformat"] == 4 else None
    except (OSError, ValueError, TypeError, KeyError):
        cells = None
    if not isinstance(cells, list):
        raise LabError(f"{source.name} is not a readable notebook.",
                       do="Save it again in JupyterLab, or take the last good one from git.")
    for number, cell in enumerate(cells, 1):
        for problem in problems(cell):
            raise LabError(f"{source.name}, cell {number}: {problem}",
                           do="Correct the cell; nothing was released.")
    return guide


def problems(cell: Any) -> Iterator[str]:
    """What is wrong with a cell, above all with its tags."""
    if not isinstance(cell, dict) or cell.get("cell_type") not in ("code", "markdown", "raw"):
        yield "this is no cell of a notebook."
        return
    tags = cell.get("metadata", {}).get("tags", [])
    if not isinstance(tags, list):
        yield f"tags are a list, not {tags!r}."
        return
    for tag in sorted(set(tags) - TAGS):
        if not TASK.fullmatch(tag):
            yield f"unknown tag '{tag}'. Known are: {', '.join(sorted(TAGS))}, and `task-…` with a task's id."
    if set(tags) >= PROSE:
        yield "tagged lang-en and lang-zh at once: leave both out to show the cell in every language."
    if PROSE & set(tags) and cell["cell_type"] == "code":
        yield "code is shared between languages: only prose may be tagged lang-en or lang-zh."


def text(cell: Any) -> str:
    """What stands in a cell; on disk it is often a list of lines."""
    return "".join(cell["source"])


def learners_edition(guide: Any, language: str = "en") -> Any:
    """What the learner gets: no solutions, no outputs, prose in one language.

    A guide that was not translated yet is handed out in English, which its metadata then say.
    """
    if not any(f"lang-{language}" in tags_of(cell) for cell in guide["cells"]):
        language = "en"
    cells: list[Any] = []
    asked = False                                       # several solution cells in a row make one prompt
    before = ""
    for cell in guide["cells"]:
        tags = tags_of(cell)
        if other_language(cell, language):
            continue
        if "solution" in tags:
            if not asked:
                cells += prompt(cell, before, language)
            asked = True
            continue
        asked, before = False, text(cell)
        cells.append(stripped(cell))
    metadata = {key: value for key, value in guide.get("metadata", {}).items() if key in KEPT}
    return guide | {"cells": cells, "metadata": metadata | {"virtlab": {"language": language}}}


def language_of(guide: Any) -> str:
    """The language of an edition. Those of old did not say, and were English."""
    try:
        return str(guide["metadata"]["virtlab"]["language"])
    except (KeyError, TypeError):
        return "en"


def tags_of(cell: Any) -> set[str]:
    return set(cell.get("metadata", {}).get("tags", []))


def other_language(cell: Any, language: str) -> bool:
    """Prose that this edition does not have."""
    tags = tags_of(cell)
    return bool(PROSE & tags) and f"lang-{language}" not in tags


def prompt(cell: Any, before: str, language: str) -> list[Any]:
    """An empty cell in place of a solution; and the question, unless the prose before has asked it."""
    found = next(filter(None, map(TURN[language].match, text(cell).strip().splitlines()[:2])), None)
    empty: dict[str, Any] = {"cell_type": "code", "execution_count": None, "id": _empty(cell),
                             "metadata": {}, "outputs": [], "source": ""}
    if not found and ASKED[language] in before.lower():
        return [empty]
    said = f"**{TITLE[language]}:** {found[1]}" if found else f"**{TITLE[language]}.**"
    if language == "zh":
        said = said.replace(":**", "：**").replace(".**", "。**")  # a space stays: bold ends there
    return [{"cell_type": "markdown", "id": f"{cell['id']}-ask"[-64:], "metadata": {},
             "source": f"{said}\n\n{PROMPT[language]}"}, empty]


def _empty(cell: Any) -> str:
    """The id of the cell to work in, where this solution was: the same in every edition."""
    return f"{cell['id']}-do"[-64:]


def places(guide: Any) -> dict[str, str]:
    """Where each task is asked for: the id of the cell to work in."""
    found: dict[str, str] = {}
    last = ""
    for cell in guide["cells"]:
        tags = tags_of(cell)
        if "solution" not in tags:
            last = ""
            continue
        last = last or _empty(cell)
        for task in (one[1] for tag in sorted(tags) if (one := TASK.fullmatch(tag))):
            found.setdefault(task, last)
    return found


def stripped(cell: Any) -> Any:
    """A cell as it is before anybody ran it."""
    fresh = cell | {"metadata": {key: value for key, value in cell["metadata"].items() if key != "execution"}}
    return fresh | {"outputs": [], "execution_count": None} if cell["cell_type"] == "code" else fresh


def images(guide: Any) -> set[str]:
    """The picture files a guide shows."""
    prose = "\n".join(text(cell) for cell in guide["cells"] if cell["cell_type"] == "markdown")
    found = {a or b for a, b in IMAGE.findall(prose)}
    return {name for name in found if not re.match(r"[a-z]+:", name)}


def main(arguments: list[str] | None = None) -> int:
    """`execute SLUG…` for authors, `release` for the jupyterlab role."""
    parser = argparse.ArgumentParser(prog="python -m virtlab.guides", description=__doc__.partition("\n")[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    run = verbs.add_parser("execute", help="run guides for real and store their outputs")
    run.add_argument("slug", nargs="+")
    put = verbs.add_parser("release", help="put the learners' editions into a workspace")
    put.add_argument("--workspace", type=Path, required=True)
    put.add_argument("--lang", choices=sorted(LANGUAGES), help="the edition's language")
    put.add_argument("--check", action="store_true", help="say what would change, change nothing")
    chosen = parser.parse_args(arguments)
    try:
        if chosen.verb == "release":
            from virtlab.release import release

            done = release(chosen.workspace, language=chosen.lang or "", check=chosen.check)
            print(json.dumps([vars(one) for one in done]))          # noqa: T201
            return 0
        from virtlab.rehearsal import execute

        for slug in chosen.slug:
            source = paths.NOTEBOOKS / f"{slug}.ipynb"
            if not source.is_file():
                raise LabError(f"There is no guide notebooks/{slug}.ipynb.", do="`ls notebooks` names them.")
            read(source)
            execute(source)
            print(f"{slug}: executed, outputs stored in notebooks/{slug}.ipynb")    # noqa: T201
    except LabError as error:
        print(f"{error.message}\n→ {error.do}", file=sys.stderr)            # noqa: T201
        return int(error.exit)
    return 0


if __name__ == "__main__":
    sys.exit(main())
