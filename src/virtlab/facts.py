"""The machine in a few figures that several ask for: its distribution, its memory, the room on its disks."""

from __future__ import annotations

import platform
import shutil
from pathlib import Path


def release() -> dict[str, str]:
    """os-release(5); empty where there is none."""
    try:
        return platform.freedesktop_os_release()
    except OSError:
        return {}


def memory() -> dict[str, int]:
    """Each line of /proc/meminfo, in MiB: MemTotal, MemAvailable …"""
    lines = (line.split() for line in Path("/proc/meminfo").read_text().splitlines())
    return {words[0].rstrip(":"): int(words[1]) // 1024 for words in lines if len(words) > 1}


def room(folder: Path) -> tuple[Path, int]:
    """The folder, or the nearest one above it that is there, and how many bytes are free in it."""
    existing = next(place for place in (folder, *folder.parents) if place.exists())
    return existing, shutil.disk_usage(existing).free
