"""Texts in several languages, and a word that was nearly right."""

from __future__ import annotations

from collections.abc import Iterable

from virtlab.language import choose, say
from virtlab.language import current as language

__all__ = ["Text", "language", "nearest"]


class Text(dict[str, str]):
    """One text in several languages; `str()` gives the reader's, English when there is no other."""

    def __str__(self) -> str:
        return choose(self)


def nearest(wanted: str, known: Iterable[str]) -> str:
    import difflib

    near = difflib.get_close_matches(wanted, list(known), 1, 0.5)
    return say(" (did you mean '{word}'?)", word=near[0]) if near else ""
