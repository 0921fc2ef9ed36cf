"""What a seat that moves needs on its new host: a place, disks, what they build upon, a network card."""

from __future__ import annotations

import asyncio
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import libvirt

from virtlab.errors import MachineError
from virtlab.hub import describe, disks, machines, rescue, warm
from virtlab.hub.hosts import COPYING, Host
from virtlab.hub.link import fill, receive
from virtlab.hub.machines import Machine

UNPLUGGED = 60.0  # seconds a guest may take to let go of its card


def whole(half: Machine) -> Machine:
    """The same once its disk is there."""
    return replace(half, label=replace(half.label, coming=""))


async def begin(source: Host, target: Host, machine: Machine) -> Machine:
    """A place on the other host, with what the disk builds upon, and the snapshots."""
    plan, mine = target.plan, f"{machine.name}."

    rescued = disks.snapshot_volume(machine.name, rescue.NAME)  # on its way to the hub, and made anew

    def kept(connection: Any) -> tuple[int, dict[str, str]]:
        pool = connection.storagePoolLookupByName(plan.pool)
        own = [name for name in pool.listVolumes() if name.startswith(mine) and name.endswith(".snapshot")]
        below = {name: _base(pool.storageVolLookupByName(name)) for name in own if name != rescued}
        return connection.storageVolLookupByPath(machine.disk).info()[1], below

    capacity, snapshots = await source.link(f"look at the disk of {machine.name}", kept)
    for base in {machine.label.base, *snapshots.values()}:
        await _bring(source, target, base)

    def make(connection: Any) -> Machine:
        slot, volume = machines.take_slot(target, connection, target.path(machine.label.base), capacity)
        label = replace(machine.label, address=target.site.address(slot), coming=source.name, going="")
        half = replace(
            machine, host=target.name, name=plan.machine(slot), running=False, disk=volume.path(), label=label
        )
        try:
            machines.define(target, connection, half)
        except BaseException:
            volume.delete()
            raise
        return half

    half = await target.link(f"make a place for {machine.owner}", make)
    for name, base in snapshots.items():
        await _snapshot(source, target, name, f"{half.name}.{name.removeprefix(mine)}", base)
    return half


async def _snapshot(source: Host, target: Host, name: str, new: str, base: str) -> None:
    def make(connection: Any) -> None:
        pool = connection.storagePoolLookupByName(target.plan.pool)
        pool.createXML(describe.disk(new, target.plan.size.disk_mb << 20, target.path(base)))

    await target.link(f"take the snapshot {new}", make)
    await copy(source, target, name, new)


def _base(volume: Any) -> str:
    return (describe.tree(volume).findtext("backingStore/path") or "").rpartition("/")[2]


async def _open(host: Host, name: str) -> tuple[Any, int]:
    """A volume that another host's thread may read, and how long its file is."""

    def work(connection: Any) -> tuple[Any, int]:
        volume = connection.storagePoolLookupByName(host.plan.pool).storageVolLookupByName(name)
        return volume, int(describe.tree(volume).findtext("physical") or 0)

    return await host.link(f"read {name}", work)


async def _bring(source: Host, target: Host, base: str) -> None:
    volume, length = await _open(source, base)

    def read() -> tuple[Iterable[bytes], int]:
        return receive(volume), length

    def work(connection: Any) -> None:
        disks.bring(target, connection.storagePoolLookupByName(target.plan.pool), base, read)

    await target.link(f"take {base}", work, COPYING)


async def copy(source: Host, target: Host, name: str, new: str) -> None:
    volume, _ = await _open(source, name)

    def work(connection: Any) -> None:
        pool = connection.storagePoolLookupByName(target.plan.pool)
        fill(pool.storageVolLookupByName(new), receive(volume))

    await target.link(f"take {name}", work, COPYING)


async def connect(host: Host, machine: Machine) -> None:
    """The card of its new place instead of the one it came with. The guest asks for an address by itself."""
    wanted = host.plan.mac(host.site, host.plan.slot(machine.name))

    def cards(connection: Any) -> dict[str, str]:
        found = describe.tree(connection.lookupByName(machine.name)).findall("devices/interface")
        return {str(mac.get("address")): ET.tostring(one, encoding="unicode")
                for one in found if (mac := one.find("mac")) is not None}  # fmt: skip

    def unplug(connection: Any) -> bool:
        guest, old = connection.lookupByName(machine.name), cards(connection)
        old.pop(wanted, None)
        for card in old.values():
            with suppress(libvirt.libvirtError):  # it has been asked before, and has not let go yet
                guest.detachDeviceFlags(card, libvirt.VIR_DOMAIN_AFFECT_LIVE)
        return not old

    end = asyncio.get_running_loop().time() + UNPLUGGED
    while not (is_out := await host.link(f"disconnect {machine.name}", unplug)):
        if asyncio.get_running_loop().time() > end:
            break
        await asyncio.sleep(0.5)
    if wanted not in await host.link(f"look at {machine.name}", cards):
        await warm.plug(host, machine)
    if not is_out:
        raise MachineError(
            f"{machine.name} runs on {host.name}, but its guest did not let go of its old network card.",
            do="Run it again. If it stays so, stop and start the machine: nothing is lost.",
        )
