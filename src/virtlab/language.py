"""The learner's language: one setting, used by the command line, `%lab`, the guides and JupyterLab.

`--lang`, else `$VIRTLAB_LANG`, else what `lab up --set jupyterlab_language=zh` has kept, else the locale's.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from virtlab import paths

LANGUAGES = {"en": "English", "zh": "简体中文"}
SETTING = "jupyterlab_language"
KEPT = re.compile(rf"^{SETTING}:\s*['\"]?(\w+)", re.MULTILINE)  # without yaml, for speed


def current() -> str:
    """The reader's language."""
    return known(os.environ.get("VIRTLAB_LANG")) or _kept() or of_locale()


def known(name: str | None) -> str:
    """`zh` for zh, zh_CN.UTF-8 and the like; "" for a language we do not speak."""
    short = (name or "")[:2].lower()
    return short if short in LANGUAGES else ""


def of_locale() -> str:
    # As in the C library: LC_ALL decides, then LC_MESSAGES, then LANG.
    return known(next(filter(None, map(os.environ.get, ("LC_ALL", "LC_MESSAGES", "LANG"))), "")) or "en"


def _kept() -> str:
    file = paths.variables()
    try:
        return _read(str(file), file.stat().st_mtime_ns)
    except OSError:
        return ""


@lru_cache(maxsize=4)
def _read(file: str, _changed: int) -> str:
    found = KEPT.search(Path(file).read_text(encoding="utf-8", errors="replace"))
    return known(found[1]) if found else ""


def choose(text: Mapping[str, str], language: str = "") -> str:
    """One text of several: the one in this language (the reader's, if none is named), else the English."""
    return text.get(language or current()) or text["en"]


def say(phrase: str, **values: Any) -> str:
    """A fixed phrase in the reader's language, with its `{names}` filled in. zh.py has the Chinese ones."""
    if current() == "zh":
        from virtlab.zh import PHRASES

        phrase = PHRASES.get(phrase, phrase)
    return phrase.format(**values) if values else phrase
