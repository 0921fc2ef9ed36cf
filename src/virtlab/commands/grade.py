"""Look at what works so far. 0: everything does; 1: not yet; 3: nobody can tell."""

from __future__ import annotations

import argparse

from virtlab import lifecycle, render


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("lab", metavar="LAB")
    parser.add_argument("--watch", action="store_true", help="look again and again, until Ctrl-C")


def run(options: argparse.Namespace) -> render.Result:
    if options.watch:
        from virtlab.commands.watch import watch

        return watch(options.lab, as_json=options.json)
    done = lifecycle.grade(options.lab)
    return render.Result(done.as_dict(), lambda style: render.grade(done, style), done.exit)
