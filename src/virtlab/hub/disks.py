"""The disks of seats: snapshots, going back to one, beginning afresh."""

from __future__ import annotations

import re
import socket
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from tempfile import TemporaryFile
from typing import Any

import libvirt

from virtlab.errors import MachineError, UsageError
from virtlab.hub import describe
from virtlab.hub.hosts import Host, refreshed
from virtlab.hub.link import fill, receive, send, suppress_code
from virtlab.hub.machines import Machine, define, volumes

BROUGHT = ".brought"  # marks a template's disk that came from another host: seats here build upon it
LIVE = ".live"  # what a guest writes into while its disk is copied
TURN = 300.0  # seconds to wait for whoever works on the same disk


def snapshot_volume(machine: str, name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}", name):
        raise UsageError(
            f"{name!r} cannot be the name of a snapshot.",
            do="Take letters, digits, dashes and underscores, up to 40: before-lab-6",
        )
    return f"{machine}.{name}.snapshot"


async def snapshots(host: Host, machine: str) -> list[str]:
    def work(connection: Any) -> list[str]:
        names = connection.storagePoolLookupByName(host.plan.pool).listVolumes()
        return sorted(
            name.split(".")[1]
            for name in names
            if name.startswith(f"{machine}.") and name.endswith(".snapshot")
        )

    return await host.link(f"list the snapshots of {machine}", work)


@contextmanager
def alone(host: Host, machine: str) -> Iterator[None]:
    """One at a time on a disk: the hub makes its own copies, and a command line knows nothing of them.

    A name that the kernel keeps as long as its holder lives, whoever that is; all of them run on the hub's
    machine.
    """
    end = time.monotonic() + TURN
    with socket.socket(socket.AF_UNIX) as turn:
        while True:
            try:
                turn.bind(f"\0virtlab {host.name} {machine}")
                break
            except OSError:
                if time.monotonic() > end:
                    raise MachineError(
                        f"The disk of {machine} has been at work for {TURN:.0f} seconds.",
                        do="Try again later.",
                    ) from None
            time.sleep(0.1)
        yield


async def snapshot(host: Host, machine: Machine, name: str) -> None:
    """Keep the disk as it is now. A running guest writes on into a second file while the first is copied."""
    kept = snapshot_volume(machine.name, name)

    def work(connection: Any) -> None:
        with alone(host, machine.name):
            take(connection)

    def take(connection: Any) -> None:
        pool = connection.storagePoolLookupByName(host.plan.pool)
        if kept in pool.listVolumes():
            raise UsageError(f"{machine.owner} has a snapshot {name} already.", do="Take another name.")
        guest = connection.lookupByName(machine.name)
        disk = _present(guest)
        if disk.endswith(LIVE):  # whoever took the last snapshot was killed over it
            if not guest.isActive():
                raise MachineError(
                    f"The disk of {machine.name} is in two parts since a snapshot that was broken off.",
                    do="Start the machine once, and take the snapshot then.",
                )
            _rejoin(guest)
            _forget(pool, disk)
            disk = _present(guest)
        if not guest.isActive():
            made = copy(pool, connection.storageVolLookupByPath(disk), kept)
            if not guest.isActive():
                return
            made.delete()  # started meanwhile, it wrote: once more, as of one that runs
        beside = host.path(f"{machine.name}.{uuid.uuid4().hex[:6]}{LIVE}")
        _branch(guest, beside)
        try:
            refreshed(pool)
            copy(pool, connection.storageVolLookupByPath(disk), kept)
        finally:
            _rejoin(guest)
        _forget(pool, beside)

    await host.link(f"take a snapshot of {machine.name}", work, 600)


def _present(guest: Any) -> str:
    """The file it writes to."""
    source = describe.tree(guest).find("devices/disk/source")
    return "" if source is None else str(source.get("file"))


def _forget(pool: Any, file: str) -> None:
    refreshed(pool)
    with suppress(libvirt.libvirtError):
        pool.storageVolLookupByName(file.rpartition("/")[2]).delete()


def _branch(guest: Any, beside: str) -> None:
    text = (
        "<domainsnapshot><disks><disk name='vda' snapshot='external'>"
        f"<source file='{beside}'/></disk></disks></domainsnapshot>"
    )
    flags = (
        libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY
        | libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_NO_METADATA
        | libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_ATOMIC
    )
    try:  # with the file systems at rest, if somebody inside can see to that
        guest.snapshotCreateXML(text, flags | libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_QUIESCE)
    except libvirt.libvirtError:
        guest.snapshotCreateXML(text, flags)


