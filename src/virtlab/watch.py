"""Looking at a lab whenever something may have changed it, and hardly at all otherwise.

`lab grade --watch` and the checklist in JupyterLab both stand on this. For the latter, `python -m
virtlab.watch SLUG` writes one line of JSON for every look that found something new; a line on its input is a
nudge (somebody runs cells), and the input's end is the watcher's.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from virtlab import lifecycle, state, traces
from virtlab.errors import LabError, UsageError
from virtlab.outcomes import Grade
from virtlab.pace import Pace
from virtlab.seat import Seat

TICK = 1.0  # seconds between two looks at files and terminals, which cost nothing

Ring = Callable[[str], None]


@dataclass(frozen=True)
class Noise:
    why: str  # docker, elsewhere, libvirt, typed
    at: float


class Watch:
    """One watcher of one lab: one look at a time, in the thread that asks."""

    def __init__(self, wanted: str) -> None:
        self.lab = lifecycle.open_lab(wanted)
        self.pace = Pace()
        self.noises: queue.SimpleQueue[Noise] = queue.SimpleQueue()
        self.seat = Seat()

    def ring(self, why: str) -> None:
        """Something happened; may be called from any thread."""
        self.noises.put(Noise(why, time.monotonic()))

    def changes(self) -> Iterator[Grade]:
        """The first look, and every one that found something new, until the lab is not started any more."""
        begun = state.read(self.lab.slug)
        self._listen()  # before the first look: what happens meanwhile must not be missed
        seen = self._look()  # that it was never started is an error of who asked
        yield seen
        while True:
            self._wait()
            now = state.read(self.lab.slug)
            if now.phase != "started":
                return
            if now != begun:  # finished and started again meanwhile, perhaps on other ports
                begun, self.lab = now, lifecycle.open_lab(self.lab.slug)
            last = seen
            try:
                seen = self._look(last)
            except UsageError:
                if state.read(self.lab.slug).phase == "started":
                    raise
                return
            if _said(seen) != _said(last):
                yield seen

    def _look(self, last: Grade | None = None) -> Grade:
        began = time.monotonic()
        seen = lifecycle.look(self.lab, self.seat)
        is_new = last is None or _said(seen) != _said(last)
        if is_new:
            seen = lifecycle.keep(seen)
        if any(one.state == "unknown" for one in seen.results):
            self.seat = Seat()  # what was away may be back, behind a new connection
        self.pace.looked(began, time.monotonic(), is_new)
        return seen

    def _listen(self) -> None:
        listeners = [traces.docker] if self.lab.needs.docker else []
        listeners += [traces.libvirt] if self.lab.needs.libvirt else []
        about = (self.ring, self.lab.prefix)
        for one in listeners:
            threading.Thread(target=one, args=about, daemon=True, name=one.__name__).start()
        self.files, self.code = traces.Files(self.lab.work), traces.Files(self.lab.folder, depth=0)
        self.terminals = traces.Terminals()

    def _wait(self) -> None:
        """Until the next look is due."""
        while (left := self.pace.due - time.monotonic()) > 0:
            try:
                self._hear(self.noises.get(timeout=min(left, TICK)))
                continue
            except queue.Empty:
                pass
            if self.files.have_changed():
                self.pace.rang(time.monotonic())
            if self.terminals.have_changed():
                self.pace.typed(time.monotonic())
            if self.code.have_changed():
                self.lab = lifecycle.open_lab(self.lab.slug)
                self.pace.rang(time.monotonic())
            if state.read(self.lab.slug).phase != "started":
                return

    def _hear(self, noise: Noise) -> None:
        if noise.why == "typed":
            self.pace.typed(noise.at)
        elif noise.why == "elsewhere":
            self.pace.murmured(noise.at)
        else:
            self.pace.rang(noise.at, own=noise.why == "docker")


def _said(seen: Grade) -> list[tuple[str, str, str, str]]:
    return [(one.id, str(one.state), one.message, one.do) for one in seen.results]


def main(wanted: str) -> int:
    try:
        watch = Watch(wanted)
        threading.Thread(target=_nudges, args=(watch,), daemon=True).start()
        for seen in watch.changes():
            _tell(seen.as_dict())
    except LabError as error:
        _tell({"error": error.as_dict()})
        return int(error.exit)
    return 0


def _tell(said: dict[str, object]) -> None:
    sys.stdout.write(f"{json.dumps(said, ensure_ascii=False)}\n")
    sys.stdout.flush()


def _nudges(watch: Watch) -> None:
    for _ in sys.stdin:
        watch.ring("typed")
    os._exit(0)  # nobody reads what we say any more


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
