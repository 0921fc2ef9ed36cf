"""Prepare a lab: what it needs is looked at first, and nothing is changed when something is missing."""

from __future__ import annotations

import argparse

from virtlab import lifecycle, render
from virtlab.commands.display import display


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("lab", metavar="LAB")
    parser.add_argument(
        "--port",
        metavar="NAME=PORT",
        action="append",
        default=[],
        type=port,
        help="publish on another port: web=9105",
    )


def port(said: str) -> tuple[str, int]:
    name, _, number = said.partition("=")
    if not name or not number.isdigit() or not 1024 <= int(number) <= 65535:
        raise argparse.ArgumentTypeError(f"'{said}' is not NAME=PORT with a port from 1024 to 65535")
    return name, int(number)


def run(options: argparse.Namespace) -> render.Result:
    with display("Starting", options) as on_event:
        done = lifecycle.start(options.lab, ports=dict(options.port), on_event=on_event)
    return render.Result(done.as_dict(), lambda style: render.started(done, style))
