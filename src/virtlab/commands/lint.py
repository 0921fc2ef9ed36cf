"""Is a lab complete and well written? Without a name: all of them. 1 when there is something to mend."""

from __future__ import annotations

import argparse

from virtlab import catalogue, lint, render, render_authors
from virtlab.errors import Exit, UsageError


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("lab", metavar="LAB", nargs="*")


def run(options: argparse.Namespace) -> render.Result:
    slugs = [catalogue.slug(lab) for lab in options.lab] or catalogue.slugs()
    if not slugs:
        raise UsageError("There are no labs here.", do="`lab new 01-my-lab` makes one.")
    found = [finding for slug in slugs for finding in lint.lint(slug)]
    data = {"labs": slugs, "findings": [one.as_dict() for one in found]}
    return render.Result(
        data,
        lambda style: render_authors.findings(found, len(slugs), style),
        Exit.FAILED if found else Exit.OK,
    )
