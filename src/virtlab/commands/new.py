"""A new lab, small and complete: it can be started, solved and proven, and waits to be made yours."""

from __future__ import annotations

import argparse
from dataclasses import replace

from virtlab import needs, render, render_authors, scaffold
from virtlab.commands.display import display
from virtlab.scaffold import Made
from virtlab.seat import Seat


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("lab", metavar="NAME", help="two digits and words, like 11-my-lab")
    parser.add_argument("--no-run", action="store_true", help="do not run its guide")


def run(options: argparse.Namespace) -> render.Result:
    made = scaffold.make(options.lab)
    if not options.no_run and not needs.obstacles(made.lab, Seat()):
        made = _rehearsed(made, options)
    return render.Result(made.as_dict(), lambda style: render_authors.made(made, style))


def _rehearsed(made: Made, options: argparse.Namespace) -> Made:
    """With its guide executed: where the lab can run, it has passed `lab lint` once."""
    from virtlab import rehearsal

    with display("Running its guide", options):
        rehearsal.execute(made.lab.notebook)
    return replace(made, todo=tuple(one for one in made.todo if one != scaffold.execute(made.lab.slug)))
