"""A KVM host, made ready for seats and looked at: pool, network, filter, the image. All through libvirt."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import libvirt

from virtlab.errors import MachineError, UsageError
from virtlab.hub import describe, placement
from virtlab.hub.link import Link, receive, send, suppress_code
from virtlab.hub.plan import Plan, Site

Tell = Callable[[str], None]  # progress, for whoever runs a command
COPYING = 3600.0  # seconds that sending or reading a whole image may take
PIECE = 64 << 20  # of an image, after which an interrupted sending goes on
HERE = "qemu:///system"  # the libvirt of this machine
RESERVED = 20  # the part of a file system that ext4 keeps for root, where nobody has looked: a twentieth
CLOSED = "closed"  # a volume: whoever has a connection to the host sees that it takes no more seats


def nothing(_: str, **_values: object) -> None:
    """Nobody listens."""


class Host:
    """One KVM host with the seats of one plan."""

    def __init__(self, plan: Plan, site: Site, link: Link | None = None) -> None:
        self.plan = plan
        self.site = site
        self.link = link or Link(site.name, site.uri)

    @property
    def name(self) -> str:
        return self.site.name

    def path(self, volume: str) -> str:
        return f"{self.plan.folder}/{volume}"

    async def prepare(self) -> None:
        """Pool, network and filter of the plan; what is there already is brought up to date."""
        await self.link("make what its seats need", self._prepare)

    def _prepare(self, connection: Any) -> None:
        plan, site = self.plan, self.site
        wanted = describe.seat_filter(plan, site)
        connection.nwfilterDefineXML(_with_uuid(wanted, _find(connection.listAllNWFilters(), plan.filter)))
        pool = _find(connection.listAllStoragePools(), plan.pool)
        if pool is None:
            pool = connection.storagePoolDefineXML(describe.pool(plan))
        if not pool.isActive():
            pool.create(libvirt.VIR_STORAGE_POOL_CREATE_WITH_BUILD)
        pool.setAutostart(True)
        pool.refresh()
        network = _find(connection.listAllNetworks(), plan.name)
        # What runs keeps its settings until it is started again.
        network = connection.networkDefineXML(_with_uuid(describe.network(plan, site), network))
        if not network.isActive():
            network.create()
        network.setAutostart(True)

    async def remove(self) -> None:
        """Everything of the plan on this host, seats and disks too."""
        await self.link("remove what is left of the seats", self._remove, 300)

    def _remove(self, connection: Any) -> None:
        plan = self.plan
        for guest in connection.listAllDomains():
            label = describe.Label.of(describe.tree(guest))
            if label is not None and label.plan == plan.name:
                discard(guest)
        pool = _find(connection.listAllStoragePools(), plan.pool)
        if pool is not None:
            if not pool.isActive():
                pool.create()
            pool.refresh()
            for volume in pool.listAllVolumes():
                volume.delete()
            pool.destroy()
            pool.delete()
            pool.undefine()
        network = _find(connection.listAllNetworks(), plan.name)
        if network is not None:
            if network.isActive():
                network.destroy()
            network.undefine()
        rules = _find(connection.listAllNWFilters(), plan.filter)
        if rules is not None:
            rules.undefine()

    async def look(self) -> placement.Host:
        """How much room there is."""
        return await self.link("say how much room there is", self._look)

    def _look(self, connection: Any) -> placement.Host:
        info = connection.getInfo()
        memory = connection.getMemoryStats(libvirt.VIR_NODE_MEMORY_STATS_ALL_CELLS)
        # libvirt counts in KiB, and what the page cache holds can be had.
        free = memory["free"] + memory.get("buffers", 0) + memory.get("cached", 0)
        running, promised, growing = 0, 0, 0
        pool = refreshed(connection.storagePoolLookupByName(self.plan.pool), 0)
        taken = {volume.path(): volume.info() for volume in pool.listAllVolumes()}
        for guest in connection.listAllDomains():
            tree = describe.tree(guest)
            label, disk = describe.Label.of(tree), tree.find("devices/disk/source")
            if label is None or label.plan != self.plan.name or disk is None:
                continue
            _, capacity, allocation = taken.get(disk.get("file"), (0, 0, 0))
            growing += max(0, capacity - allocation)
            if guest.isActive():
                running += 1
                used = guest.memoryStats().get("rss", 0)
                promised += max(0, (self.plan.size.memory_mb + placement.QEMU_MB) * 1024 - used)
        busy = _busy(connection)
        return placement.Host(
            name=self.name,
            uri=self.site.uri,
            memory_mb=memory["total"] // 1024,  # not getInfo's: without what was plugged in later
            free_mb=(free - promised) // 1024,
            disk_free_mb=max(0, self._writable(pool) - growing) >> 20,
            cpus=info[2],
            load=round(busy * info[2], 2),
            seats=running,
            emulated=self.site.emulated,
            closed=CLOSED in pool.listVolumes(),
        )

    def _writable(self, pool: Any) -> int:
        """Bytes that QEMU, no root, may still write. libvirt counts what is kept for root as well."""
        _, capacity, _, free = pool.info()
        if self.site.uri == HERE:
            with suppress(OSError):
                system = os.statvfs(self.plan.folder)
                return system.f_bavail * system.f_frsize
        known = self.site.reserved_mb
        return int(free) - (known << 20 if known >= 0 else int(capacity) // RESERVED)

    async def close(self) -> None:
        """No more seats here, whichever process asks; those that run go on."""

        def work(connection: Any) -> None:
            pool = connection.storagePoolLookupByName(self.plan.pool)
            with suppress_code(libvirt.VIR_ERR_STORAGE_VOL_EXIST):
                pool.createXML(describe.file(CLOSED, 512))

        await self.link("take no more seats", work)

    async def open(self) -> None:
        """Take seats again."""

        def work(connection: Any) -> None:
            with suppress_code(libvirt.VIR_ERR_NO_STORAGE_VOL):
                connection.storagePoolLookupByName(self.plan.pool).storageVolLookupByName(CLOSED).delete()

        await self.link("take seats again", work)

    # --- the image --------------------------------------------------------------------------------------
    async def has_image(self) -> bool:
        def work(connection: Any) -> bool:
            pool = connection.storagePoolLookupByName(self.plan.pool)
            names = pool.listVolumes()
            return self.plan.image in names and _vouched(self.plan.image) in names

        return await self.link("say whether it has the image", work)

    async def send_image(self, file: Path, digest: str, tell: Tell = nothing) -> None:
        """Give the host the image. Broken off, it goes on where it was; its digest is checked there."""
        if digest[:12] not in self.plan.image:
            raise UsageError(
                f"The image is to be called {self.plan.image}, which does not name its digest {digest[:12]}.",
                do=f"Call it golden-{digest[:12]}.qcow2: an image that changes is another image.",
            )
        if await self.has_image():
            return

        def work(connection: Any) -> str:
            pool = connection.storagePoolLookupByName(self.plan.pool)
            volume = _find(pool.listAllVolumes(), self.plan.image)
            length = file.stat().st_size
            with file.open("rb") as source:
                begin = _arrived(volume, source, length) if volume is not None else 0
                volume = volume or pool.createXML(describe.file(self.plan.image, length))
                for offset in range(begin, length, PIECE):
                    source.seek(offset)
                    send(volume, source, offset, min(PIECE, length - offset))
                    tell(f"{self.name}: image {min(offset + PIECE, length) * 100 // length} % sent")
            there = hashlib.sha256()
            for data in receive(volume, 0, length):
                there.update(data)
            if there.hexdigest() == digest:
                pool.createXML(describe.file(_vouched(self.plan.image), 512))
                pool.refresh()
            else:
                volume.delete()
            return there.hexdigest()

        there = await self.link("take the image", work, COPYING)
        if there != digest:
            raise MachineError(
                f"The image arrived on {self.name} as {there[:12]}, not as {digest[:12]}, and was removed.",
                do="Run it again. If it happens twice, look at the disk there.",
            )


def _vouched(image: str) -> str:
    return image.removesuffix(".qcow2") + ".verified"


def _arrived(volume: Any, source: Any, length: int) -> int:
    """How far an earlier sending came: the first piece whose end differs. Pieces are sent in order."""
    low, high = 0, -(-length // PIECE)  # pieces before `low` have arrived
    while low < high:
        middle = (low + high) // 2
        end = min((middle + 1) * PIECE, length)
        source.seek(end - 4096)
        if b"".join(receive(volume, end - 4096, 4096)) == source.read(4096):
            low = middle + 1
        else:
            high = middle
    return max(0, low - 1) * PIECE  # the last one again: its end alone may have arrived by chance


def _busy(connection: Any) -> float:
    """The part of the processors' time that is used, over a fifth of a second."""

    def times() -> tuple[int, int]:
        stats = connection.getCPUStats(libvirt.VIR_NODE_CPU_STATS_ALL_CPUS)
        return sum(stats.values()), stats.get("idle", 0) + stats.get("iowait", 0)

    before = times()
    time.sleep(0.2)
    after = times()
    return 1 - (after[1] - before[1]) / max(1, after[0] - before[0])


def _find(things: list[Any], name: str) -> Any:
    return next((thing for thing in things if thing.name() == name), None)


def _with_uuid(description: str, old: Any) -> str:
    """Defined again under the same UUID, a thing is changed; under another, libvirt refuses."""
    if old is None:
        return description
    end = description.index(">", description.index("<", 1)) + 1
    return f"{description[:end]}<uuid>{old.UUIDString()}</uuid>{description[end:]}"


def discard(guest: Any) -> None:
    """End a guest and forget it; its disk stays."""
    try:
        if guest.isActive():
            guest.destroy()
        if guest.isPersistent():
            guest.undefineFlags(
                libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
            )
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
            raise


def refreshed(pool: Any, patience: float = 10.0) -> Any:
    """A pool that has looked into its folder, or has not: while somebody makes a volume it cannot."""
    end = time.monotonic() + patience
    while True:
        try:
            pool.refresh()
        except libvirt.libvirtError:
            if time.monotonic() > end:
                return pool
            time.sleep(0.1)
        else:
            return pool
