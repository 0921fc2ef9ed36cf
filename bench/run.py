#!/usr/bin/env python3
"""Measure, and print one table in Markdown. `python bench/run.py --list` says what there is."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import measure
import rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", metavar="NAME", nargs="+", default=[], help="just these rows")
    parser.add_argument("--list", action="store_true", help="the rows there are")
    parser.add_argument(
        "--destructive", action="store_true",
        help="also the rows that remove the lab host, its packages and its caches to build it again",
    )  # fmt: skip
    parser.add_argument("--times", type=int, default=5, help="runs of the short ones; their median counts")
    options = parser.parse_args()
    every = rows.rows(options.times)
    if unknown := set(options.only) - {row.name for row in every}:
        parser.error(f"there is no row {', '.join(sorted(unknown))}; --list says what there is")
    if options.list:
        for row in every:
            print(f"{row.name:<20}{row.what}{'   (--destructive)' if row.destructive else ''}")
        return 0
    chosen = [row for row in every if not options.only or row.name in options.only]
    print(f"Measured on {measure.machine()}.\n")
    print("| what | measured | goal | made by |\n|---|---|---|---|", flush=True)
    failed = False
    for row in chosen:
        if row.destructive and not options.destructive:
            if options.only:
                print(f"{row.name} takes the lab host apart: add --destructive.", file=sys.stderr)
                failed = True
            continue
        print(f"measuring: {row.what} …", file=sys.stderr)
        try:
            figures = row.measure()
        except Exception as error:  # the other rows are still worth having
            failed = True
            figures = [
                rows.Figure(row.what, f"not measured: {' '.join(str(error).split())}", "", row.command)
            ]
        for one in figures:
            print(f"| {one.what} | {one.measured} | {one.goal} | `{one.command}` |", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
