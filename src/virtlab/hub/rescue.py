"""Copies of seats' disks on the hub, from which a seat starts on another host when its own has died.

A folder for each owner, with the disk as it is on the host (copy-on-write, so what was changed) and
`about.json`. What it builds upon, a template's disk, is kept once beside them; the image itself every host
has.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from virtlab import paths
from virtlab.errors import MachineError
from virtlab.hub import describe, disks, machines
from virtlab.hub.hosts import COPYING, Host, refreshed
from virtlab.hub.link import CHUNK, fill, receive
from virtlab.hub.machines import Machine

NAME = "rescue"  # of the snapshot that is copied
_busy: set[str] = set()


def _about(folder: str, owner: str) -> dict[str, Any]:
    try:
        said = json.loads((Path(folder) / owner / "about.json").read_text())
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}


def when(folder: str, owner: str) -> str:
    """The time of the last copy, for people; "" without one."""
    made = _about(folder, owner).get("made") if folder else None
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(made)) if made else ""


def due(folder: str, owner: str, minutes: float) -> bool:
    return time.time() - float(_about(folder, owner).get("made", 0)) > minutes * 60 and owner not in _busy


async def keep(host: Host, owner: str, folder: str) -> None:
    """Copy the disk as it is now; the old copy stays until the new one is whole."""
    if owner in _busy:
        return
    _busy.add(owner)
    try:
        if machine := await machines.of(host, owner):
            await _keep(host, machine, Path(folder))
    finally:
        _busy.discard(owner)


async def _keep(host: Host, machine: Machine, folder: Path) -> None:
    kept = disks.snapshot_volume(machine.name, NAME)
    mine = paths.private(paths.private(folder) / machine.owner)

    def drop(connection: Any) -> None:
        pool = connection.storagePoolLookupByName(host.plan.pool)
        if kept in pool.listVolumes():
            pool.storageVolLookupByName(kept).delete()

    def fetch(connection: Any) -> str:
        pool = connection.storagePoolLookupByName(host.plan.pool)
        volume = pool.storageVolLookupByName(kept)
        base = (describe.tree(volume).findtext("backingStore/path") or "").rpartition("/")[2]
        if base != host.plan.image and not (folder / base).exists():
            _store(pool.storageVolLookupByName(base), folder / base)
        _store(volume, mine / "disk.qcow2")
        return base

    await host.link("clear the last copy", drop)
    made = time.time()
    await disks.snapshot(host, machine, NAME)
    base = await host.link(f"hand over the disk of {machine.name}", fetch, COPYING)
    about = {"made": made, "base": base, "host": host.name, "machine": machine.name}
    paths.write(mine / "about.json", json.dumps(about))
    await host.link("clear the copy", drop)


def _store(volume: Any, file: Path) -> None:
    new = file.with_suffix(".new")
    with new.open("wb") as stream:
        new.chmod(0o600)
        for data in receive(volume):
            stream.write(data)
    new.replace(file)


async def plant(host: Host, owner: str, folder: str) -> Machine:
    """A seat on this host with the disk of the last copy, not started."""
    about = _about(folder, owner)
    disk, base = Path(folder) / owner / "disk.qcow2", about.get("base", "")
    if not base or not disk.exists():
        raise MachineError(f"There is no copy of the disk of {owner}.", do="Start an empty machine instead.")

    def work(connection: Any) -> Machine:
        pool = refreshed(connection.storagePoolLookupByName(host.plan.pool))
        below = Path(folder) / base
        disks.bring(host, pool, base, lambda: (_pieces(below), below.stat().st_size))
        slot, volume = machines.take_slot(host, connection, host.path(base))
        machine = machines.new(host, slot, volume.path(), owner, base)
        try:
            fill(volume, _pieces(disk))
            machines.define(host, connection, machine)
        except BaseException:
            volume.delete()
            raise
        return machine

    return await host.link(f"take over the disk of {owner}", work, COPYING)


def _pieces(file: Path) -> Iterator[bytes]:
    with file.open("rb") as source:
        while data := source.read(CHUNK):
            yield data
