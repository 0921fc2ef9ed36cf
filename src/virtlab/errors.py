"""What can go wrong, said so that somebody can act on it: what happened, and what to do next."""

from __future__ import annotations

from enum import IntEnum
from pathlib import Path


class Exit(IntEnum):
    """The exit codes of `lab`, the same for every command."""

    OK = 0
    FAILED = 1  # a check failed
    USAGE = 2  # wrong use: a name, an option or a file that is not right
    MACHINE = 3  # this machine cannot do it (now), or nobody can tell
    PLAYBOOK = 4  # a playbook failed


class LabError(Exception):
    """An error for people: one sentence of what happened, and `do`, what to do about it."""

    exit = Exit.USAGE

    def __init__(self, message: str, *, do: str = "", exit: Exit | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.do = do
        if exit is not None:
            self.exit = exit

    def as_dict(self) -> dict[str, object]:
        return {"message": self.message, "do": self.do, "exit": int(self.exit)}


class UsageError(LabError):
    """Wrong use: a name, an option or a file that is not right."""


class MachineError(LabError):
    """The machine cannot do this, at least not now."""

    exit = Exit.MACHINE


class Unknown(MachineError):
    """Nobody can tell: what kept us from looking, and how to repair that."""


class PlaybookError(LabError):
    """A playbook failed: which task, where, what it said, and where the whole log is."""

    exit = Exit.PLAYBOOK

    def __init__(
        self, message: str, *, do: str = "", task: str = "", host: str = "", log: Path | None = None
    ) -> None:
        super().__init__(message, do=do)
        self.task = task
        self.host = host
        self.log = log

    def as_dict(self) -> dict[str, object]:
        return super().as_dict() | {"task": self.task, "host": self.host, "log": str(self.log or "")}