def _rejoin(guest: Any) -> None:
    """Write what came meanwhile back into the disk, and go on with that."""
    into_next = libvirt.VIR_DOMAIN_BLOCK_COMMIT_ACTIVE | libvirt.VIR_DOMAIN_BLOCK_COMMIT_SHALLOW
    guest.blockCommit("vda", None, None, 0, into_next)
    end = time.monotonic() + 300
    while time.monotonic() < end:
        job = guest.blockJobInfo("vda", 0)
        if job and job["cur"] == job["end"]:
            with suppress(libvirt.libvirtError):  # not quite: the guest goes on writing
                guest.blockJobAbort("vda", libvirt.VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT)
                return
        time.sleep(0.1)
    raise MachineError(
        f"The disk of {guest.name()} did not come together within five minutes.", do="Try again."
    )


def copy(pool: Any, source: Any, name: str) -> Any:
    """A copy of a copy-on-write volume, over the same base.

    Byte for byte through here: what libvirt copies itself (`createXMLFrom`) holds the base as well.
    """
    tree = describe.tree(source)
    capacity, base = int(tree.findtext("capacity") or 0), tree.findtext("backingStore/path") or ""
    made = pool.createXML(describe.disk(name, capacity, base))
    try:
        with TemporaryFile() as between:
            for data in receive(source):
                between.write(data)
            length = between.tell()
            between.seek(0)
            send(made, between, 0, length)
    except BaseException:
        made.delete()
        raise
    return made


def bring(host: Host, pool: Any, base: str, read: Callable[[], tuple[Iterable[bytes], int]]) -> None:
    """See that what a disk builds upon is on this host, whole.

    The image every host has; a template's disk comes from another one, and is marked once it is complete.
    """
    names, mark = refreshed(pool).listVolumes(), base + BROUGHT
    own = {base.removesuffix(".qcow2") + end for end in (".ready", ".verified")}  # made or sent here
    if base == host.plan.image or (base in names and (own | {mark}) & set(names)):
        return
    with suppress_code(libvirt.VIR_ERR_NO_STORAGE_VOL):  # broken off the last time
        pool.storageVolLookupByName(base).delete()
    pieces, length = read()
    fill(pool.createXML(describe.file(base, length)), pieces)
    pool.createXML(describe.file(mark, 512))
    refreshed(pool)


async def rollback(host: Host, machine: Machine, name: str) -> None:
    """The disk of a snapshot in place of the present one. It has to be off."""
    kept = snapshot_volume(machine.name, name)
    have = await snapshots(host, machine.name)
    if name not in have:
        raise UsageError(
            f"{machine.owner} has no snapshot {name}.", do=f"There are: {', '.join(have) or 'none yet'}."
        )
    await _replace_disk(
        host,
        machine,
        lambda pool, disk: copy(pool, pool.storageVolLookupByName(kept), disk),
        f"back to {name}",
    )


async def reset(host: Host, machine: Machine) -> None:
    """An empty disk over the image. It has to be off; snapshots stay."""

    def empty(pool: Any, disk: str) -> Any:
        return pool.createXML(describe.disk(disk, host.plan.size.disk_mb << 20, host.path(host.plan.image)))

    await _replace_disk(host, machine, empty, "afresh")


async def _replace_disk(host: Host, machine: Machine, make: Callable[[Any, str], Any], how: str) -> None:
    """The new disk is complete before the old one goes, and the definition changes in between."""

    def work(connection: Any) -> None:
        with alone(host, machine.name):
            replaced(connection)

    def replaced(connection: Any) -> None:
        guest = connection.lookupByName(machine.name)
        if guest.isActive():
            raise MachineError(f"{machine.name} still runs.", do="Stop it first.")
        pool = connection.storagePoolLookupByName(host.plan.pool)
        new = make(pool, f"{machine.name}.{uuid.uuid4().hex[:6]}.disk")
        if guest.isActive():  # its old disk is in use again
            new.delete()
            raise MachineError(f"{machine.name} was started meanwhile, as it was.", do="Try again.")
        base = (describe.tree(new).findtext("backingStore/path") or "").rpartition("/")[2]
        label = replace(machine.label, base=base, serves="")
        define(host, connection, replace(machine, label=label, disk=new.path()))
        for volume in volumes(host, connection, machine.name):
            if volume.path() != new.path() and not volume.name().endswith(".snapshot"):
                volume.delete()

    await host.link(f"set {machine.name} {how}", work, 600)
