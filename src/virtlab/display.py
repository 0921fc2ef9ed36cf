"""What a running playbook looks like: a live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from contextlib import AbstractContextManager
from typing import Any, Self

from virtlab.playbooks import Event

HEARTBEAT = 15.0  # seconds of silence, without a terminal, before saying what it is at


class Progress(AbstractContextManager["Progress"]):
    """Give `on_event` to `playbooks.run`. One line is left for each role; the present task comes and goes."""

    def __init__(self, roles: list[str]) -> None:
        self.roles = roles
        self.finished = self._place = 0
        self._role = self._task = ""
        self._changed = 0
        self._began = self._role_began = time.monotonic()
        self._spoke = self._began
        self._stop = threading.Event()
        self._live: Any = None

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            from rich.console import Console

            self._live = Console(stderr=True, highlight=False).status("starting")
            self._live.start()
        self._clock = threading.Thread(target=self._tick, daemon=True)
        self._clock.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._stop.set()
        self._clock.join()
        if kind is None:
            self._close_role()
        if self._live:
            self._live.stop()

    def on_event(self, event: Event) -> None:
        if event.kind == "changed":
            self._changed += 1
        elif event.kind == "task":
            if event.role != self._role and event.role in self.roles[self.finished :]:
                self._close_role()
                self._place = self.roles.index(event.role, self.finished) + 1
                self._role, self._changed, self._role_began = event.role, 0, time.monotonic()
            self._task = event.task

    def now(self) -> str:
        """Which role, which of them, which task, for how long."""
        where = self._role or "starting"
        if self._role:
            where = f"{self._place} of {len(self.roles)}  {self._role}"
        return f"{where}: {self._task or '…'}  {time.monotonic() - self._began:.0f} s"

    def _close_role(self) -> None:
        if not self._role:
            return
        self.finished = self._place
        took = time.monotonic() - self._role_began
        self._say(
            f"  {self._role:<20} {took:6.1f} s" + (f"  {self._changed} changed" if self._changed else "")
        )
        self._role = ""

    def _tick(self) -> None:
        while not self._stop.wait(0.2 if self._live else 1):
            if self._live:
                from rich.markup import escape

                self._live.update(escape(self.now()))
            elif time.monotonic() - self._spoke >= HEARTBEAT:
                self._say(f"  … {self.now()}")

    def _say(self, line: str) -> None:
        self._spoke = time.monotonic()
        if self._live:
            self._live.console.print(line, markup=False)
        else:
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()
