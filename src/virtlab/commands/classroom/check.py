"""What is wrong with a class's files, and how many seats fit on its hosts. It changes nothing."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from virtlab import render
from virtlab.errors import Exit
from virtlab.render import Style, table

if TYPE_CHECKING:
    from virtlab.classroom.findings import Finding
    from virtlab.classroom.inventory import Class
    from virtlab.classroom.survey import Look
    from virtlab.hub.capacity import Capacity


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-i", "--inventory", metavar="DIR", type=Path, required=True, help="the class's folder"
    )
    parser.add_argument("--offline", action="store_true", help="look at the files only, ask no machine")


def run(options: argparse.Namespace) -> render.Result:
    from virtlab.classroom import inventory, survey
    from virtlab.hub.capacity import capacity

    found, said = inventory.read(options.inventory)
    data: dict[str, Any] = {
        "inventory": str(options.inventory),
        "well": found is not None,
        "findings": [one.as_dict() for one in said],
    }
    if found is None:
        return render.Result(data, lambda style: _findings(said, style), Exit.USAGE)
    data |= {"students": len(found.roster.students), "labs": list(found.labs)}
    if options.offline:
        return render.Result(data, lambda style: "\n".join([_findings(said, style), _class(found)]).strip())
    if len(found.hosts) > 1:  # the slowest may take its time
        sys.stderr.write(f"Asking {len(found.hosts)} machines, at most {survey.SECONDS} seconds each …\n")
    looks = survey.look(found)
    hosts = [look.host for look in looks if look.host]
    fits = capacity(hosts, found.seat, len(found.roster.students), inventory.smallest_mb(found.labs))
    data |= {
        "well": not fits.waiting and len(hosts) == len(looks),
        "capacity": fits.as_dict(),
        "machines": [_machine(look) for look in looks],
    }
    silent = len(hosts) < len(looks)

    def draw(style: Style) -> str:
        parts = [_findings(said, style), _class(found)]
        parts += [_hosts(looks, fits, style), _verdict(fits, silent, style)]
        return "\n\n".join(filter(None, parts))

    return render.Result(data, draw, Exit.MACHINE if silent else Exit.FAILED if fits.waiting else Exit.OK)


def _machine(look: Look) -> dict[str, Any]:
    seen = vars(look.host) if look.host else {"name": look.machine.name, "why": look.why}
    return {**seen, "guests": look.guests, "kvm": look.kvm}


def _findings(said: list[Finding], style: Style) -> str:
    kinds = {True: style.paint("error", "bad"), False: style.paint("note", "odd")}
    lines = [f"{kinds[one.is_error]}  {one}" for one in said]
    wrong = sum(one.is_error for one in said)
    if wrong:
        lines.append(f"{wrong} to mend; nothing was asked of any machine.")
    return "\n".join(lines)


def _class(found: Class) -> str:
    students, labs, seat = len(found.roster.students), len(found.labs), found.seat
    return (
        f"{found.title}: {students} students, {labs} labs, seats of {seat.memory_mb} MiB, "
        f"{seat.vcpus} processors, {seat.disk_mb / 1024:g} GiB of disk; {found.address}"
    )


def _hosts(looks: list[Look], fits: Capacity, style: Style) -> str:
    rooms = {room.host: room for room in fits.rooms}
    rows = []
    notes = []
    for look in looks:
        name = look.machine.name
        if look.host is None:
            rows.append((name, "-", "-", "-", "-", "0", "no answer"))
            notes.append(f"{name} cannot be asked: {look.why}. Try `{look.machine.ssh}` by hand.")
            continue
        host, room = look.host, rooms[name]
        memory = f"{host.free_mb / 1024:.1f} of {host.memory_mb / 1024:.1f} GiB"
        disk = f"{host.disk_free_mb / 1024:.0f} GiB"
        rows.append((name, memory, disk, str(host.cpus), f"{host.load:.1f}", str(room.more), room.limit))
        if look.guests:
            said = "what they may still take is not counted"
            notes.append(f"{name} runs {look.guests} virtual machines already; {said}.")
        if look.kvm == "no":
            notes.append(f"{name} has no hardware virtualization: seats are emulated, several times slower.")
        if look.kvm == "maybe":
            notes.append(f"{name} has /dev/kvm; whether it works shows when it is set up.")
    head = ("host", "memory free", "disk free", "processors", "load", "seats", "limit")
    return "\n".join([table(rows, style, head), *notes])


def _verdict(fits: Capacity, silent: bool, style: Style) -> str:
    if not fits.waiting:
        text = f"{fits.seats} seats fit: enough for all {fits.wanted} students at once."
        return style.paint(text, "odd" if silent else "good")
    said = f"{fits.seats} seats fit; of {fits.wanted} students {fits.waiting} would wait."
    more = [f"{change.seats:>6}  {change.what}" for change in fits.changes]
    return "\n".join([style.paint(said, "bad"), *(["For more seats:", *more] if more else [])])
