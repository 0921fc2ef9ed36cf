"""A class's data as the hub reads it: one JSON file, and the secrets beside it.

`lab classroom` makes it from the inventory and the roster; the role `hub` lays it down. Whoever runs the hub
in another way writes it by hand: only `folder` has no default.
"""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from virtlab import paths
from virtlab.classroom.accounts import Accounts, normal
from virtlab.errors import UsageError

VARIABLE = "VIRTLAB_CLASS"  # where the hub's processes find the file
SECRETS = ("proxy", "board", "culler", "metrics", "lab")  # a token each


@dataclass(frozen=True)
class Student:
    id: str
    name: str = ""
    email: str = ""


@dataclass(frozen=True)
class ClassData:
    folder: Path  # accounts, secrets, the hub's database: of nobody but the hub's user
    title: dict[str, str] = field(default_factory=lambda: {"en": "virtlab"})  # by language
    languages: tuple[str, ...] = ("en", "zh")  # the first is the class's own
    address: str = "127.0.0.1"  # where students and instructors come in
    port: int = 8443
    host: str = ""  # the name they use; empty: the address
    certificate: str = ""  # with its key; empty: plain HTTP, for a proxy in front that does TLS
    key: str = ""
    seat_address: str = "127.0.0.1"  # where the hub and the board answer the seats
    hub_port: int = 8081
    board_port: int = 8082
    proxy_port: int = 8083  # of the proxy's own API, on 127.0.0.1 only
    students: tuple[Student, ...] = ()
    instructors: tuple[str, ...] = ()
    labs: tuple[str, ...] = ()  # shown on the board, in this order; empty: whatever is reported
    idle_minutes: int = 90  # a machine nobody uses is stopped; 0: never
    spawner_class: str = "virtlab.hub.spawner.SeatSpawner"
    authenticator_class: str = ""  # empty: the roster's accounts
    config: dict[str, dict[str, Any]] = field(default_factory=dict)  # JupyterHub's own traits, by class

    @property
    def url(self) -> str:
        return f"{'https' if self.certificate else 'http'}://{self.host or self.address}:{self.port}"

    @property
    def hub_url(self) -> str:
        return f"http://{self.seat_address}:{self.hub_port}"

    @property
    def board_url(self) -> str:
        return f"http://{self.seat_address}:{self.board_port}"

    @property
    def accounts(self) -> Accounts:
        return Accounts(self.folder)

    def names(self) -> dict[str, str]:
        """What people are called, by the name they log in with."""
        return {normal(one.id): one.name or one.id for one in self.students}

    def link(self, who: str) -> str:
        """Logs in once."""
        from urllib.parse import urlencode

        key = self.accounts.link_key(who)
        return f"{self.url}/hub/once?{urlencode({'who': normal(who), 'key': key})}"

    def secret(self, name: str) -> str:
        """A generated token, kept."""
        file = paths.private(self.folder / "secrets") / name
        try:
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
                stream.write(secrets.token_urlsafe(32))
        except FileExistsError:
            pass
        return file.read_text()


def read(file: str | Path = "") -> ClassData:
    """The class in this file, or in the one that $VIRTLAB_CLASS names."""
    source = Path(file or os.environ.get(VARIABLE, ""))
    try:
        said = json.loads(source.read_text(encoding="utf-8"))
        known = {one.name for one in fields(ClassData)}
        if unknown := sorted(said.keys() - known):
            raise UsageError(f"{source}: I do not know {', '.join(unknown)}.",
                             do=f"It may say {', '.join(sorted(known))}.")  # fmt: skip
        said["folder"] = Path(said["folder"])
        said["students"] = tuple(Student(**one) for one in said.get("students", ()))
        for name in ("languages", "instructors", "labs"):
            if name in said:
                said[name] = tuple(said[name])
        return ClassData(**said)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"I cannot read the class's data in {source}: {error}.",
                         do="`lab classroom up` writes it.") from None  # fmt: skip
