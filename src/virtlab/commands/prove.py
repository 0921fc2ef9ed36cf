"""Show that every check fails on a fresh start, passes after the solution, fails when just its own outcome is
broken, and passes after the repair; that the finish leaves nothing behind; and that the lab starts again."""

from __future__ import annotations

import argparse
import sys

from virtlab import prove, render, render_authors


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("lab", metavar="LAB")
    parser.add_argument(
        "--busy",
        action="store_true",
        help="others are at work here: count only differences that bear the lab's name",
    )


def run(options: argparse.Namespace) -> render.Result:
    def tell(step: str) -> None:
        sys.stderr.write(f"{step} …\n")
        sys.stderr.flush()

    proof = prove.prove(options.lab, tell, busy=options.busy)
    return render.Result(proof.as_dict(), lambda style: render_authors.proof(proof, style), proof.exit)
