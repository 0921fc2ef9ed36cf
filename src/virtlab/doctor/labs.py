"""Which labs can run here, and what keeps the others: all that `lab start` would say, without starting."""

from __future__ import annotations

from collections.abc import Iterator

from virtlab import catalogue, needs, settings
from virtlab.catalogue import Broken, Lab
from virtlab.doctor.finding import Finding, State
from virtlab.seat import Seat

GROUP = "labs"


def probe() -> Iterator[Finding]:
    seat = Seat()
    for one in catalogue.every():
        if isinstance(one, Broken):
            do = one.error.do or f"Correct it; `lab lint {one.slug}` reads it again."
            yield Finding(
                f"lab.{one.slug}", GROUP, State.WARN, f"{one.slug} cannot be read: {one.error.message}", do
            )
        else:
            yield lab(one, seat)


def lab(one: Lab, seat: Seat) -> Finding:
    name = f"lab.{one.slug}"
    found = needs.obstacles(one, seat)
    if not found:
        return Finding(name, GROUP, State.OK, f"{one.slug} can run here.")
    if not len(settings.host()):
        return Finding(
            name, GROUP, State.INFO, f"{one.slug} cannot run yet: nothing is built.", "Run `./lab up`."
        )
    why = " ".join(error.message for error in found)
    do = " ".join(dict.fromkeys(error.do for error in found if error.do))
    return Finding(name, GROUP, State.WARN, f"{one.slug} cannot run here now. {why}", do)
