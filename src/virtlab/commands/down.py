"""Undo what `lab up` did. Your own files stay; without --purge so do packages and the image cache."""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from virtlab import catalogue, lifecycle, paths, render, roles, root, state
from virtlab.commands.up import LOCK, alone, ask, keep_record, play
from virtlab.errors import MachineError, UsageError
from virtlab.playbooks import PlaybookResult

LOGS = Path("/var/log/virtlab")
RUN = Path("/run/virtlab")
DAEMONS = {  # role → the program, its socket, and the roles that can only be undone while it answers
    "docker_engine": (
        "dockerd",
        "/var/run/docker.sock",
        ("wordpress", "container_networks", "registry", "base_images"),
    ),
    "kvm_host": ("libvirtd", "/run/libvirt/libvirt-sock", ("vm_image",)),
}
DATA = {  # role → what of a learner's or an author's goes with it
    "wordpress": "the blog's articles, files and passwords",
    "registry": "the images in the registry, and its password",
    "vm_image": "the guest image",
    "kvm_host": "the lab's guests and their disks",
    "jupyterlab": "JupyterLab's settings and its token",
}


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--yes", "-y", action="store_true", help="do not ask")
    parser.add_argument(
        "--only", metavar="ROLE", nargs="+", action="extend", default=[], help="just these roles"
    )
    parser.add_argument(
        "--purge",
        action="store_true",
        help="also what can be made again, and the packages that `lab up` installed",
    )


def run(options: argparse.Namespace) -> render.Result:
    if options.only and options.purge:
        raise UsageError("--purge is for all of it, --only for a part.", do="Use one of them.")
    chosen = roles.chosen(options.only)[::-1]
    root.become("`lab down` stops services and removes what they kept; that", sys.argv[1:])
    os.environ["XDG_CONFIG_HOME"] = str(Path(root.caller().pw_dir) / ".config")
    if not _is_there(options.purge):
        return render.Result({"changed": 0}, "Nothing to do: there is nothing of the lab on this machine.")
    if "kvm_host" in chosen and (paths.STATE / "classroom/record.json").exists():
        raise MachineError(
            "A class has its hub on this machine, and its seats would lose it.",
            do="`lab classroom down` first.",
        )
    with alone("down"):
        if not options.yes:
            ask(_about(chosen, options.purge), "Go on?")
        keep_record()
        chosen = _wake(chosen)
        if not chosen:
            return render.Result({"changed": 0}, "Nothing to do: its program is not on this machine.")
        finished = [] if options.only else _finish_labs()
        result = play(roles.DOWN, chosen, variables={"virtlab_purge": options.purge}, tags=chosen, log="down")
        if not options.only:
            _remove_the_rest(options.purge)
    return _result(chosen, finished, result, options)


def _wake(chosen: Sequence[str]) -> list[str]:
    """Start what has to answer while it is undone. What was never installed has nothing to undo."""
    without: set[str] = set()
    asleep = []
    for role, (program, path, more) in DAEMONS.items():
        if not shutil.which(program):
            without |= {role, *more}
        elif {role, *more} & set(chosen) and not _answers(path):
            asleep.append(role)
    if asleep:
        sys.stderr.write(f"Starting what has to run while it is undone: {', '.join(asleep)}\n")
        play(roles.UP, asleep, tags=asleep, log="down")
    return [role for role in chosen if role not in without]


def _answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(path) == 0


def _is_there(purge: bool) -> bool:
    """Something of ours. The record of packages alone is not, unless they are to go."""
    found = {file.name for file in paths.STATE.glob("*")} if paths.STATE.exists() else set()
    return bool(found - {"installed-packages"}) or (purge and (bool(found) or paths.CACHE.exists()))


def _about(chosen: Sequence[str], purge: bool) -> str:
    lines = [f"`lab down` removes, with their data: {', '.join(chosen)}."]
    lines += [f"  - {DATA[role]}" for role in chosen if role in DATA]
    lines += ["  - packages that `lab up` installed, and /var/cache/virtlab"] if purge else []
    return "\n".join([*lines, "Your own files (~/virtlab) and your progress stay."])


def _finish_labs() -> list[str]:
    """Labs still running. They are their user's: finished as that user, with that user's state."""
    caller = root.caller()
    if caller.pw_uid != os.geteuid():
        lab = [str(paths.ROOT / "lab"), "finish"]
        as_caller = ["runuser", "-u", caller.pw_name, "--", "env", f"HOME={caller.pw_dir}"]
        folder = Path(caller.pw_dir) / ".local/share/virtlab/state"
        begun = [file.stem for file in folder.glob("*.json") if '"finished"' not in file.read_text()]
        return [
            slug for slug in begun if not subprocess.run([*as_caller, *lab, slug], check=False).returncode
        ]
    begun = [
        one.slug
        for one in catalogue.every()
        if isinstance(one, catalogue.Lab) and state.read(one.slug).is_begun
    ]
    for slug in begun:
        lifecycle.finish(slug)
    return begun


def _remove_the_rest(purge: bool) -> None:
    """What no single role owns."""
    record = paths.STATE / "installed-packages"
    if record.exists() and not purge:
        paths.CACHE.mkdir(mode=0o755, parents=True, exist_ok=True)
        shutil.move(record, paths.CACHE / record.name)
    for folder in (paths.STATE, LOGS, RUN, *([paths.CACHE] if purge else [])):
        shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):  # not there, or not empty
        Path("/etc/virtlab").rmdir()
    LOCK.unlink(missing_ok=True)


def _result(
    chosen: Sequence[str], finished: Sequence[str], result: PlaybookResult, options: argparse.Namespace
) -> render.Result:
    data = {
        "roles": list(chosen), "finished": list(finished), "changed": result.changed,
        "seconds": round(result.seconds, 1), "purged": options.purge,
    }  # fmt: skip
    lines = [f"{', '.join(chosen)}: undone, {result.changed} changed, {result.seconds:.1f} s"]
    if finished:
        lines.append(f"Finished first: {', '.join(finished)}")
    if not options.only:
        stays = "~/virtlab and your progress" + (
            "" if options.purge else ", packages and /var/cache/virtlab (--purge)"
        )
        lines.append(f"Left in place: {stays}.")
    return render.Result(data, "\n".join(lines))
