"""Finish a lab and start it afresh. Your own files and your progress stay."""

from __future__ import annotations

import argparse

from virtlab import lifecycle, render
from virtlab.commands.display import display


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("lab", metavar="LAB")


def run(options: argparse.Namespace) -> render.Result:
    with display("Resetting", options) as on_event:
        finished, started = lifecycle.reset(options.lab, on_event=on_event)
    data = {"finished": finished.as_dict(), "started": started.as_dict()}
    return render.Result(
        data, lambda style: f"{render.finished(finished, style)}\n{render.started(started, style)}"
    )
