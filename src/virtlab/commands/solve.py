"""Do it for me: all tasks, or one. Your progress remembers that you had help."""

from __future__ import annotations

import argparse

from virtlab import lifecycle, render
from virtlab.commands.display import display


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("lab", metavar="LAB")
    parser.add_argument("--task", metavar="TASK", help="only this one")


def run(options: argparse.Namespace) -> render.Result:
    with display("Solving", options) as on_event:
        done = lifecycle.solve(options.lab, task=options.task, on_event=on_event)
    return render.Result(done.as_dict(), lambda style: render.solved(done, style))
