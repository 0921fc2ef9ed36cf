"""Guides: the learner's edition of each, and its release into the learner's workspace.

For authors: `.venv/bin/python -m virtlab.guides execute 05-container-networks` runs that notebook of
notebooks/ for real, in a folder of its own, and writes its outputs back; the lab is finished in any case.
A guide starts with `%load_ext virtlab.notebook`. Cells tagged `solution` are replaced in the learner's
edition; a first line `# Your turn: …` in one becomes what the learner is asked.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from virtlab import paths
from virtlab.errors import LabError

TAGS = {"solution", "lang-en", "lang-zh", "raises-exception", "nbval-ignore-output", "nbval-check-output",
        "nbval-raises-exception", "nbval-skip"}
PROSE = {"lang-en", "lang-zh"}
PROMPT = ("Work here, or in a terminal (*File → New → Terminal*). "
          "`%lab hint` gives the next step, `%lab grade` looks at the result.")
IMAGE = re.compile(r"""!\[[^\]]*\]\(([^)\s]+)|<img[^>]+src=["']([^"']+)""")
RECORD = ".released.json"
START_HERE = Path(__file__).parent / "notebook/start-here.ipynb"        # the way to all of them


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
        yield f"unknown tag '{tag}'. Known are: {', '.join(sorted(TAGS))}."
    if set(tags) >= PROSE:
        yield "tagged lang-en and lang-zh at once: leave both out to show the cell in every language."
    if PROSE & set(tags) and cell["cell_type"] == "code":
        yield "code is shared between languages: only prose may be tagged lang-en or lang-zh."


def text(cell: Any) -> str:
    """What stands in a cell; on disk it is often a list of lines."""
    return "".join(cell["source"])


def learners_edition(guide: Any, language: str = "en") -> Any:
    """What the learner gets: no solutions, no outputs, prose in one language."""
    cells: list[Any] = []
    asked = False                                       # several solution cells in a row make one prompt
    before = ""
    for cell in guide["cells"]:
        tags = set(cell["metadata"].get("tags", []))
        if PROSE & tags and f"lang-{language}" not in tags:
            continue
        if "solution" in tags:
            if not asked:
                cells += prompt(cell, before)
            asked = True
            continue
        asked, before = False, text(cell)
        cells.append(stripped(cell))
    return guide | {"cells": cells}


def prompt(cell: Any, before: str) -> list[Any]:
    """An empty cell in place of a solution; and the question, unless the prose before has asked it."""
    found = re.match(r"(?:#\s*)?your turn:?\s*(.+)", text(cell).strip(), re.IGNORECASE)
    empty: dict[str, Any] = {"cell_type": "code", "execution_count": None, "id": f"{cell['id']}-do"[-64:],
                             "metadata": {}, "outputs": [], "source": ""}
    if not found and "your turn" in before.lower():
        return [empty]
    said = f"**Your turn:** {found[1]}" if found else "**Your turn.**"
    return [{"cell_type": "markdown", "id": f"{cell['id']}-ask"[-64:], "metadata": {},
             "source": f"{said}\n\n{PROMPT}"}, empty]


def stripped(cell: Any) -> Any:
    """A cell as it is before anybody ran it."""
    fresh = cell | {"metadata": {key: value for key, value in cell["metadata"].items() if key != "execution"}}
    return fresh | {"outputs": [], "execution_count": None} if cell["cell_type"] == "code" else fresh


def images(guide: Any) -> set[str]:
    """The picture files a guide shows."""
    prose = "\n".join(text(cell) for cell in guide["cells"] if cell["cell_type"] == "markdown")
    found = {a or b for a, b in IMAGE.findall(prose)}
    return {name for name in found if not re.match(r"[a-z]+:", name)}


@dataclass(frozen=True)
class Released:
    """What became of one guide: new, updated, kept (nothing to do) or beside (the learner's own stays)."""

    slug: str
    state: str
    path: str


def release(workspace: Path, slugs: list[str] | None = None, *, check: bool = False) -> list[Released]:
    """Put the learners' editions into the workspace. What the learner changed is never overwritten."""
    sources = [START_HERE, *sorted(paths.NOTEBOOKS.glob("*.ipynb"))]
    if slugs is not None:
        sources = [source for source in sources if source.stem in slugs]
    guides = {source.stem: read(source) for source in sources}      # all of them, before anything is written
    pictures = {slug: pictures_of(slug, guide) for slug, guide in guides.items()}
    record = _record(workspace)
    before = dict(record)
    done = []
    for slug, guide in guides.items():
        content = json.dumps(learners_edition(guide), indent=1, ensure_ascii=False).encode() + b"\n"
        stem = slug if slug == START_HERE.stem else f"{slug}/{slug}"
        state, name = _place(workspace, stem, content, record, check)
        for picture, source in pictures[slug].items():
            target = workspace / slug / picture
            if target.exists() and target.read_bytes() == source.read_bytes():
                continue
            state = "updated" if state == "kept" else state
            if not check:
                _write(target, source.read_bytes())
        done.append(Released(slug, state, name))
    if not check and record != before:
        _write(workspace / RECORD, json.dumps(record, indent=1, sort_keys=True).encode() + b"\n")
    return done


def pictures_of(slug: str, guide: Any) -> dict[str, Path]:
    """The picture files, which must be there and stay inside the notebooks' folder."""
    found = {name: (paths.NOTEBOOKS / name).resolve() for name in images(guide)}
    for name, source in found.items():
        if not source.is_file() or not source.is_relative_to(paths.NOTEBOOKS.resolve()):
            raise LabError(f"{slug}.ipynb shows '{name}', and there is no such picture in notebooks/.",
                           do="Add the picture below notebooks/images/, or correct its name in the guide.")
    return found


def _place(
    workspace: Path, stem: str, content: bytes, record: dict[str, str], check: bool
) -> tuple[str, str]:
    """Write one guide where nothing of the learner's is lost. `record`: what was released as what."""
    digest = hashlib.sha256(content).hexdigest()
    for number in itertools.count():
        suffix = f".new-{number}" if number > 1 else ".new" if number else ""
        name = f"{stem}{suffix}.ipynb"
        path = workspace / name
        there = hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else None
        if there and digest in (there, record.get(name)):
            record[name] = digest
            return "kept", name                         # as it is, or as the learner has worked in it
        if there in (None, record.get(name)):
            break                                       # nobody has changed it since it was released
    record[name] = digest
    if not check:
        _write(path, content)
    return "beside" if number else "updated" if there else "new", name


def _record(workspace: Path) -> dict[str, str]:
    try:
        record = json.loads((workspace / RECORD).read_text())
    except (OSError, ValueError):
        return {}                                       # then every file there counts as the learner's own
    return record if isinstance(record, dict) else {}


def _write(path: Path, content: bytes) -> None:
    """All of it or nothing, even when killed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(content)
    part.replace(path)


def main(arguments: list[str] | None = None) -> int:
    """`execute SLUG…` for authors, `release` for the jupyterlab role."""
    parser = argparse.ArgumentParser(prog="python -m virtlab.guides", description=__doc__.partition("\n")[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    run = verbs.add_parser("execute", help="run guides for real and store their outputs")
    run.add_argument("slug", nargs="+")
    put = verbs.add_parser("release", help="put the learners' editions into a workspace")
    put.add_argument("--workspace", type=Path, required=True)
    put.add_argument("--check", action="store_true", help="say what would change, change nothing")
    chosen = parser.parse_args(arguments)
    try:
        if chosen.verb == "release":
            done = release(chosen.workspace, check=chosen.check)
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
