"""Keep the disks of seats as they are now, for `lab classroom rollback`. Seats may run meanwhile."""

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
    parser.add_argument("name", metavar="NAME", help="what the snapshot is called: before-lab-6")


def run(options: argparse.Namespace) -> render.Result:
    from virtlab.classroom import verbs
    from virtlab.hub.disks import snapshot_volume

    whom = on_seats.wanted(options)
    snapshot_volume("", options.name)  # a name that will not do is said once

    here = on_seats.Class(whom)

    async def keep(host: Host, machine: Machine) -> Outcome:
        return await verbs.snapshot(host, machine, options.name, again=options.everybody)

    return on_seats.result(here.work(here.seats(), keep, on_seats.DISKS))
