"""Give a student a new machine: all that was done in theirs is lost, but for its snapshots.

One that runs is stopped first; its student starts the new one.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from virtlab import render
from virtlab.commands.classroom import on_seats

if TYPE_CHECKING:
    from virtlab.classroom.seats import Outcome
    from virtlab.hub.hosts import Host
    from virtlab.hub.machines import Machine


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("seat", metavar="SEAT", help="a student's id")
    on_seats.dangerous(parser)


def run(options: argparse.Namespace) -> render.Result:
    from virtlab.classroom import verbs

    here = on_seats.Class([options.seat])
    seats = here.seats()
    about = (
        f"This empties the machine of {seats[0].id}. All that was done in it is lost: files, containers, "
        f"images, records of what works. Its snapshots stay; `lab classroom snapshot {seats[0].id} NAME` "
        "takes another."
    )
    on_seats.confirm(about, seats, options.yes)

    async def new(host: Host, machine: Machine) -> Outcome:
        return await verbs.reset(here.front, host, machine)

    return on_seats.result(here.work(seats, new, on_seats.DISKS))
