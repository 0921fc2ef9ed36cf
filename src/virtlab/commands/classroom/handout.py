"""A page to print, with a card for each student: address, name, password, and a QR code that logs in once.

On the hub's machine: it is made from what the hub itself has. Made again, the cards say the same.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from virtlab import render
from virtlab.errors import UsageError


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--class", dest="data", metavar="FILE", type=Path,
        help="the class's data as the hub reads it; else that of the hub on this machine",
    )  # fmt: skip
    parser.add_argument(
        "-o", "--output", metavar="FILE", type=Path, required=True, help="the page, handout.html; or a .csv"
    )
    parser.add_argument("--only", metavar="ID", nargs="+", default=[], help="cards for just these")


def run(options: argparse.Namespace) -> render.Result:
    from virtlab.classroom import class_data, handout, record, tables

    if options.output.suffix not in (".html", ".csv"):
        raise UsageError(
            f"I cannot tell what {options.output} is to be.", do="Name a file that ends in .html or .csv."
        )
    data = class_data.read(options.data) if options.data else record.data()
    cards = handout.cards(data, options.only)
    text = handout.csv(cards) if options.output.suffix == ".csv" else handout.page(data, cards)
    tables.save(options.output, text)
    changed = list(handout.without_password(cards))
    lines = [f"Written: {options.output}, {len(cards)} cards. It holds passwords: nobody else can read it."]
    if changed and not data.authenticator_class:
        lines.append(f"These have chosen a password of their own, which nobody knows: {', '.join(changed)}.")
    return render.Result(
        {"file": str(options.output), "cards": len(cards), "without_password": changed}, "\n".join(lines)
    )
