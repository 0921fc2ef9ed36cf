"""The near end of `relay`: connections that begin on the other machine, and that machine's files."""

from __future__ import annotations

import io
import json
import os
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path, PurePath, PurePosixPath
from types import SimpleNamespace
from typing import Any, TypeVar, cast

from virtlab.errors import Unknown

T = TypeVar("T")
LARGEST = 256 << 20  # bytes of a file; what is over there is a student's, and may say anything
LONGEST = 4 << 20  # bytes of an answer
WAIT = 60.0  # seconds for an answer, beyond those that the asking itself may take


class Door:
    """A relay's socket. What fails over there fails here in the same way; a door that does not answer says
    nothing about the machine behind it, and is unknown."""

    def __init__(self, where: Path) -> None:
        self.where = where

    def connect(self, address: str, port: int, timeout: float) -> socket.socket:
        _, link = self._ask(timeout + WAIT, lambda _: None, "connect", address, port, timeout)
        link.settimeout(timeout)
        return link

    def read(self, path: PurePath | str, verb: str = "read") -> bytes:
        size, link = self._ask(WAIT, lambda said: min(max(0, int(said)), LARGEST), verb, str(path))
        with link, link.makefile("rb") as stream:
            try:
                data = stream.read(size)
            except OSError:
                data = b""
        if len(data) != size:
            raise _broken()
        return data

    def database(self, path: PurePath | str) -> bytes:
        """A SQLite database as one file, whoever has it open."""
        return self.read(path, "database")

    def stat(self, path: PurePath | str) -> SimpleNamespace:
        def found(said: Any) -> SimpleNamespace:
            mode, size, changed = said
            return SimpleNamespace(st_mode=int(mode), st_size=int(size), st_mtime=float(changed))

        return self._word(found, "stat", str(path))

    def list(self, path: PurePath | str) -> list[str]:
        return self._word(lambda said: [str(name) for name in [*said]], "list", str(path))

    def path(self, where: PurePath | str) -> RemotePath:
        kind = type("SeatPath", (RemotePath,), {"door": self})  # what is made of it belongs to the same door
        made: RemotePath = kind(where)
        return made

    def _word(self, shape: Callable[[Any], T], *question: object) -> T:
        """An answer after which nothing follows."""
        said, link = self._ask(WAIT, shape, *question)
        link.close()
        return said

    def _ask(self, wait: float, shape: Callable[[Any], T], *question: object) -> tuple[T, socket.socket]:
        """What is answered, as it has to be; whatever else comes back is no answer."""
        link = Link(socket.AF_UNIX)
        try:
            link.settimeout(wait)
            link.connect(str(self.where))
            link.sendall(json.dumps(question).encode() + b"\n")
            said = json.loads(link.makefile("rb", buffering=0).readline(LONGEST))
            file = str(question[1]) if len(question) == 2 else None
            wrong = _error(said["error"], file) if "error" in said else None
            answer = None if wrong else shape(said["is"])
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            link.close()
            raise _broken() from None
        if wrong:
            link.close()
            raise wrong
        return cast(T, answer), link


class Link(socket.socket):
    """A socket of this machine that stands for a TCP connection; it knows no options of TCP."""

    def setsockopt(self, level: int, *how: Any) -> None:
        if level != socket.IPPROTO_TCP:
            super().setsockopt(level, *how)


class RemotePath(PurePosixPath):
    """A file over there; as much of `pathlib.Path` as looking takes."""

    door: Door

    def stat(self) -> SimpleNamespace:
        return self.door.stat(self)

    def read_bytes(self) -> bytes:
        return self.door.read(self)

    def read_text(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return self.read_bytes().decode(encoding, errors).replace("\r\n", "\n")

    def open(self, mode: str = "rb") -> io.BytesIO:
        if mode != "rb":
            raise ValueError(f"a file of another machine is open for reading bytes, not for {mode!r}")
        return io.BytesIO(self.read_bytes())

    def exists(self) -> bool:
        return self._is(lambda _: True)

    def is_file(self) -> bool:
        return self._is(stat.S_ISREG)

    def is_dir(self) -> bool:
        return self._is(stat.S_ISDIR)

    def iterdir(self) -> Iterator[RemotePath]:
        return (self / name for name in self.door.list(self))

    def glob(self, pattern: str) -> Iterator[RemotePath]:
        """Of this folder; `*` and `[…]` in a name."""
        with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
            yield from (one for one in self.iterdir() if fnmatchcase(one.name, pattern))

    def rglob(self, pattern: str) -> Iterator[RemotePath]:
        for one in self.glob("*"):
            if fnmatchcase(one.name, pattern):
                yield one
            if one.is_dir():
                yield from one.rglob(pattern)

    def _is(self, kind: Any) -> bool:
        try:
            return bool(kind(self.stat().st_mode))
        except OSError:
            return False


def _error(what: Any, file: str | None) -> OSError:
    """The same error as over there: a number makes OSError the right one by itself."""
    kind, number, said = what
    said = "".join(filter(str.isprintable, str(said)))[:200]  # it will stand on an instructor's terminal
    if number is not None:
        number = int(number)
    if kind == "gaierror":
        return socket.gaierror(number, said)
    if number is None:
        return TimeoutError(said) if kind == "TimeoutError" else OSError(said)
    return OSError(number, said or os.strerror(number), file)


def _broken() -> Unknown:
    return Unknown(
        "The connection to the seat broke off.",
        do="Grade it again; `lab classroom status` says whether it runs.",
    )
