"""What checks say, in the reader's language.

Checks speak English. messages.yml, beside a lab's checks.py, has the same sentences in Chinese, with {names}
where the values stand; the one in this folder has those of the engine, and errors.yml its errors. What is in
none of them stays English.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from virtlab.checks import Result
from virtlab.errors import LabError
from virtlab.language import current

NAME = re.compile(r"\{(\w+)\}")
OURS = Path(__file__).with_name("messages.yml")
ERRORS = Path(__file__).with_name("errors.yml")


def told(results: Iterable[Result], folder: Path) -> Iterator[Result]:
    """The results of a lab's checks, said to this reader."""
    if current() != "zh":
        yield from results
        return
    files = (folder / OURS.name, OURS)
    for one in results:
        known = _known(*files, ERRORS) if one.state == "unknown" else _known(*files)
        yield replace(
            one,
            title=known.say(one.title),
            message=known.say(one.message),
            hint=known.say(one.hint),
            do=known.say(one.do),
        )


def error(problem: LabError) -> LabError:
    """An error, said to this reader."""
    if current() == "zh":
        known = _known(ERRORS)
        problem.message, problem.do = known.say(problem.message), known.say(problem.do)
    return problem


class Messages:
    """Sentences by their English. A value that is a sentence itself is said in the same way."""

    def __init__(self, pairs: Iterable[dict[str, str]]) -> None:
        self.plain: dict[str, str] = {}
        self.patterns: list[tuple[re.Pattern[str], str]] = []
        for pair in pairs:
            english, chinese = pair["en"].strip(), pair["zh"].strip()
            if NAME.search(english):
                self.patterns.append((_pattern(english), chinese))
            else:
                self.plain[english] = chinese

    def say(self, text: str) -> str:
        wanted = text.strip()
        if not wanted or wanted in self.plain:
            return self.plain.get(wanted, "")
        for pattern, chinese in self.patterns:
            if found := pattern.fullmatch(wanted):
                return self._filled(chinese, found.groupdict())
        return text

    def _filled(self, chinese: str, values: dict[str, str]) -> str:
        return NAME.sub(lambda name: self.say(values[name[1]]), chinese)


def _pattern(english: str) -> re.Pattern[str]:
    seen: set[str] = set()
    parts = []
    for number, part in enumerate(NAME.split(english)):
        if number % 2 == 0:
            parts.append(re.escape(part))
        else:
            parts.append(f"(?P={part})" if part in seen else f"(?P<{part}>.*?)")
            seen.add(part)
    return re.compile("".join(parts), re.DOTALL)


def _known(*files: Path) -> Messages:
    return _read(tuple((file, file.stat().st_mtime_ns) for file in files if file.exists()))


@lru_cache(maxsize=8)
def _read(files: tuple[tuple[Path, int], ...]) -> Messages:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast
    return Messages(pair for file, _ in files for pair in yaml.load(file.read_bytes(), loader))  # noqa: S506
