"""How far you are: in one lab, or in all you have started."""

from __future__ import annotations

import argparse

from virtlab import lifecycle, render


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("lab", metavar="LAB", nargs="?")


def run(options: argparse.Namespace) -> render.Result:
    found = lifecycle.status(options.lab)
    return render.Result(
        {"labs": [one.as_dict() for one in found]}, lambda style: render.status(found, style)
    )
