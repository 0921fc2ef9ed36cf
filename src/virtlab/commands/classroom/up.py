"""Bring a class to life, or up to date: its KVM hosts, the seats' disk, the hub, warm seats.

On the hub's machine. Run again it goes on where it was, and changes nothing when nothing has changed.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from virtlab import paths, render, root, settings
from virtlab.commands.up import alone, ask, play
from virtlab.errors import Exit, MachineError, UsageError
from virtlab.render import Style

if TYPE_CHECKING:
    from virtlab.classroom.build import Progress
    from virtlab.classroom.image import Image
    from virtlab.classroom.inventory import Class
    from virtlab.classroom.record import Record
    from virtlab.classroom.survey import Look
    from virtlab.hub.capacity import Capacity

HOSTS = paths.PLAYBOOKS / "class_hosts.yml"
HUB = paths.PLAYBOOKS / "class_hub.yml"
LOG = "classroom-up"
ABOUT = """`lab classroom up` makes these machines carry a class: {hosts}. It will
  - install libvirt and QEMU where they are missing, and make a network, a filter and a pool for seats
  - build the seats' disk here, if there is none of this kit yet (some minutes, 9 GB meanwhile), and send it
  - run JupyterHub here, with accounts for {students} students; it answers at {address} and to seats only
`lab classroom down` takes it back. Every change, with its undo: docs/what-it-changes.md"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-i", "--inventory", metavar="DIR", type=Path, required=True, help="the class's folder"
    )
    parser.add_argument("--yes", "-y", action="store_true", help="do not ask")
    parser.add_argument(
        "--image", metavar="FILE", type=Path, help="a disk for the seats; else the kit's own is built"
    )
    parser.add_argument(
        "--forget", metavar="HOST", nargs="+", default=[], help="KVM hosts that will not come back"
    )


def run(options: argparse.Namespace) -> render.Result:
    from virtlab.classroom import inventory
    from virtlab.classroom.build import Progress

    found = inventory.load(options.inventory)
    if not found.hub.is_local:
        raise UsageError(
            f"The hub of this class is {found.hub.name}, and this command has to run there.",
            do=f"On {found.hub.name}, give it `ansible_connection: local` in hosts.yml, as in the example.",
        )
    root.become("`lab classroom up` installs packages and starts services; that", sys.argv[1:])
    os.environ.setdefault("XDG_CONFIG_HOME", f"{root.caller().pw_dir}/.config")  # their variables, not root's
    began = time.monotonic()
    progress = Progress(_say)
    with alone("classroom up"):
        made, fits = _up(options, found, progress)
    return _result(found, made, fits, progress, time.monotonic() - began)


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def _up(options: argparse.Namespace, found: Class, progress: Progress) -> tuple[Record, Capacity]:
    from virtlab.classroom import build, layout, record

    old = _old(options, found)
    looks = _looks(found, progress)
    fits = _capacity(found, looks, old)
    _say(_told(fits))
    if old is None and not options.yes:
        hosts = ", ".join(one.name for one in found.hosts)
        ask(ABOUT.format(hosts=hosts, students=len(found.roster.students), address=found.address), "Go on?")
    disk = _image(options, progress)
    made = layout.record(found, looks, disk, old)
    made.save()  # before anything is made, so that it can be undone
    looks = _ready_for_guests(found, made, looks, progress)
    made = layout.record(found, looks, disk, old or made)
    made.save()
    wrong = {where for where, _ in progress.problems}
    able = [host for name, host in made.hosts().items() if name not in wrong]
    well = asyncio.run(build.each(able, build.ready(disk, bool(found.warm), progress), progress))
    if not well:
        raise MachineError(
            "No KVM host is ready, so there is no class yet.", do="What is wrong with each is said above."
        )
    _hub(found, made, progress)
    if found.warm:
        _say("Warming seats …")
        # Their connections belong to the loop that has ended.
        again = [host for name, host in made.hosts().items() if name in {one.name for one in well}]
        asyncio.run(build.each(again, build.warmed(layout.warm_each(found, made), progress), progress))
    return record.load(), fits


def _old(options: argparse.Namespace, found: Class) -> Record | None:
    """What is there of this class; another one has to go first."""
    from dataclasses import replace

    from virtlab.classroom import layout, record

    old = record.find()
    if old is None:
        return None
    if old.plan["name"] != layout.name(found.folder):
        raise UsageError(
            f"This machine is the hub of another class: {old.inventory}.",
            do="`lab classroom down` takes that one back, then run this again.",
        )
    names = {one.name for one in found.hosts} | set(options.forget)
    if gone := [str(site["name"]) for site in old.sites if site["name"] not in names]:
        raise UsageError(
            f"The class has seats on {', '.join(gone)}, which hosts.yml does not name any more.",
            do=f"Put it back; or, if it will never be switched on again: --forget {' '.join(gone)}",
        )
    kept = [site for site in old.sites if site["name"] not in options.forget]
    return replace(old, sites=kept) if kept else None


