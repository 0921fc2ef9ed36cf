"""A new lab, small and complete: it can be started, solved and proven, and waits to be made yours."""

from __future__ import annotations

import argparse

from virtlab import render, render_authors, scaffold


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("lab", metavar="NAME", help="two digits and words, like 11-my-lab")


def run(options: argparse.Namespace) -> render.Result:
    made = scaffold.make(options.lab)
    return render.Result(made.as_dict(), lambda style: render_authors.made(made, style))
