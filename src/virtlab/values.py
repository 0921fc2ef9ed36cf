"""Values of a learner's own: drawn from the learner's name and a secret, the same every time, kept nowhere.

Another learner, or the same one on another machine, has others: a neighbour's answer does not fit.
"""

from __future__ import annotations

import os
import pwd
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from virtlab import paths, state
from virtlab.errors import MachineError
from virtlab.words import ADJECTIVES, NOUNS

if TYPE_CHECKING:
    from virtlab.text import Text



@dataclass(frozen=True)
class Kind:
    """What one value is, as lab.yml says."""

    kind: str  # word, name, title, number, port
    title: Text
    least: int = 0
    most: int = 0


def learner() -> str:
    """Who is learning: `$VIRTLAB_LEARNER`, else the user."""
    return os.environ.get("VIRTLAB_LEARNER") or pwd.getpwuid(os.getuid()).pw_name


def key_file() -> Path:
    return paths.data() / "values.key"


def key() -> bytes:
    """The secret, made on first use."""
    file = key_file()
    try:
        try:
            return bytes.fromhex(file.read_text())
        except FileNotFoundError:
            _make(file)
            return bytes.fromhex(file.read_text())
    except OSError as error:
        raise state.cannot_write(error) from None
    except ValueError:
        raise MachineError(
            f"{file} is damaged, and your own values are drawn with it.",
            do=f"`rm {file}` makes a new one; labs that use values of your own then want new ones.",
        ) from None


def _make(file: Path) -> None:
    """Two commands may come here at once: whoever is first decides."""
    new = paths.private(file.parent) / f".{file.name}.{os.getpid()}"
    paths.write(new, os.urandom(32).hex())
    try:
        os.link(new, file)
    except FileExistsError:
        pass
    finally:
        new.unlink()


class Values(Mapping[str, "str | int"]):
    """A learner's values for one lab: `lab.values["word"]`."""

    def __init__(self, slug: str, kinds: Mapping[str, Kind], ports: Mapping[str, int]) -> None:
        self.kinds = kinds
        self._slug = slug
        self._ports = ports  # a port that was drawn is one of the lab's, and can be moved like them
        self._drawn: dict[str, str | int] | None = None

    def __getitem__(self, name: str) -> str | int:
        if name in self._ports:
            return self._ports[name]
        if self._drawn is None:
            self._drawn = draw(self._slug, self.kinds) if self.kinds else {}
        return self._drawn[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.kinds)

    def __len__(self) -> int:
        return len(self.kinds)

    def stranger(self, name: str, seen: str) -> str:
        """A value of this kind in `seen` that is somebody else's; "" if there is none."""
        mine = str(self[name])
        pattern = PATTERNS.get(self.kinds[name].kind)
        found = re.findall(pattern, seen, re.IGNORECASE) if pattern else []
        return next((one for one in found if one.lower() != mine.lower()), "")

    def whose(self, name: str, seen: str) -> str:
        """A sentence for a check that has not found the value in `seen`, when somebody else's is there."""
        other = self.stranger(name, seen)
        what = self.kinds[name].kind
        return f"`{other}` is the {what} of somebody else's lab: yours is `{self[name]}`. " if other else ""


def draw(slug: str, kinds: Mapping[str, Kind]) -> dict[str, str | int]:
    """All values of a lab. Two of them are never the same."""
    import hashlib  # with hmac a tenth of what `lab list` takes
    import hmac

    secret, who = key(), learner()
    drawn: dict[str, str | int] = {}
    for name, kind in kinds.items():
        for attempt in range(1000):
            said = f"{who}\n{slug}\n{name}\n{attempt}".encode()
            number = int.from_bytes(hmac.new(secret, said, hashlib.sha256).digest())
            value = _value(kind, number)
            if value not in drawn.values():
                break
        drawn[name] = value
    return drawn


def _value(kind: Kind, number: int) -> str | int:
    if kind.kind in ("number", "port"):
        return kind.least + number % (kind.most - kind.least + 1)
    rest, noun = divmod(number, len(NOUNS))
    adjective = ADJECTIVES[rest % len(ADJECTIVES)]
    if kind.kind == "word":
        return NOUNS[noun]
    return f"{adjective}-{NOUNS[noun]}" if kind.kind == "name" else f"The {adjective} {NOUNS[noun]}"


_NOUN, _ADJECTIVE = "|".join(NOUNS), "|".join(ADJECTIVES)
PATTERNS = {
    "word": rf"\b(?:{_NOUN})\b",
    "name": rf"\b(?:{_ADJECTIVE})-(?:{_NOUN})\b",
    "title": rf"\bThe (?:{_ADJECTIVE}) (?:{_NOUN})\b",
}
