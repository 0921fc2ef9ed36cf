"""Empty a KVM host before it is switched off: it takes no more seats, and those it has move to the others.

What runs moves while it runs. What fits nowhere is named and goes on where it is. `--back` takes seats there
again. On the hub's machine.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from typing import TYPE_CHECKING

from virtlab import render
from virtlab.errors import Exit
from virtlab.render import Style, table

if TYPE_CHECKING:
    from virtlab.hub.evacuate import Report
    from virtlab.hub.machines import Machine


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("host", metavar="HOST", help="its name in hosts.yml")
    parser.add_argument("--back", action="store_true", help="it takes seats again")
    parser.add_argument(
        "--plain", action="store_true",
        help="memory and disks go unencrypted: the network among the hosts is their own",
    )  # fmt: skip


def run(options: argparse.Namespace) -> render.Result:
    from virtlab.classroom import record
    from virtlab.classroom.front import Front
    from virtlab.hub import evacuate

    found = record.load()
    front = Front(record.data())

    def tell(line: str) -> None:
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()

    async def moved(seat: Machine) -> None:
        await asyncio.to_thread(front.moved, seat.owner)

    how = evacuate.How(tell, moved, options.plain)
    work = evacuate.reopen if options.back else evacuate.evacuate
    report = asyncio.run(work(found.hosts(), options.host, how))
    data = {
        "host": options.host,
        "open": options.back,
        "moved": [
            {"seat": before.owner, "runs": after.running, "from": before.name, "to": after.host,
             "name": after.name, "address": after.address}
            for before, after in report.moved
        ],
        "left": [
            {"seat": one.machine.owner, "runs": one.machine.running, "name": one.machine.name, "why": one.why}
            for one in report.left
        ],
        "silent": report.silent,
    }  # fmt: skip
    return render.Result(
        data, lambda style: _text(options.host, options.back, report, style),
        Exit.FAILED if report.left else Exit.OK,
    )  # fmt: skip


def _text(host: str, back: bool, report: Report, style: Style) -> str:
    rows = [(before.owner, _state(after), f"{after.host} {after.name}", after.address)
            for before, after in report.moved]  # fmt: skip
    parts = [table(rows, style, ("seat", "", "is now", "address"))] if rows else []
    parts += [f"{style.paint(one.machine.owner, 'bad')} ({_state(one.machine)}) stays: {one.why.rstrip('.')}."
              for one in report.left]  # fmt: skip
    parts += [f"{style.paint(name, 'odd')} does not answer, so nothing went there." for name in report.silent]
    if back:
        said = f"{host} takes seats again."
    elif report.left:
        said = f"{len(report.left)} stay on {host}; it takes no new ones. Make room, and run it again."
    else:
        said = f"{host} is empty and takes no seats: it can be switched off. Later: --back."
    return "\n".join([*parts, style.paint(said, "bad" if report.left else "good")])


def _state(seat: Machine) -> str:
    return "runs" if seat.running else "off"
