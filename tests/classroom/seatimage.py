"""A small disk for the tests' seats: Debian with the single-user server, and nothing of the kit's.

The kit's own image starts Docker and libvirt as well; emulated, that is most of a boot, and none of these
tests is about it. Built once and kept, like the labs' guest disk, by the same program.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from virtlab import paths

CACHE = Path("/var/cache/virtlab/seat-image")
IMAGE = CACHE / "seat.qcow2"
USER, PYTHON = "learner", "/opt/virtlab/bin/python"
WANTED = ("jupyterhub", "jupyterlab", "ipykernel")
BUILD = paths.ROOT / "roles/vm_image/files/build-guest-image"
ALSO = Path(__file__).with_name("seat-tree")
WORDS = ["--suite", "trixie", "--size-mb", "4096", "--user", USER, "--also", str(ALSO),
         "--package", "python3", "--package", "psmisc"]  # fmt: skip


def made() -> Path:
    """The disk, built if it is not there or of another recipe; some minutes."""
    CACHE.mkdir(parents=True, exist_ok=True)
    locked = "".join(_locked(_closure()))
    told = hashlib.sha256(BUILD.read_bytes() + ALSO.read_bytes() + (locked + repr(WORDS)).encode())
    file = CACHE / "requirements.txt"
    file.write_text(locked)
    command = [BUILD, "--output", IMAGE, "--recipe", told.hexdigest()[:16], "--cache", CACHE, *WORDS]
    done = subprocess.run(
        command, env=os.environ | {"SEAT_PYTHON": sys.executable, "SEAT_REQUIREMENTS": str(file)},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:]
    return IMAGE


def _closure() -> set[str]:
    """What these need: the seats' Python may be newer, but needs nothing more."""
    found, left = set[str](), list(WANTED)
    while left:
        if (name := canonicalize_name(left.pop())) in found:
            continue
        found.add(name)
        needs = (Requirement(one) for one in requires(name) or ())
        left += [one.name for one in needs if one.marker is None or one.marker.evaluate({"extra": ""})]
    return found


def _locked(names: set[str]) -> list[str]:
    """Their parts of the lock, with version and hashes."""
    lock = (paths.ROOT / "requirements-hub.txt").read_text()
    parts = re.split(r"^(?=\S)", re.sub(r"^\s*#.*\n", "", lock, flags=re.M), flags=re.M)
    return [part for part in parts if re.split(r"[=\[; ]", part, maxsplit=1)[0] in names]
