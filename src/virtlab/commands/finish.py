"""Put the machine back as it was. Your own files stay; what is not the lab's is named and left alone."""

from __future__ import annotations

import argparse

from virtlab import lifecycle, render
from virtlab.commands.display import display


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("lab", metavar="LAB")


def run(options: argparse.Namespace) -> render.Result:
    with display("Finishing", options) as on_event:
        done = lifecycle.finish(options.lab, on_event=on_event)
    return render.Result(done.as_dict(), lambda style: render.finished(done, style))
