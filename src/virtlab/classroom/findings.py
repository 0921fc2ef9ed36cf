"""What is wrong with a class's files: all of it at once, each with file and line."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from virtlab import paths
from virtlab.errors import LabError, UsageError


@dataclass(frozen=True, order=True)
class Finding:
    file: Path
    line: int
    message: str
    do: str = ""
    is_error: bool = True  # else worth knowing, and nothing is kept from going on

    @property
    def where(self) -> str:
        return f"{paths.short(self.file)}:{self.line}"

    def __str__(self) -> str:
        return f"{self.where}: {self.message}{f' {self.do}' if self.do else ''}"

    def as_dict(self) -> dict[str, Any]:
        return {
            "file": paths.short(self.file), "line": self.line, "kind": "error" if self.is_error else "note",
            "message": self.message, "do": self.do,
        }  # fmt: skip


def of(file: Path, error: LabError) -> Finding:
    """A YAML document's error begins with file and line."""
    begin = f"{paths.short(file)}:"
    line, _, message = error.message.removeprefix(begin).partition(": ")
    if error.message.startswith(begin) and line.isdigit():
        return Finding(file, int(line), message[:1].upper() + message[1:])
    return Finding(file, 1, error.message, error.do)


def stop(found: Iterable[Finding]) -> None:
    """Nothing goes on with a class that has errors."""
    wrong = sorted({one for one in found if one.is_error})
    if wrong:
        count = "something is" if len(wrong) == 1 else f"{len(wrong)} things are"
        raise UsageError(
            "\n".join([f"In the class's files {count} to mend:", *map(str, wrong)]),
            do="Mend that; `lab classroom check` says when all is well.",
        )
