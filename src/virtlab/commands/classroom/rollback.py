"""Put the disks of seats back to a snapshot: what was done since then is lost.

A seat that runs is stopped first; its student starts it again.
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
    on_seats.one_or_all(parser)
    parser.add_argument("name", metavar="NAME", help="the snapshot")
    on_seats.dangerous(parser)


def run(options: argparse.Namespace) -> render.Result:
    from virtlab.classroom import verbs
    from virtlab.hub.disks import snapshot_volume

    whom = on_seats.wanted(options)
    snapshot_volume("", options.name)
    here = on_seats.Class(whom)
    seats = here.seats()
    which = f"the disks of {len(seats)} seats" if options.everybody else f"the disk of {options.seat}"
    about = f"This puts {which} back to the snapshot {options.name}. All that was done since then is lost:"
    about += " files, containers, images, records of what works."
    on_seats.confirm(about, seats, options.yes)

    async def back(host: Host, machine: Machine) -> Outcome:
        return await verbs.rollback(here.front, host, machine, options.name)

    return on_seats.result(here.work(seats, back, on_seats.DISKS))
