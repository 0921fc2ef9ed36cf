"""What the verbs on the seats of a running class share: whom they are about, how they go on, how they end."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from virtlab import render
from virtlab.errors import Exit, UsageError
from virtlab.render import Style

if TYPE_CHECKING:
    from virtlab.classroom.class_data import ClassData
    from virtlab.classroom.front import Front
    from virtlab.classroom.seats import Outcome, Seat, Work

DISKS = 4  # at once: each copy passes through this machine
PROGRAMS = 16


def one_or_all(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("seat", metavar="SEAT", nargs="?", help="a student's id")
    parser.add_argument("--all", action="store_true", dest="everybody", help="every seat of the class")


def some(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--seat", metavar="SEAT", action="append", default=[], help="a student's id, once or more; else all"
    )


def dangerous(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--yes", "-y", action="store_true", help="do not ask")


def wanted(options: argparse.Namespace) -> list[str]:
    """Of a verb for one seat or all: whom; nobody in particular is everybody."""
    if bool(options.seat) == options.everybody:
        raise UsageError(
            f"`lab classroom {options.verb}` needs to know whose seat.", do="Name one student, or say --all."
        )
    return [options.seat] if options.seat else []


class Class:
    """The class that runs here."""

    def __init__(self, wanted: Sequence[str] = ()) -> None:
        from virtlab.classroom import record, seats
        from virtlab.classroom.front import Front

        found = record.load()
        self.data: ClassData = record.data()
        self.front: Front = Front(self.data)
        self._hosts = found.hosts()
        self._names = seats.chosen(self.data, wanted)

    def seats(self) -> list[Seat]:
        from virtlab.classroom import seats

        return asyncio.run(seats.find(self._hosts, self._names))

    def work(self, seats: Sequence[Seat], work: Work, at_once: int) -> list[Outcome]:
        """A line of progress for each, as it is done."""
        from virtlab.classroom.seats import each

        left = len(seats)

        def tell(one: Outcome) -> None:
            nonlocal left
            left -= 1
            more = f"; {left} to go" if left else ""
            sys.stderr.write(f"{one.seat}: {one.said.rstrip('.')} ({one.seconds:.1f} s){more}\n")
            sys.stderr.flush()

        return asyncio.run(each(seats, work, at_once, tell))


def confirm(about: str, seats: Sequence[Seat], yes: bool) -> None:
    """Before something is lost. Where nobody can answer, only --yes will do."""
    from virtlab.commands.up import ask

    on = [one.id for one in seats if one.is_on]
    if on:
        about += f"\nThese run now and are stopped first, with whatever is at work there: {', '.join(on)}."
    if yes or not any(one.machine for one in seats):
        return
    if not sys.stdin.isatty():
        raise UsageError(f"{about}\nNobody is here to say yes to that.", do="Add --yes if it is meant.")
    ask(about, "Go on?")


def result(outcomes: Sequence[Outcome], style_of: render.Draw | None = None) -> render.Result:
    """Of all seats; loud about those where it failed."""
    counts = {state: sum(one.state == state for one in outcomes) for state in ("done", "skipped", "failed")}
    data = counts | {"seats": [one.as_dict() for one in outcomes]}

    def draw(style: Style) -> str:
        parts = [style_of(style)] if style_of else []
        for one in outcomes:
            if one.state == "failed" and "exit_code" not in one.more:
                parts.append(f"{style.paint(one.seat, 'bad')}: {one.said}{f' {one.do}' if one.do else ''}")
            elif one.state == "skipped":
                parts.append(f"{style.paint(one.seat, 'odd')}: {one.said}; skipped")
        said = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
        parts.append(style.paint(f"{said}.", "bad" if counts["failed"] else "good"))
        return "\n".join(parts)

    worst = max((one.exit for one in outcomes), default=Exit.OK)
    return render.Result(data, draw, worst)
