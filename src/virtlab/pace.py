"""When the next look at a lab is due: soon after something happened, seldom when nothing does."""

from __future__ import annotations

HEARTBEAT = 20.0  # seconds between two looks when nothing happens: for what nobody tells us
SHARE = 0.015  # and then no more than this part of the time is spent looking
BUSY = 0.1  # of the time is spent looking where others never rest
LIVELY = 10.0  # seconds after something happened in which we look every second: servers take a while
EVERY = 1.0
GAP = 0.2  # seconds from one look's end to the next one's begin, whatever happens
SETTLE = 0.1  # what comes in a burst is looked at once
ECHO = 0.3  # what our own look caused is told within this time after its end


class Pace:
    """All times are seconds of one clock."""

    def __init__(self) -> None:
        self.due = 0.0
        self._began = self._ended = self._lively = self._rest = 0.0
        self._loud = self._louder = False  # did something ring during this look, and the one before?

    def looked(self, began: float, ended: float, changed: bool) -> None:
        """A look has ended; with `changed` it found something new."""
        self._began, self._ended = began, ended
        self._loud, self._louder = False, self._loud
        took = ended - began
        if changed:
            self._lively = max(self._lively, ended + LIVELY / 2)
        slowest = max(HEARTBEAT, took / SHARE)
        fastest = max(EVERY, 2 * took)  # a slow machine has something better to do
        self._rest = fastest if ended < self._lively else max(fastest, min(self._rest * 1.5, slowest))
        self.due = ended + self._rest

    def rang(self, at: float, *, own: bool = False) -> None:
        """Something happened. With `own`, it may have been our own look: some checks pull images."""
        if own and at <= self._ended + ECHO:
            usual, self._loud = self._loud or self._louder, True
            if usual:
                return  # every look makes this noise
        self._lively = at + LIVELY
        self.due = min(self.due, max(at + SETTLE, self._ended + GAP))

    def murmured(self, at: float) -> None:
        """Something happened, most likely to somebody else's things: one look, and not many a minute."""
        if at > self._ended + ECHO:
            took = self._ended - self._began
            self.due = min(self.due, max(at + SETTLE, self._ended + max(2 * EVERY, took / BUSY)))

    def typed(self, at: float) -> None:
        """Somebody is working on this machine: look every second."""
        self._lively = at + LIVELY
        took = self._ended - self._began
        self.due = min(self.due, max(at + SETTLE, self._ended + max(EVERY, 2 * took)))