def _looks(found: Class, progress: Progress) -> list[Look]:
    from virtlab.classroom import survey

    _say(f"Asking {len(found.hosts)} KVM host{'s' * (len(found.hosts) > 1)} what they have …")
    looks = []
    for look in survey.look(found):
        why = survey.no_way(look.machine, found.hub) if look.host else ""
        looks.append(survey.Look(look.machine, why=why) if why else look)
        if looks[-1].host is None:
            do = f"Try `{look.machine.ssh}` by hand."
            progress.failed(look.machine.name, MachineError(f"It cannot be asked: {looks[-1].why}.", do=do))
    return looks


def _capacity(found: Class, looks: list[Look], old: Record | None) -> Capacity:
    """Of hosts that carry seats of this class already their libvirt knows better."""
    from virtlab.classroom import build, inventory
    from virtlab.hub.capacity import capacity

    known = asyncio.run(build.rooms(old.hosts().values())) if old else {}
    hosts = [known.get(look.machine.name) or look.host for look in looks if look.host]
    students = len(found.roster.students)
    return capacity([one for one in hosts if one], found.seat, students, inventory.smallest_mb(found.labs))


def _told(fits: Capacity) -> str:
    rooms = ", ".join(f"{room.host} {room.running + room.more} ({room.limit})" for room in fits.rooms)
    said = f"{fits.seats} seats fit: {rooms}."
    if not fits.waiting:
        return f"{said} Enough for all {fits.wanted} students at once."
    more = [f"  {change.seats:>5}  {change.what}" for change in fits.changes]
    lines = [f"{said} Of {fits.wanted} students {fits.waiting} would wait in a queue."]
    return "\n".join(lines + (["For more seats:", *more] if more else []))


def _image(options: argparse.Namespace, progress: Progress) -> Image:
    from virtlab.classroom import image

    if options.image:
        return image.look(options.image)
    disk, changed = image.build()
    progress.changed += changed
    return disk


def _ready_for_guests(found: Class, made: Record, looks: list[Look], progress: Progress) -> list[Look]:
    """All hosts at once; what they are, once libvirt is there."""
    from virtlab.classroom import layout, survey

    variables = layout.host_variables(found, made)
    wrong = {where for where, _ in progress.problems}
    variables["class_hosts"] = [name for name in variables["class_hosts"] if name not in wrong]
    if not variables["class_hosts"]:
        return looks
    _say(f"Making them carry guests: {', '.join(variables['class_hosts'])} …")
    result = play(
        HOSTS, ["kvm_host", "seat_host"], variables=variables, inventory=found.hosts_file,
        some_may_fail=True, log=LOG,
    )  # fmt: skip
    progress.changed += result.changed
    for name, why in result.failed.items():
        progress.failed(name, MachineError(why, do=f"The whole log: {result.log}"))
    return survey.look(found) if any(look.kvm == "maybe" for look in looks) else looks


def _hub(found: Class, made: Record, progress: Progress) -> None:
    from virtlab.classroom import layout

    _say("Starting the hub …")
    variables = layout.hub_variables(found, made)
    own: dict[str, Any] = settings.variables().get("hub_config") or {}
    if own:  # kept with `lab up --set`: it would stand in the place of the class's own
        variables["hub_config"] = layout.together(variables["class_config"], own)
    result = play(HUB, ["registry", "hub"], variables=variables, inventory=found.hosts_file, log=LOG)
    progress.changed += result.changed


def _result(found: Class, made: Record, fits: Capacity, progress: Progress, seconds: float) -> render.Result:
    from virtlab.classroom import record

    url = record.data().url
    data = {
        "inventory": made.inventory, "address": found.address, "board": f"{url}/services/board/",
        "hosts": [site["name"] for site in made.sites], "capacity": fits.as_dict(),
        "changed": progress.changed, "seconds": round(seconds, 1),
        "problems": [{"where": where, **error.as_dict()} for where, error in progress.problems],
    }  # fmt: skip

    def draw(style: Style) -> str:
        lines = [f"{progress.changed} changed, {seconds:.0f} s.", ""]
        for where, error in progress.problems:
            lines.append(style.paint(f"{where}: {error.message} {error.do}", "bad"))
        if progress.problems:
            lines += ["The rest is up. Run the same command again: it goes on from there.", ""]
        if url != found.address:
            lines.append(
                f"The hub answers at {url}; what stands in front of it has to lead {found.address} there."
            )
        lines += [
            f"Students:     {found.address}",
            f"Instructors:  {url}/services/board/",
            "Cards:        ./lab classroom handout -o handout.html",
        ]
        return "\n".join(lines)

    return render.Result(data, draw, Exit.MACHINE if progress.problems else Exit.OK)
