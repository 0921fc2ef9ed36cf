"""Show students a message, in JupyterLab; who is not there sees it when they come."""

from __future__ import annotations

import argparse

from virtlab import render
from virtlab.commands.classroom import on_seats
from virtlab.errors import UsageError


def configure(parser: argparse.ArgumentParser) -> None:
    on_seats.some(parser)
    parser.add_argument(
        "--all", action="store_true", dest="everybody", help="to every student, as without --seat"
    )
    parser.add_argument(
        "--from", dest="sender", metavar="NAME", help="which instructor it is from; else the first"
    )
    parser.add_argument("text", metavar="TEXT", help="what it says, in quotation marks")


def run(options: argparse.Namespace) -> render.Result:
    from virtlab.classroom import record, seats
    from virtlab.classroom.front import Front

    if options.seat and options.everybody:
        raise UsageError("--all and --seat exclude each other.", do="Use one of them.")
    record.load()
    data = record.data()
    to = list(seats.chosen(data, options.seat))
    if not options.text.strip():
        raise UsageError("The message says nothing.", do="Write it in quotation marks.")
    sender = options.sender or next(iter(data.instructors), None)
    sent = Front(data).send(to, options.text, sender)
    said = f"Sent to {sent} student{'s' * (sent != 1)}{f', from {sender}' if sender else ''}."
    return render.Result({"sent": sent, "to": to, "from": sender}, said)
