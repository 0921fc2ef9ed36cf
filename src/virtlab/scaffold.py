"""A new lab that works: a small web server in a container, with checks, guide and quiz, to be changed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from virtlab import catalogue, paths
from virtlab.catalogue import Lab
from virtlab.errors import UsageError

TEMPLATE = Path(__file__).with_name("template")
FILES = ("lab.yml", "start.yml", "solve.yml", "finish.yml", "checks.py", "messages.yml", "quiz.yml")


@dataclass(frozen=True)
class Made:
    lab: Lab
    files: tuple[Path, ...]
    todo: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        return {
            "lab": self.lab.slug,
            "files": [paths.short(file) for file in self.files],
            "todo": list(self.todo),
        }


def make(slug: str) -> Made:
    """Write the files of a lab that does not exist yet."""
    if not catalogue.SLUG.match(slug):
        raise UsageError(f"'{slug}' is no name for a lab.", do="Two digits and words, like 11-my-lab.")
    number = slug[:2]
    if taken := [other for other in catalogue.slugs() if other[:2] == number]:
        raise UsageError(f"Number {number} is taken by {taken[0]}.", do="Choose another number.")
    words = _words(slug)
    texts = {paths.LABS / slug / name: _fill(TEMPLATE / f"{name}.in", words) for name in FILES}
    texts[paths.NOTEBOOKS / f"{slug}.ipynb"] = _guide(_fill(TEMPLATE / "guide.md.in", words))
    if there := [file for file in texts if file.exists()]:
        raise UsageError(f"{paths.short(there[0])} exists already.", do="Choose another name, or remove it.")
    for file, text in texts.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    todo = (
        f"Change it step by step; `lab prove {number}` shows whether its checks are right.",
        execute(slug),
        f"`lab lint {number}` says what is still missing.",
    )
    return Made(catalogue.load(slug), tuple(texts), todo)


def execute(slug: str) -> str:
    """What is left to do where the lab could not be run."""
    return f"Run the guide: `.venv/bin/python -m virtlab.guides execute {slug}`."


def _words(slug: str) -> dict[str, str]:
    """What the template leaves open; prefix and port are nobody else's."""
    others = [lab for lab in catalogue.every() if isinstance(lab, Lab)]
    number, _, name = slug.partition("-")
    base = re.sub(r"[^a-z0-9]", "", name).lstrip("0123456789")[:9] or "lab"
    if base in ("lab", "virtlab", "virbr") or len(base) < 2:
        base = f"my{base}"
    prefixes = {lab.prefix for lab in others}
    prefix = next(one for one in (base, *(f"{base}{n}" for n in range(2, 10))) if one not in prefixes)
    ports = {port for lab in others for port in lab.ports.values()}
    port = next(one for one in range(8100 + int(number), 9000) if one not in ports)
    title = name.replace("-", " ").capitalize()
    return {"slug": slug, "number": number, "title": title, "prefix": prefix, "port": str(port)}


def _fill(file: Path, words: dict[str, str]) -> str:
    return re.sub(r"@(\w+)@", lambda found: words[found[1]], file.read_text(encoding="utf-8"))


def _guide(text: str) -> str:
    """The guide as a notebook, from plain text with a line before each cell that says its kind."""
    import nbformat

    book = nbformat.v4.new_notebook(
        metadata={
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        cells=list(_cells(text)),
    )
    return f"{nbformat.writes(book)}\n"


def _cells(text: str) -> Iterator[Any]:
    import nbformat

    known = {"en": ["lang-en"], "zh": ["lang-zh"], "code": [], "solution": ["solution"]}
    parts = re.split(r"^--- (.+)\n", text, flags=re.MULTILINE)[1:]
    for number, (heads, part) in enumerate(zip(parts[::2], parts[1::2], strict=True)):
        kind, *more = heads.split()
        tags = known[kind] + more
        words = {"metadata": {"tags": tags} if tags else {}, "id": f"cell-{number}"}
        if kind in ("code", "solution"):
            yield nbformat.v4.new_code_cell(part.strip(), **words)
        else:
            yield nbformat.v4.new_markdown_cell(part.strip(), **words)
