"""Take the class of this hub back: seats, disks, networks, the hub, what was changed on the hosts.

With --keep-disks students' disks and accounts stay, and the next `lab classroom up` finds them.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from virtlab import paths, render, root
from virtlab.commands.up import alone, ask, play
from virtlab.errors import Exit, LabError, MachineError, UsageError
from virtlab.render import Style

if TYPE_CHECKING:
    from virtlab.classroom.inventory import Class
    from virtlab.classroom.record import Record
    from virtlab.hub.hosts import Host

PLAYBOOK = paths.PLAYBOOKS / "class_down.yml"
SECONDS = 600.0  # for a host to take everything away: each seat may shut down in order
NOTHING = "Nothing to do: there is no class on this machine."


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--keep-disks", action="store_true", help="students' disks and accounts stay")
    parser.add_argument("--yes", "-y", action="store_true", help="do not ask")
    parser.add_argument(
        "--forget", metavar="HOST", nargs="+", default=[], help="KVM hosts that will not come back"
    )


def run(options: argparse.Namespace) -> render.Result:
    from virtlab.classroom import record

    root.become("`lab classroom down` stops services and removes what they kept; that", sys.argv[1:])
    os.environ.setdefault("XDG_CONFIG_HOME", f"{root.caller().pw_dir}/.config")  # their variables, not root's
    of = record.find()
    if of is None or (of.is_down and options.keep_disks):
        said = NOTHING if of is None else "Nothing to do: the class is down, and its disks are kept."
        return render.Result({"removed": {}, "remains": {}, "problems": []}, said)
    found = _class(of)
    if not options.yes:
        ask(_about(of, options.keep_disks), "Go on?")
    with alone("classroom down"):
        return _down(options, of, found)


def _class(of: Record) -> Class:
    from virtlab.classroom import inventory

    try:
        return inventory.load(Path(of.inventory))
    except LabError as error:
        raise UsageError(
            f"{error.message}", do=f"It says which machines the class is on: put {of.inventory} right first."
        ) from None


def _about(of: Record, keep: bool) -> str:
    hosts = ", ".join(str(site["name"]) for site in of.sites)
    if keep:
        said = f"`lab classroom down` stops the hub and every seat on {hosts}."
        return f"{said}\nStudents' disks and accounts stay."
    return (
        f"`lab classroom down` stops the hub and removes every seat on {hosts},\n"
        "with the students' disks, snapshots and accounts. --keep-disks keeps these."
    )


def _down(options: argparse.Namespace, of: Record, found: Class) -> render.Result:
    from virtlab.classroom import layout, leaving

    problems: list[tuple[str, LabError]] = []
    keep = options.keep_disks
    variables = layout.host_variables(found, of) | {
        "class_hub_state": "stopped" if keep else "absent",
        "hub_routes": layout.routes(of),
        "class_registry": bool(of.plan.get("registry")),
    }
    sys.stderr.write("Stopping the hub …\n")
    play(
        PLAYBOOK, ["hub"], variables=variables, tags=["hub"], inventory=found.hosts_file, log="classroom-down"
    )
    hosts = {name: host for name, host in of.hosts().items() if name not in options.forget}
    removed, remains = asyncio.run(
        _everywhere(hosts, lambda host: leaving.clear(host, keep_disks=keep, tell=_say), problems)
    )
    wrong = {where for where, _ in problems}
    bare = {*of.bare, *wrong, *options.forget}
    variables["class_hosts"] = [name for name in variables["class_hosts"] if name not in bare]
    if variables["class_hosts"] and not keep:  # disks are worth little where libvirt has gone
        sys.stderr.write("Putting the hosts back …\n")
        result = play(
            PLAYBOOK, ["seat_host", "kvm_host"], variables=variables, tags=["hosts"],
            inventory=found.hosts_file, some_may_fail=True, log="classroom-down",
        )  # fmt: skip
        problems += [
            (name, MachineError(why, do=f"The whole log: {result.log}"))
            for name, why in result.failed.items()
        ]
    _keep_record(of, keep, {where for where, _ in problems})
    return _result(removed, remains, problems, keep)


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


async def _everywhere(
    hosts: dict[str, Host],
    clear: Callable[[Host], Awaitable[Counter[str]]],
    problems: list[tuple[str, LabError]],
) -> tuple[Counter[str], Counter[str]]:
    """What has gone and what is still there, of all hosts."""
    from virtlab.classroom import leaving

    removed, remains = Counter[str](), Counter[str]()

    async def one(host: Host) -> None:
        try:
            async with asyncio.timeout(SECONDS):
                removed.update(await clear(host))
                remains.update(await leaving.count(host))
        except TimeoutError:
            error: LabError = MachineError(f"It was not done within {SECONDS:.0f} seconds.", do="Look at it.")
        except LabError as problem:
            error = problem
        else:
            return
        problems.append((host.name, error))
        _say(f"{host.name}: FAILED: {error.message} {error.do}")

    await asyncio.gather(*map(one, hosts.values()))
    return removed, remains


def _keep_record(of: Record, keep: bool, wrong: set[str]) -> None:
    """What could not be taken away stays written down, for the next time."""
    from virtlab.classroom import record

    left = [site for site in of.sites if site["name"] in wrong]
    if keep:
        replace(of, is_down=not left).save()
    elif left:
        replace(of, sites=left).save()
    else:
        record.forget()


def _result(
    removed: Counter[str], remains: Counter[str], problems: list[tuple[str, LabError]], keep: bool
) -> render.Result:
    data: dict[str, Any] = {
        "removed": dict(removed), "remains": dict(remains), "kept": keep,
        "problems": [{"where": where, **error.as_dict()} for where, error in problems],
    }  # fmt: skip

    def draw(style: Style) -> str:
        lines = [f"Removed:  {_several(removed)}", f"Remains:  {_several(remains)}"]
        if keep:
            lines.append("Students' disks and accounts are kept: `lab classroom up` goes on with them.")
        for where, error in problems:
            lines.append(style.paint(f"{where}: {error.message} {error.do}", "bad"))
        if problems:
            lines.append("Run it again when that is mended; a host that is gone for good: --forget HOST")
        return "\n".join(lines)

    left = bool(remains) and not keep
    return render.Result(data, draw, Exit.MACHINE if problems or left else Exit.OK)


def _several(what: Counter[str]) -> str:
    return ", ".join(f"{number} {kind}" for kind, number in what.items() if number) or "nothing (0)"
