"""Run a program on the seats, all at once, as each one's student. Seats that are off are left out.

What stands behind `--` is the program with its arguments; no shell reads it. For pipes and the like call
one: -- sh -c 'ls | wc -l'
"""

from __future__ import annotations

import argparse
import unicodedata
from typing import TYPE_CHECKING

from virtlab import render
from virtlab.commands.classroom import on_seats
from virtlab.errors import MachineError, UsageError
from virtlab.render import Style, indent

if TYPE_CHECKING:
    from virtlab.classroom.seats import Outcome
    from virtlab.hub.hosts import Host
    from virtlab.hub.machines import Machine

LIMIT = 60  # seconds


def configure(parser: argparse.ArgumentParser) -> None:
    on_seats.some(parser)
    parser.add_argument("--root", action="store_true", help="as root")
    parser.add_argument(
        "--time", metavar="SECONDS", type=int, default=LIMIT, help=f"end it after so long; else {LIMIT}"
    )
    parser.add_argument("command", metavar="COMMAND", nargs="+", help="behind --, with its arguments")


def run(options: argparse.Namespace) -> render.Result:
    from virtlab.classroom import verbs

    if options.time < 1:
        raise UsageError(f"{options.time} seconds are no time.", do="Take one or more.")
    here = on_seats.Class(options.seat)
    seats = here.seats()
    if not any(one.is_on or one.wrong for one in seats):
        raise MachineError("None of these seats runs, so nothing was done.", do="Students start theirs.")

    async def execute(host: Host, machine: Machine) -> Outcome:
        return await verbs.execute(host, machine, options.command, root=options.root, seconds=options.time)

    outcomes = here.work(seats, execute, on_seats.PROGRAMS)

    def outputs(style: Style) -> str:
        ran = [one for one in outcomes if "exit_code" in one.more]
        return "\n".join(part for one in ran for part in _shown(one, style))

    return on_seats.result(outcomes, outputs)


def _shown(one: Outcome, style: Style) -> list[str]:
    colour = "strong" if one.state == "done" else "bad"
    said = [style.paint(f"{one.seat}: {one.said}", colour)]
    return said + [indent(text, 4) for name in ("output", "errors") if (text := plain(one.more[name]))]


def plain(text: str) -> str:
    """Nothing that a seat prints may command this terminal."""
    text = text.replace("\r\n", "\n").strip("\n")
    return "".join(
        one if one in "\n\t" or unicodedata.category(one)[0] != "C" else "\N{REPLACEMENT CHARACTER}"
        for one in text
    )
