"""What a look at the machine found: one thing, how it stands, what was seen, what to do."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from virtlab import patience

SECONDS = 1.5  # the longest one command may take; more on a slow machine


class State(StrEnum):
    OK = "ok"
    INFO = "info"  # worth knowing; nothing is wrong
    WARN = "warn"  # something may go wrong, or be slow
    FAIL = "fail"  # something that is needed does not work


@dataclass(frozen=True)
class Finding:
    id: str
    group: str
    state: State
    seen: str
    do: str = ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def ask(*command: str, seconds: float = SECONDS) -> tuple[int, str]:
    """A command's exit code and what it said; 127: there is no such command, 124: it took too long."""
    limit = patience.seconds(seconds)
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=limit,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return 124, f"no answer in {limit:g} seconds"
    except OSError as error:
        return 127, f"{command[0]}: {error.strerror}"
    return done.returncode, (done.stdout + done.stderr).strip()


def names(some: Sequence[str]) -> str:
    """a, b and c"""
    return f"{', '.join(some[:-1])} and {some[-1]}" if len(some) > 1 else "".join(some)
