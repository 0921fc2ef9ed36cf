"""Time limits that follow the machine: an emulated one needs ten or twenty times as long."""

from __future__ import annotations

import os
import time
from functools import cache

LOOPS = 10_000
QUICK = 0.001  # seconds of processor time for them, with a good margin: 0.0005 where the limits were written
MOST = 10  # somebody may be waiting for the answer


@cache
def times() -> int:
    """How many times as patient as on an ordinary machine, 1 to 10. A busy machine is not a slow one."""
    if (said := os.environ.get("VIRTLAB_PATIENCE", "")).isdigit():  # a seat's, that is graded from elsewhere
        return min(MOST, max(1, int(said)))
    return min(MOST, max(1, round(min(_once() for _ in range(3)) / QUICK)))


def seconds(limit: float) -> float:
    """A limit for this machine. Only what does not answer is later for it."""
    return limit * times()


def _once() -> float:
    began, value = time.thread_time(), 0
    for number in range(LOOPS):
        value += number * number % 7
    return time.thread_time() - began
