"""Make this machine a lab host, or bring it up to date. A second time changes nothing."""

from __future__ import annotations

import argparse
import fcntl
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from virtlab import paths, playbooks, render, roles, root, settings, workspace
from virtlab.errors import MachineError, UsageError
from virtlab.language import LANGUAGES, SETTING, of_locale
from virtlab.playbooks import PlaybookResult

LOCK = Path("/run/virtlab.lock")
ABOUT = """`lab up` makes this machine a lab host. It will
  - install Docker Engine, libvirt, QEMU and what builds images, from this distribution's packages
  - build images from Debian packages and keep them in a local registry (TLS, a CA and password of its own)
  - start the registry, example networks, a WordPress blog and JupyterLab; all answer on this machine only
  - put {user} in the groups docker and libvirt; whoever is in these can become root on this machine
What is there already (containers, networks, guests, Docker's settings) stays. It needs about 8 GB of disk
and some minutes. Every change, with its undo: docs/what-it-changes.md; `lab down` takes it back."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--yes", "-y", action="store_true", help="do not ask")
    parser.add_argument(
        "--only", metavar="ROLE", nargs="+", action="extend", default=[], help="just these roles"
    )
    parser.add_argument("--check", action="store_true", help="show what would change, and change nothing")
    parser.add_argument(
        "--set",
        metavar="NAME=VALUE",
        nargs="+",
        action="extend",
        default=[],
        help="set roles' variables, and keep them",
    )


def run(options: argparse.Namespace) -> render.Result:
    chosen, values = roles.chosen(options.only), roles.parse(options.set)
    root.become("`lab up` installs packages and starts services; that", sys.argv[1:])
    os.environ["XDG_CONFIG_HOME"] = str(
        Path(root.caller().pw_dir) / ".config"
    )  # the caller's variables, not root's
    kept = settings.variables()  # a broken file is said before anything is changed
    values = _language(values, kept, options.lang)
    with alone("up"):
        notes = _look(options, values)
        if not (options.yes or options.check or paths.HOST_D.exists()):
            ask(ABOUT.format(user=root.caller().pw_name), "Go on?")
        if not options.check:
            _keep(values)
            keep_record()
            paths.HOST_D.mkdir(mode=0o755, parents=True, exist_ok=True)
        result = play(roles.UP, chosen, variables=values, tags=options.only, check=options.check, log="up")
    return _result(options, chosen, result, notes)


def play(playbook: Path, chosen: Sequence[str], *, log: str, **how: Any) -> PlaybookResult:
    from virtlab.display import Progress

    with Progress([role for role in roles.sequence(playbook) if role in chosen]) as progress:
        return playbooks.run(playbook, on_event=progress.on_event, log=log, **how)


@contextmanager
def alone(verb: str) -> Iterator[None]:
    """One `lab up` or `lab down` at a time. The lock goes with the process, however that ends."""
    with LOCK.open("a+") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.seek(0)
            raise MachineError(
                f"{stream.read() or 'Another `lab up` or `lab down`'} is running.",
                do="Wait until it is done, then try again.",
            ) from None
        stream.truncate(0)
        stream.write(f"`lab {verb}` (process {os.getpid()}, since {time.strftime('%H:%M:%S')})")
        stream.flush()
        yield


def ask(about: str, question: str) -> None:
    """On a terminal only; elsewhere nobody could answer."""
    if not sys.stdin.isatty():
        return
    sys.stderr.write(f"{about}\n{question} [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes", "j", "ja", "是"):
        raise UsageError("Nothing was changed.", do="Run it again and answer y, or use --yes.")


def keep_record() -> None:
    """Which packages are ours outlives a `lab down` that keeps them, so that a later --purge still knows."""
    kept, record = paths.CACHE / "installed-packages", paths.STATE / "installed-packages"
    if kept.exists():
        record.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        with record.open("a") as stream:
            stream.write(kept.read_text())
        kept.unlink()


def _look(options: argparse.Namespace, values: Mapping[str, Any]) -> list[str]:
    from virtlab import preflight
    from virtlab.doctor import finding, ports

    notes = preflight.check()
    for port in () if options.only else ports.probe(values):  # a role converged by itself says it itself
        if port.state is finding.State.FAIL:
            raise MachineError(port.seen, do=port.do)
    if not options.check and preflight.finish_interrupted_dpkg():
        notes.append("A package installation that had been interrupted was finished first.")
    if not options.json:
        sys.stderr.writelines(f"Note: {note}\n" for note in notes)
    return notes


def _language(values: Mapping[str, Any], kept: Mapping[str, Any], asked: str | None) -> Mapping[str, Any]:
    """JupyterLab speaks as it was told to; if nobody ever did, as this terminal does, and goes on so."""
    chosen = values.get(SETTING, asked)
    if chosen is None and SETTING not in kept and of_locale() != "en":
        chosen = of_locale()
    if chosen is None:
        return values
    if chosen not in LANGUAGES:
        raise UsageError(f"There is no edition in '{chosen}'.", do=f"There are: {', '.join(LANGUAGES)}.")
    return {**values, SETTING: chosen}


def _keep(values: Mapping[str, Any]) -> None:
    if not values:
        return
    settings.keep(values)
    caller = root.caller()
    for made in (paths.variables(), paths.variables().parent, paths.variables().parent.parent):
        os.chown(made, caller.pw_uid, caller.pw_gid)


def _result(
    options: argparse.Namespace, chosen: Sequence[str], result: PlaybookResult, notes: Sequence[str]
) -> render.Result:
    url = "" if options.check else _address()
    data = {
        "check": options.check, "roles": list(chosen), "changed": result.changed,
        "seconds": round(result.seconds, 1),
        "changes": [dict(zip(("role", "task", "item"), change, strict=True)) for change in result.changes],
        "notes": list(notes), "log": str(result.log), "jupyter": url,
    }  # fmt: skip
    count = f"{len(chosen)} role{'s' if len(chosen) > 1 else ''}"
    verb = "would change" if options.check else "changed"
    lines = [f"{count}, {result.changed} {verb}, {result.seconds:.1f} s   (log: {result.log})"]
    if options.check:
        lines += [f"  {role}: {task}{f' ({item})' if item else ''}" for role, task, item in result.changes]
    if url:
        lines += ["", f"Open this in a browser on this machine:  {url}"]
    return render.Result(data, "\n".join(lines))


def _address() -> str:
    """With its token, for whoever may read that; empty when there is no JupyterLab."""
    try:
        return workspace.address()
    except MachineError:
        return ""
