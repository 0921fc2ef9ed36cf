"""Grades one seat over SSH, in a process of its own: `python -m virtlab.classroom.look`, told what by JSON.

What a lab knows of its learner and of its machine (values, state, host.d) is fetched into a folder here, and
the environment points there: all that grades a lab on its own machine then grades this one. The checks are
ours, and so is what runs them; of the seat come only answers. It is a student's, who is root there: nothing
it says may become a path, a command or a limitless amount here.
"""

from __future__ import annotations

import json
import os
import re
import resource
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from virtlab import lifecycle, paths, progress, report, state
from virtlab.errors import LabError, Unknown
from virtlab.remote.door import Door
from virtlab.remote.line import Line, Way
from virtlab.remote.seat import RemoteSeat

MACHINE = PurePosixPath("/var/lib/virtlab")  # over there
DATA = ".local/share/virtlab"  # in the student's home
PLAIN = re.compile(r"\w[\w.-]*")  # a file's name that is one here as well
MEMORY = 4 << 30  # bytes of address space


def look(lab: str, folder: Path, way: Way) -> dict[str, Any]:
    """The lab's phase there, what its checks see if it is started, and the student's own record of it."""
    with Line(folder, way) as line:
        os.environ["VIRTLAB_PATIENCE"] = str(line.patience)
        os.environ["VIRTLAB_WORKSPACE"] = f"{line.home}/virtlab"
        home = PurePosixPath(line.home)
        fetch(line.door, home, lab)
        record = _record(line.door, home, lab)
        phase = state.read(lab).phase
        seen = None
        if phase == "started":
            seen = lifecycle.look(lifecycle.open_lab(lab), RemoteSeat(line)).as_dict()
        if not line.is_open():  # what came after it broke off looks as if nothing were there
            raise Unknown("The connection broke off while the seat was graded.", do="Grade it again.")
    return {"phase": phase, "seen": seen, **record}


def fetch(door: Door, home: PurePosixPath, lab: str) -> None:
    """Values, state and the private folder of the lab; what the roles wrote down; the authority."""
    theirs, ours = home / DATA, paths.data()
    _file(door, theirs / "values.key", ours / "values.key")
    _file(door, theirs / f"state/{lab}.json", ours / f"state/{lab}.json")
    for one in _files(door, theirs / "labs" / lab):
        _file(door, one, ours / "labs" / lab / one.name)
    for one in _files(door, MACHINE / "host.d"):
        _file(door, one, paths.HOST_D / one.name)
    _file(door, MACHINE / "ca.crt", paths.CA)


def _files(door: Door, folder: PurePosixPath) -> Iterator[PurePosixPath]:
    for one in door.path(folder).glob("*"):
        if PLAIN.fullmatch(one.name) and one.is_file():
            yield one


def _file(door: Door, there: PurePosixPath, here: Path, verb: str = "read") -> None:
    """A file that is not there is not here either."""
    try:
        data = door.read(there, verb)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise Unknown(
            f"I cannot read {there} in the seat: {error.strerror}.", do="Look at it there."
        ) from None
    paths.private(here.parent)
    with os.fdopen(os.open(here, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        stream.write(data)


def _record(door: Door, home: PurePosixPath, lab: str) -> dict[str, Any]:
    """As `lab report --json` says it there, by our own reading of the student's progress."""
    try:
        _file(door, home / DATA / "progress.sqlite3", progress.file(), "database")
        return {"record": report.make(lab).as_dict(), "trouble": ""}
    except LabError as error:  # what is to be seen is there nevertheless
        return {"record": None, "trouble": error.message}


def main() -> int:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    asked = json.load(sys.stdin)
    try:
        said = look(asked["lab"], Path(asked["folder"]), Way(**asked["way"]))
    except LabError as error:
        said = {"error": error.as_dict()}
    sys.stdout.write(json.dumps(said, default=str) + "\n")
    sys.stdout.flush()
    os._exit(0)  # checks that hang in a library are left behind


if __name__ == "__main__":
    sys.exit(main())
