"""Who waits for a seat, and in what place. First come, first served; who no longer asks loses the place."""

from __future__ import annotations

import json
import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from virtlab import paths

PATIENCE = 300.0  # seconds without asking after which a place is given up


@dataclass
class Waiting:
    name: str
    since: float
    asked: float


class Queue:
    """With a file it outlives the hub: places stay, and everybody has the whole patience to come back."""

    def __init__(self, file: Path | None = None, patience: float = PATIENCE) -> None:
        self.file = file
        self.patience = patience
        self._line = _read(file) if file else []

    def admit(self, name: str, room: int, now: float | None = None) -> int:
        """Ask for one of `room` seats: 0, go in; else the place in the queue. Ask again every few seconds."""
        now = time.time() if now is None else now
        before = [one.name for one in self._line]
        self._line = [one for one in self._line if one.name == name or now - one.asked < self.patience]
        mine = next((one for one in self._line if one.name == name), None)
        if mine is None:
            self._line.append(mine := Waiting(name, now, now))
        mine.asked = now
        place = self._line.index(mine) + 1
        if place <= room:
            self._line.remove(mine)
            place = 0
        if [one.name for one in self._line] != before:
            self._write()
        return place

    def leave(self, name: str) -> None:
        if self.place(name):
            self._line = [one for one in self._line if one.name != name]
            self._write()

    def place(self, name: str) -> int:
        """1 is next; 0 does not wait."""
        return next((place for place, one in enumerate(self._line, 1) if one.name == name), 0)

    def __len__(self) -> int:
        return len(self._line)

    def as_dict(self) -> list[dict[str, Any]]:
        """For whoever shows it: the board, `lab classroom status`."""
        return [
            {"place": place, "name": one.name, "since": one.since} for place, one in enumerate(self._line, 1)
        ]

    def _write(self) -> None:
        if self.file:
            paths.write(self.file, json.dumps([[one.name, one.since] for one in self._line]))


def _read(file: Path) -> list[Waiting]:
    now = time.time()
    try:
        return [Waiting(str(name), float(since), now) for name, since in json.loads(file.read_text())]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError) as error:
        # Places are worth less than the class: a hub that does not start helps nobody.
        logging.getLogger(__name__).warning("All places are lost, %s cannot be read: %s", file, error)
        return []
