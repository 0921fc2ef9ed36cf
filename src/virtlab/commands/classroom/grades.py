"""Points for the gradebook, from the seats' records: `lab report --json` of each, as FOLDER/<id>.json.

A record is kept by the student's own machine, where the student is root: it is a report, not a proof.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from virtlab import render
from virtlab.errors import Exit, MachineError, UsageError
from virtlab.render import Style, table

FORMATS = ("csv", "moodle", "canvas")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-i", "--inventory", metavar="DIR", type=Path, required=True, help="the class's folder"
    )
    parser.add_argument("--records", metavar="FOLDER", type=Path, required=True, help="records: <id>.json")
    parser.add_argument("--format", choices=FORMATS, help="for whom it is; else where the roster is from")
    parser.add_argument("--output", "-o", metavar="FILE", type=Path, help="write it; else a table is shown")


def run(options: argparse.Namespace) -> render.Result:
    from virtlab.classroom import grades, inventory, tables

    found = inventory.load(options.inventory)
    if not options.records.is_dir():
        raise UsageError(
            f"There is no folder {options.records}.",
            do="Make it, and put there what `lab report --json` says in each seat, as <id>.json.",
        )
    everybody, said = grades.collect(found, options.records)
    graded = sum(one.has_record for one in everybody)
    if not graded:
        raise MachineError(
            f"{options.records} has no record of anybody in the roster.",
            do="A record is what `lab report --json` says in a seat; call it <id>.json, as in the roster.",
        )
    data = grades.as_dict(found, everybody) | {"findings": [one.as_dict() for one in said]}
    if options.output:
        form = options.format or found.roster.form or "csv"
        tables.save(options.output, grades.FORMATS[form](found, everybody))
        data["file"] = str(options.output)

    def draw(style: Style) -> str:
        shown = f"Written: {options.output}"
        if not options.output:
            empty = ["-"] * len(found.labs)
            points = [[f"{grade.points:g}" for grade in one.grades] for one in everybody]
            rows = [(one.student.id, *(got or empty)) for one, got in zip(everybody, points, strict=True)]
            shown = table(rows, style, ("id", *found.labs))
        return "\n".join([*map(str, said), shown, f"{graded} of {len(everybody)} students have a record."])

    return render.Result(data, draw, Exit.OK)
