"""Your record: what you did in each lab, alone or with help, how long it took, and what you answered."""

from __future__ import annotations

import argparse
from pathlib import Path

from virtlab import render, report
from virtlab.errors import MachineError
from virtlab.language import say


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("lab", metavar="LAB", nargs="?", help="only this one")
    parser.add_argument("--html", metavar="FILE", type=Path, help="write it as a web page of its own")


def run(options: argparse.Namespace) -> render.Result:
    made = report.make(options.lab)
    data = made.as_dict()
    if options.html is None:
        return render.Result(data, report.text(made))
    try:
        options.html.write_text(report.page(made), encoding="utf-8")
    except OSError as error:
        raise MachineError(
            f"I cannot write {options.html}: {error.strerror}.", do="Name a file in a folder that is yours."
        ) from None
    return render.Result(data | {"html": str(options.html)}, say("Written: {file}", file=options.html))
