"""What work leaves behind, at next to no cost: daemons' events, files' times, terminals' times."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from virtlab import settings

AGAIN = 3.0  # seconds after which a daemon that went away is asked again
MOST = 500  # files looked at in a folder
# Without exec_*: checks look into containers with `docker exec`, and health checks do so all the time.
EVENTS = [
    "create", "start", "die", "destroy", "rename", "pause", "unpause", "update", "health_status",
    "connect", "disconnect", "remove", "pull", "push", "tag", "untag", "delete", "load", "import", "commit",
]  # fmt: skip

Ring = Callable[[str], None]


def docker(ring: Ring, prefix: str) -> None:
    """Ring at every change Docker tells of, for ever; `elsewhere` if no name of the lab is in it."""
    import docker as sdk

    while True:
        try:
            client = sdk.from_env()
            for event in client.events(filters={"event": EVENTS}, decode=True):
                said = event.get("Actor", {}).get("Attributes", {}).values()
                ring("docker" if any(f"{prefix}-" in one for one in said) else "elsewhere")
        except Exception:  # whatever keeps it from us, the checks will say so
            time.sleep(AGAIN)
        ring("docker")


def libvirt(ring: Ring, prefix: str) -> None:
    """Ring at every change libvirt tells of, for ever. There are few: whose they are does not matter."""
    del prefix
    import libvirt as api

    api.registerErrorHandler(lambda *_: None, None)  # it prints to stderr by itself otherwise
    api.virEventRegisterDefaultImpl()

    def heard(*_: Any) -> None:
        ring("libvirt")

    uri = settings.host().get("kvm_host", {}).get("uri", "qemu:///system")
    while True:
        try:
            connection = api.open(uri)
            for event in ("LIFECYCLE", "REBOOT", "DEVICE_ADDED", "DEVICE_REMOVED", "BLOCK_JOB_2"):
                connection.domainEventRegisterAny(
                    None, getattr(api, f"VIR_DOMAIN_EVENT_ID_{event}"), heard, None
                )
            connection.networkEventRegisterAny(None, api.VIR_NETWORK_EVENT_ID_LIFECYCLE, heard, None)
            connection.storagePoolEventRegisterAny(None, api.VIR_STORAGE_POOL_EVENT_ID_REFRESH, heard, None)
            while connection.isAlive():
                api.virEventRunDefaultImpl()
        except api.libvirtError:
            time.sleep(AGAIN)
        ring("libvirt")


class Files:
    """The files of a folder, but for guides: JupyterLab saves those by itself."""

    def __init__(self, folder: Path, depth: int = 2) -> None:
        self.folder, self.depth = folder, depth
        self._known = self._times()

    def have_changed(self) -> bool:
        before, self._known = self._known, self._times()
        return before != self._known

    def _times(self) -> list[tuple[str, int, int]]:
        return sorted(islice(_files(str(self.folder), self.depth), MOST))


def _files(folder: str, depth: int) -> Iterator[tuple[str, int, int]]:
    with contextlib.suppress(OSError), os.scandir(folder) as found:  # gone meanwhile
        for one in found:
            if one.name.startswith((".", "__")) or one.name.endswith(".ipynb"):
                continue
            if not one.is_dir(follow_symlinks=False):
                stat = one.stat(follow_symlinks=False)
                yield one.path, stat.st_mtime_ns, stat.st_size
            elif depth:
                yield from _files(one.path, depth - 1)


class Terminals:
    """Whether anybody of this user types in a terminal, or reads what one says: the kernel notes it.

    To about eight seconds only, so that nobody can measure how a password is typed.
    """

    def __init__(self) -> None:
        self._own = {os.ttyname(one.fileno()) for one in (sys.__stdout__,) if one and one.isatty()}
        self._known = self._times()

    def have_changed(self) -> bool:
        before, self._known = self._known, self._times()
        return any(before.get(name) != times for name, times in self._known.items())

    def _times(self) -> dict[str, tuple[int, int]]:
        found = {}
        with contextlib.suppress(OSError):
            for one in os.scandir("/dev/pts"):
                if one.path in self._own:
                    continue
                with contextlib.suppress(OSError):
                    stat = one.stat()
                    if stat.st_uid == os.getuid():
                        found[one.name] = (stat.st_atime_ns, stat.st_mtime_ns)
        return found
