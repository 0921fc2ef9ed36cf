"""Who has a lab started on this machine: its names and ports are the machine's, whoever's data it is kept in.

A learner's running lab is nobody else's to take apart: not another learner's start, nor a proof or a test of
the same lab. Each claim is a small file that all may read; it counts for as long as the state it speaks of.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from virtlab import paths, state, values
from virtlab.catalogue import Lab
from virtlab.errors import MachineError

YOUNG = 30.0  # seconds a claim counts before its lab's state is written
EVERYBODYS = 0o1777  # as in /tmp: all may add, nobody may remove what is another's


@dataclass(frozen=True)
class Claim:
    slug: str
    prefix: str
    who: str
    data: Path
    since: str


def take(lab: Lab) -> None:
    """Say that this learner has it now. Raises when somebody else does."""
    folder = paths.CLAIMS
    with suppress(FileExistsError):
        folder.mkdir(parents=True)
        folder.chmod(EVERYBODYS)
    check(lab)
    said = {
        "lab": lab.slug, "prefix": lab.prefix, "who": values.learner(),
        "data": str(paths.data().absolute()), "since": time.strftime("%Y-%m-%d %H:%M"),
    }  # fmt: skip
    new = _file(lab).with_suffix(".part")
    try:
        new.write_text(json.dumps(said))
        new.chmod(0o644)
        new.replace(_file(lab))
    except OSError as error:
        raise state.cannot_write(error) from None
    try:
        check(lab)  # two may have come at once: then both give way
    except MachineError:
        drop(lab)
        raise


def drop(lab: Lab) -> None:
    """Give it back, and clear away what claims nothing any more."""
    for file in [_file(lab), *(file for file, claim in _files() if claim is None)]:
        with suppress(OSError):
            file.unlink()
    with suppress(OSError):
        paths.CLAIMS.rmdir()  # only when nobody has any


def check(lab: Lab) -> None:
    """Raises when somebody else has this lab, or one of the same names, started."""
    for claim in others():
        if claim.prefix == lab.prefix:
            raise refused(claim)


def refused(claim: Claim) -> MachineError:
    return MachineError(
        f"Lab {claim.slug} is started on this machine by {claim.who}, since {claim.since} (kept in "
        f"{claim.data}), and this would take it apart.",
        do=f"Have it finished first, or do it: `VIRTLAB_DATA={claim.data} lab finish {claim.slug[:2]}`.",
    )


def others() -> list[Claim]:
    """What is started on this machine under another learner's data."""
    mine = paths.data().absolute()
    return [claim for claim in running() if claim.data != mine]


def running() -> Iterator[Claim]:
    """All that is started on this machine."""
    return (claim for _, claim in _files() if claim)


def _files() -> Iterator[tuple[Path, Claim | None]]:
    """Each file, with its claim if it counts: a state that is gone, or finished, claims nothing."""
    for file in sorted(paths.CLAIMS.glob("*.json")):
        try:
            said = json.loads(file.read_text())
            claim = Claim(said["lab"], said["prefix"], said["who"], Path(said["data"]), said["since"])
            is_young = time.time() - file.stat().st_mtime < YOUNG
        except (OSError, ValueError, KeyError, TypeError):
            yield file, None  # gone meanwhile, or nothing of ours
            continue
        yield file, claim if _is_begun(claim) or (is_young and claim.data.is_dir()) else None


def _is_begun(claim: Claim) -> bool:
    file = claim.data / "state" / f"{claim.slug}.json"
    try:
        return state.State(**json.loads(file.read_text())).is_begun
    except PermissionError:
        return True  # another user's, and out of sight
    except (OSError, ValueError, TypeError):
        return False


def _file(lab: Lab) -> Path:
    """One for each lab and learner's data, so that nobody has to write over somebody else's."""
    place = hashlib.sha256(f"{os.getuid()} {paths.data().absolute()}".encode()).hexdigest()[:12]
    return paths.CLAIMS / f"{lab.prefix}-{place}.json"
