"""The labs there are, and how far you are in each."""

from __future__ import annotations

import argparse

from virtlab import language, overview, render


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--can-run", action="store_true", help="also what keeps a lab from starting here")


def run(options: argparse.Namespace) -> render.Result:
    every = overview.entries(can_run=options.can_run)
    goes_on = overview.left_off(every)
    data = {
        "labs": [one.as_dict() for one in every],
        "continue": goes_on.lab.slug if goes_on else None,
        "language": language.current(),
    }
    return render.Result(data, lambda style: render.labs(every, style))
