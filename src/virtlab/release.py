"""Releasing guides: the learner's edition of each goes into the workspace, and nothing of theirs is lost.

A guide is `<slug>/<slug>.ipynb`. What the learner has worked in is never written to: a newer one lies beside
it as `….new.ipynb`, and one in another language as `….zh.ipynb`.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from virtlab import guides, paths
from virtlab.errors import LabError
from virtlab.language import current

RECORD = ".released.json"


@dataclass(frozen=True)
class Released:
    """What became of one guide: new, updated, kept (nothing to do) or beside (the learner's own stays)."""

    slug: str
    state: str
    path: str


def release(
    workspace: Path, slugs: list[str] | None = None, *, language: str = "", check: bool = False
) -> list[Released]:
    """Put the learners' editions into the workspace. What the learner changed is never overwritten."""
    sources = sorted(paths.NOTEBOOKS.glob("*.ipynb"))
    if slugs is not None:
        sources = [source for source in sources if source.stem in slugs]
    found = {source.stem: guides.read(source) for source in sources}    # all, before anything is written
    pictures = {slug: pictures_of(slug, guide) for slug, guide in found.items()}
    record = _record(workspace)
    before = dict(record)
    done = []
    for slug, guide in found.items():
        edition = guides.learners_edition(guide, language or current())
        state, name = _place(workspace, f"{slug}/{slug}", edition, record, check)
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


def guide_in(folder: Path, language: str = "") -> Path:
    """The guide to open in a lab's folder: the one in this language, if it lies beside another."""
    own = folder / f"{folder.name}.{language or current()}.ipynb"
    return own if own.exists() else folder / f"{folder.name}.ipynb"


def newest(guide: Path) -> Path | None:
    """The newer edition that lies beside a guide, because the learner has worked in that one."""
    found = sorted(guide.parent.glob(f"{guide.stem}.new*.ipynb"), key=lambda one: (len(one.name), one.name))
    return found[-1] if found else None


def is_missing(folder: Path) -> bool:
    """There is no guide in a lab's folder, or none in the learner's language."""
    guide = guide_in(folder)
    return not guide.exists() or _language(guide) != current()


def pictures_of(slug: str, guide: Any) -> dict[str, Path]:
    """The picture files, which must be there and stay inside the notebooks' folder."""
    found = {name: (paths.NOTEBOOKS / name).resolve() for name in guides.images(guide)}
    for name, source in found.items():
        if not source.is_file() or not source.is_relative_to(paths.NOTEBOOKS.resolve()):
            raise LabError(f"{slug}.ipynb shows '{name}', and there is no such picture in notebooks/.",
                           do="Add the picture below notebooks/images/, or correct its name in the guide.")
    return found


def _place(
    workspace: Path, stem: str, edition: Any, record: dict[str, str], check: bool
) -> tuple[str, str]:
    """Write one guide where nothing of the learner's is lost. `record`: what was released as what."""
    content = json.dumps(edition, indent=1, ensure_ascii=False).encode() + b"\n"
    digest = _said(edition)
    there = None
    for name in _names(workspace, stem, guides.language_of(edition), record):
        path = workspace / name
        there = _digest(path)
        if there and digest in (there, record.get(name)):
            record[name] = digest
            return "kept", name                         # as it is, or as the learner has worked in it
        if there is None or _is_ours(path, record.get(name)):
            break                                       # nobody has changed it since it was released
    record[name] = digest
    if not check:
        _write(path, content)
    return "updated" if there else "new" if name == f"{stem}.ipynb" else "beside", name


def _names(workspace: Path, stem: str, language: str, record: dict[str, str]) -> Iterator[str]:
    """Where it may go, in this order. An edition in another language has its own name from then on."""
    first, own = f"{stem}.ipynb", f"{stem}.{language}.ipynb"
    elsewhere = (workspace / own).exists()
    if not elsewhere and (workspace / first).exists() and not _is_ours(workspace / first, record.get(first)):
        elsewhere = _language(workspace / first) != language
    base = f"{stem}.{language}" if elsewhere else stem
    for number in itertools.count():
        yield f"{base}{f'.new-{number}' if number > 1 else '.new' if number else ''}.ipynb"


def _language(path: Path) -> str:
    """Of a guide the learner has worked in."""
    try:
        return guides.language_of(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return "en"


def _digest(path: Path) -> str | None:
    """Of what stands in the file; None if there is none."""
    if not path.exists():
        return None
    content = path.read_bytes()
    try:
        return _said(json.loads(content))
    except (ValueError, KeyError, TypeError):
        return hashlib.sha256(content).hexdigest()      # no notebook any more: the learner's own in any case


def _is_ours(path: Path, recorded: str | None) -> bool:
    """As it was released. The first records were of the file's bytes."""
    return recorded in (_digest(path), hashlib.sha256(path.read_bytes()).hexdigest())


def _said(guide: Any) -> str:
    """Cells and outputs. JupyterLab adds metadata when a guide is merely looked at: that is no work in it."""
    said = [(cell["cell_type"], guides.text(cell), cell.get("outputs", [])) for cell in guide["cells"]]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


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
