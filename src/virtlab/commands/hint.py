"""The next hint for the first task that is not done, or for the task you name. One at a time."""

from __future__ import annotations

import argparse

from virtlab import lifecycle, render


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("lab", metavar="LAB")
    parser.add_argument("task", metavar="TASK", nargs="?")


def run(options: argparse.Namespace) -> render.Result:
    done = lifecycle.hint(options.lab, options.task)
    return render.Result(done.as_dict(), lambda style: render.hint(done, style))
