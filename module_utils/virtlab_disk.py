"""Disks that programs of ours build: in a session of their own, so that they go on when Ansible is killed."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any


def stamp(*parts: Any) -> str:
    """What vouches for a disk: it is made anew when one of these changes."""
    return sha256(json.dumps(parts).encode()).hexdigest()[:16]


def start(
    programs: Mapping[str, str], arguments: Sequence[Any], cache: Path, log: Path,
    environment: Mapping[str, Any] | None = None,
) -> subprocess.Popen[bytes]:
    """Write the programs into the cache and start the first. One works at a time; a second waits for it."""
    for folder in (cache, log.parent):
        folder.mkdir(parents=True, exist_ok=True)
    for name, text in programs.items():
        new = cache / f"{name}.new"         # a running one keeps reading its own file
        new.write_text(text)
        new.chmod(0o755)
        new.replace(cache / name)
    with log.open("ab") as out:
        return subprocess.Popen(
            ["bash", cache / next(iter(programs)), *map(str, arguments)],
            env={**os.environ, **{name: str(value) for name, value in (environment or {}).items()}},
            stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True,
        )


def is_under_way(cache: Path) -> bool:
    """Whether somebody holds the builder's lock; the kernel lets it go when the builder is killed."""
    try:
        with (cache / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


def last_words(log: Path, lines: int = 8) -> str:
    return f"The log, {log}, ends with: {' / '.join(log.read_text(errors='replace').splitlines()[-lines:])}"
