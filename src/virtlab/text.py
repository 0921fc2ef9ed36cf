"""Texts in several languages, and a word that was nearly right."""

from __future__ import annotations

import os
from collections.abc import Iterable


def language() -> str:
    """The reader's language: `$VIRTLAB_LANG`, else that of the locale."""
    spoken = os.environ.get("VIRTLAB_LANG") or os.environ.get("LC_ALL") or os.environ.get("LANG") or ""
    return "zh" if spoken.lower().startswith("zh") else "en"


class Text(dict[str, str]):
    """One text in several languages; `str()` gives the reader's, English when there is no other."""

    def __str__(self) -> str:
        return self.get(language()) or self["en"]


def nearest(wanted: str, known: Iterable[str]) -> str:
    import difflib

    near = difflib.get_close_matches(wanted, list(known), 1, 0.5)
    return f" (did you mean '{near[0]}'?)" if near else ""
