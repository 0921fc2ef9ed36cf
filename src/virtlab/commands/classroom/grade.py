"""Grade a lab in every seat from outside: the checks run here, on the hub's machine, over SSH.

It shows beside it what the students' own records say, and where the two differ. Seats that are off are left
out.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from virtlab import render
from virtlab.commands.classroom import on_seats
from virtlab.errors import Exit, MachineError, UsageError
from virtlab.render import Style, table

if TYPE_CHECKING:
    from virtlab.catalogue import Lab
    from virtlab.classroom.compare import Task
    from virtlab.classroom.seats import Outcome
    from virtlab.hub.hosts import Host
    from virtlab.hub.machines import Machine


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("lab", metavar="LAB")
    on_seats.some(parser)
    parser.add_argument(
        "--records", metavar="FOLDER", type=Path, help="keep it as <id>.json there, for `grades --records`"
    )


def run(options: argparse.Namespace) -> render.Result:
    from virtlab import catalogue
    from virtlab.classroom import outside

    lab = catalogue.find(options.lab)
    _ = lab.checks  # a broken one is said once, not for each seat
    if options.records and not options.records.is_dir():
        raise UsageError(f"There is no folder {options.records}.", do="Make it.")
    here = on_seats.Class(options.seat)
    seats = here.seats()
    if not any(one.is_on or one.wrong for one in seats):
        raise MachineError("None of these seats runs, so nothing was graded.", do="Students start theirs.")

    async def grade(host: Host, machine: Machine) -> Outcome:
        return await outside.grade(host, machine, lab.slug)

    return result(lab, here.work(seats, grade, at_once()), options.records)


def at_once() -> int:
    """Each takes a processor here for a second, and then mostly waits for the seat."""
    return min(on_seats.PROGRAMS, 2 * (os.cpu_count() or 1))


def result(lab: Lab, outcomes: Sequence[Outcome], records: Path | None) -> render.Result:
    from virtlab.classroom import compare

    graded = [one for one in outcomes if one.state == "done"]
    found = {one.seat: compare.tasks(lab, one.more) for one in graded}
    base = on_seats.result(outcomes, lambda style: _table(lab, graded, found, style))
    differs = sum(one.verdict in (compare.RECORD_ONLY, compare.OUTSIDE_ONLY) for one in _every(found))
    if records:
        for one in graded:
            _keep(lab, records / f"{one.seat}.json", one)
    counts = {name: base.data[name] for name in ("done", "skipped", "failed")}
    data = {"lab": lab.slug, "differences": differs, **counts}
    data["seats"] = [_seat(one, found.get(one.seat)) for one in outcomes]
    worst = base.exit
    if any(one.outside == "unknown" for one in _every(found)):
        worst = Exit.MACHINE
    elif differs:
        worst = max(worst, Exit.FAILED)
    return render.Result(data, base.text, worst)


def _every(found: dict[str, list[Task]]) -> list[Task]:
    return [task for tasks in found.values() for task in tasks]


def _seat(one: Outcome, tasks: list[Task] | None) -> dict[str, Any]:
    about = one.as_dict()
    seen, trouble = about.pop("seen", None), about.pop("trouble", "")
    about.pop("record", None)
    if tasks is None:
        return about
    about |= {"tasks": [task.as_dict() for task in tasks], "trouble": trouble}
    return about | {name: seen[name] if seen else None for name in ("passed", "total", "results")}


def _table(lab: Lab, graded: Sequence[Outcome], found: dict[str, list[Task]], style: Style) -> str:
    from virtlab.classroom.compare import OUTSIDE_ONLY, RECORD_ONLY
    from virtlab.commands.classroom.exec import plain

    rows, notes = [], []
    for one in graded:
        tasks = found[one.seat]
        seen = f"{sum(task.outside == 'pass' for task in tasks)} of {len(tasks)}"
        written = f"{sum(task.record in ('done', 'helped') for task in tasks)} of {len(tasks)}"
        words = {
            "only the record says done": [task.id for task in tasks if task.verdict == RECORD_ONLY],
            "only seen from outside": [task.id for task in tasks if task.verdict == OUTSIDE_ONLY],
            "nobody can tell": [task.id for task in tasks if task.outside == "unknown"],
        }
        said = "; ".join(f"{what}: {', '.join(ids)}" for what, ids in words.items() if ids)
        known = any(task.record for task in tasks)
        rows.append(
            (one.seat, seen if one.more["seen"] else one.said, written if known else "-", said or "-")
        )
        if one.more["trouble"]:
            notes.append(f"{one.seat} has no record that can be read: {plain(one.more['trouble'])}")
        notes += [f"{one.seat}, {what}" for what in _unknown(one)]
    head = ("seat", "tasks seen done", "in the record", "difference")
    title = style.paint(f"{lab.slug}, {len(lab.tasks)} tasks", "strong")
    return "\n".join([title, table(rows, style, head), *notes]) if rows else title


def _unknown(one: Outcome) -> list[str]:
    """Why a check could not tell, in words that may hold what the seat has said."""
    from virtlab.commands.classroom.exec import plain

    results = (one.more["seen"] or {}).get("results", ())
    return [plain(f"{check['id']}: {check['message']}") for check in results if check["state"] == "unknown"]


def _keep(lab: Lab, file: Path, one: Outcome) -> None:
    from virtlab.classroom import compare, tables

    try:
        old = json.loads(file.read_text())
        if not isinstance(old, dict) or not isinstance(old.get("labs", []), list):
            raise ValueError("it is no record")
    except FileNotFoundError:
        old = {}
    except (OSError, ValueError) as error:
        raise MachineError(f"I cannot read {file}: {error}.", do="Move it away, and grade again.") from None
    tables.save(file, json.dumps(compare.kept(lab, old, one.more), ensure_ascii=False, indent=1) + "\n")
