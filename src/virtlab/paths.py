"""Where things are. What depends on the user is a function: a proof changes the environment while it runs."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LABS = Path(os.environ.get("VIRTLAB_LABS") or ROOT / "labs").resolve()
NOTEBOOKS = LABS.parent / "notebooks"
PLAYBOOKS = ROOT / "playbooks"

STATE = Path(os.environ.get("VIRTLAB_STATE") or "/var/lib/virtlab")
HOST_D = STATE / "host.d"
SECRETS = STATE / "secrets"
CA = STATE / "ca.crt"
CACHE = Path("/var/cache/virtlab")
CLAIMS = Path(os.environ.get("VIRTLAB_CLAIMS") or "/var/tmp/virtlab-started")  # noqa: S108 (all may add)


def data() -> Path:
    """The learner's data: progress, the state of labs, locks, logs."""
    if own := os.environ.get("VIRTLAB_DATA"):
        return Path(own)
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share") / "virtlab"


def workspace() -> Path:
    """The learner's workspace: one folder a lab, with its guide and the files made in it."""
    return Path(os.environ.get("VIRTLAB_WORKSPACE") or Path.home() / "virtlab")


def variables() -> Path:
    """The learner's variables, kept from `lab up --set x=y`."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "virtlab/variables.yml"


def logs() -> Path:
    return data() / "logs"


def private(folder: Path) -> Path:
    """The folder, made if need be, for nobody but its owner."""
    folder.mkdir(parents=True, exist_ok=True)
    if folder.stat().st_mode & 0o077:
        folder.chmod(0o700)
    return folder


def write(file: Path, text: str, mode: int = 0o600) -> None:
    """Replace a file's content in one step: readers and crashes meet the old text or the new."""
    private(file.parent)
    new = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    new.replace(file)


def short(path: Path) -> str:
    """A path as people write it: relative to the project when it is inside, with ~ when it is at home."""
    for base, mark in ((LABS.parent, ""), (ROOT, ""), (Path.home(), "~/")):
        if path.is_relative_to(base):
            return f"{mark}{path.relative_to(base)}"
    return str(path)
