"""What this machine can run, found out by trying. Each probe has its thread: none can hang the rest."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable

from virtlab import patience
from virtlab.doctor.finding import Finding, State

SECONDS = 8.0  # only the try for hardware virtualization takes longer than one or two
__all__ = ["Finding", "State", "examine"]

Probe = Callable[[], Iterable[Finding]]


def examine(seconds: float = SECONDS) -> list[Finding]:
    """All findings, in the order of their groups."""
    from virtlab.doctor import containers, guests, kernel, labs, machine, network, ports, services

    # Imported here, once: threads that import the same library at the same time wait for each other anyway.
    parts = (machine, guests, kernel, containers, network, services, ports, labs)
    answers: dict[str, list[Finding]] = {part.GROUP: [] for part in parts}
    workers = [_start(part.GROUP, part.probe, answers[part.GROUP]) for part in parts]
    seconds = patience.seconds(seconds)
    deadline = time.monotonic() + seconds
    for part, worker in zip(parts, workers, strict=True):
        worker.join(max(0.0, deadline - time.monotonic()))
        if worker.is_alive():
            answers[part.GROUP].append(
                Finding(
                    f"{part.GROUP}.time",
                    part.GROUP,
                    State.FAIL,
                    f"No answer within {seconds:g} seconds.",
                    "Something it asked hangs; look at what is missing here.",
                )
            )
    return [finding for part in parts for finding in list(answers[part.GROUP])]


def _start(group: str, probe: Probe, into: list[Finding]) -> threading.Thread:
    worker = threading.Thread(target=_collect, args=(group, probe, into), daemon=True, name=f"doctor-{group}")
    worker.start()
    return worker


def _collect(group: str, probe: Probe, into: list[Finding]) -> None:
    try:
        for finding in probe():
            into.append(finding)  # one by one: what was found before a mishap counts
    except Exception as error:
        said = getattr(error, "message", None) or f"{type(error).__name__}: {error}"
        do = getattr(error, "do", "") or "Please report this line; the rest of the report stands."
        into.append(
            Finding(f"{group}.error", group, State.WARN, f"Not everything could be looked at: {said}", do)
        )
