"""The disk that all seats are copies of: the kit's own, built here when it is missing or of an older kit."""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from virtlab import paths, roles, settings
from virtlab.errors import MachineError, UsageError

PLAYBOOK = paths.PLAYBOOKS / "kit_image.yml"
NEEDED = ("docker_engine", "kvm_host", "base_images", "registry")  # of `lab up`: what it is made from
CACHE, VOLUME = str(paths.CACHE / "kit-image"), "virtlab-kit.qcow2"  # where the role `kit_image` builds it
UNTOLD = {"user": "learner", "kit": "/opt/virtlab"}  # of a disk that nothing is written beside


@dataclass(frozen=True)
class Image:
    file: Path
    digest: str
    virtual_mb: int  # how large its machine sees it
    user: str
    python: str


def build() -> tuple[Image, int]:
    """The kit's disk, and how much was changed for it."""
    from virtlab.commands.up import play

    changed = 0
    if not {"kvm_host", "base_images", "registry"} <= set(settings.host()):
        sys.stderr.write("The seats' disk is made from what a lab host has, so this becomes one first.\n")
        changed += play(roles.UP, NEEDED, tags=NEEDED, log="classroom-image").changed
    chosen = list(dict.fromkeys(roles.sequence(PLAYBOOK)))
    changed += play(PLAYBOOK, chosen, log="classroom-image").changed
    own = settings.variables()
    return look(Path(own.get("kit_image_cache", CACHE), own.get("kit_image_volume", VOLUME))), changed


def look(file: Path) -> Image:
    """A disk as it is; what the kit has written beside its own spares reading all of it."""
    try:
        with file.open("rb") as disk:
            head = disk.read(32)
        size = file.stat().st_size
    except OSError as error:
        raise UsageError(
            f"I cannot read the disk {file}: {error.strerror}.",
            do="`ansible-playbook playbooks/kit_image.yml` builds one; or leave --image out.",
        ) from None
    if head[:4] != b"QFI\xfb":
        raise UsageError(f"{file} is no qcow2 disk.", do="`qemu-img convert -O qcow2 OLD NEW` makes one.")
    about = UNTOLD | _about(file, size)
    return Image(
        file, str(about.get("sha256") or _digest(file)),
        -(-int.from_bytes(head[24:32], "big") >> 20), str(about["user"]), f"{about['kit']}/.venv/bin/python",
    )  # fmt: skip


def _about(file: Path, size: int) -> dict[str, Any]:
    try:
        said = json.loads(file.with_suffix(".json").read_text())
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) and said.get("size") == size else {}


def _digest(file: Path) -> str:
    try:
        with file.open("rb") as disk:
            return hashlib.file_digest(disk, "sha256").hexdigest()
    except OSError as error:
        raise MachineError(f"I cannot read {file}: {error.strerror}.", do="Look at the disk.") from None
