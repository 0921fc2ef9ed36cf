"""Looking at a lab whenever something may have changed it, and hardly at all otherwise.

`lab grade --watch` and the checklist in JupyterLab both stand on this. For the latter, `python -m
virtlab.watch SLUG` writes one line of JSON for every look that found something new. A line on its input is a
nudge (somebody runs cells), `draw` and `rest` say whether anybody looks at the topology, and the input's end
is the watcher's.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from virtlab import lifecycle, messages, progress, state, traces
from virtlab.errors import LabError, UsageError
from virtlab.outcomes import Grade
from virtlab.pace import Pace
from virtlab.seat import Seat

if TYPE_CHECKING:
    from virtlab.topology import Topology

TICK = 1.0  # seconds between two looks at files and terminals, which cost nothing

Ring = Callable[[str], None]
Draw = Callable[["Topology"], None]


@dataclass(frozen=True)
class Noise:
    why: str  # docker, elsewhere, libvirt, typed, shown
    at: float


class Watch:
    """One watcher of one lab: one look at a time, in the thread that asks."""

    def __init__(self, wanted: str, draw: Draw | None = None) -> None:
        """`draw` is given the topology whenever it has changed, while `is_shown`."""
        self.lab = lifecycle.open_lab(wanted)
        self.pace = Pace()
        self.noises: queue.SimpleQueue[Noise] = queue.SimpleQueue()
        self.seat = Seat()
        self.is_shown = False
        self._draw = draw
        self._drawn: Topology | None = None
        self._kept = 0

    def ring(self, why: str) -> None:
        """Something happened; may be called from any thread."""
        self.noises.put(Noise(why, time.monotonic()))

    def show(self, is_shown: bool) -> None:
        """Somebody looks at the topology, or nobody does any more; may be called from any thread."""
        self.is_shown = is_shown
        if is_shown:
            self.ring("shown")

    def changes(self) -> Iterator[Grade]:
        """The first look, and every one that found something new, until the lab is not started any more."""
        begun = state.read(self.lab.slug)
        self._listen()  # before the first look: what happens meanwhile must not be missed
        last: Grade | None = None
        while True:
            began = time.monotonic()
            try:
                seen = self._look(last)
            except UsageError:
                if last is None or state.read(self.lab.slug).phase == "started":
                    raise  # that it was never started is an error of who asked
                return
            is_new = last is None or _said(seen) != _said(last)
            last = seen
            if is_new:
                yield seen
            self._look_around()  # afterwards: who works waits for the checks
            self.pace.looked(began, time.monotonic(), is_new)
            self._wait()
            now = state.read(self.lab.slug)
            if now.phase != "started":
                return
            if now != begun:  # finished and started again meanwhile, perhaps on other ports
                begun, self.lab = now, lifecycle.open_lab(self.lab.slug)

    def _look(self, last: Grade | None) -> Grade:
        seen = lifecycle.look(self.lab, self.seat)
        if any(one.state == "unknown" for one in seen.results):
            self.seat = Seat()  # what was away may be back, behind a new connection
        is_same = last is not None and _results(seen) == _results(last)
        if last and is_same and not (last.summary and self._kept != _written()):
            return replace(seen, summary=last.summary)  # questions are answered after everything works
        seen = lifecycle.keep(seen)
        self._kept = _written()
        return seen

    def _look_around(self) -> None:
        """At what is there, if anybody wants to see it."""
        if self._draw is None or not self.is_shown:
            return
        from virtlab import topology

        found = topology.of(self.lab, self.seat)
        if found.unseen:
            self.seat = Seat()  # one does not knock twice
        if found != self._drawn:
            self._drawn = found
            self._draw(found)

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


def _results(seen: Grade) -> list[tuple[str, str, str, str]]:
    return [(one.id, str(one.state), one.message, one.do) for one in seen.results]


def _said(seen: Grade) -> object:
    return _results(seen), seen.summary and seen.summary.as_dict()


def _written() -> int:
    """When the learner's progress was last written."""
    try:
        return progress.file().stat().st_mtime_ns
    except OSError:
        return 0


def main(wanted: str) -> int:
    try:
        watch = Watch(wanted, _tell_topology)
        threading.Thread(target=_told, args=(watch,), daemon=True).start()
        for seen in watch.changes():
            _tell(seen.as_dict())
    except LabError as error:
        _tell({"error": messages.error(error).as_dict()})
        return int(error.exit)
    return 0


def _tell(said: dict[str, object]) -> None:
    sys.stdout.write(f"{json.dumps(said, ensure_ascii=False)}\n")
    sys.stdout.flush()


def _tell_topology(found: Topology) -> None:
    said: dict[str, object] = {"text": found.text(), "unseen": [asdict(one) for one in found.unseen]}
    try:
        said["svg"] = found.svg()
    except LabError as error:
        said["error"] = error.as_dict()
    _tell({"topology": said})


def _told(watch: Watch) -> None:
    """What the server says to us, line by line."""
    for line in sys.stdin:
        if (word := line.strip()) in ("draw", "rest"):
            watch.show(word == "draw")
        else:
            watch.ring("typed")
    os._exit(0)  # nobody reads what we say any more


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
