"""What a class has on a KVM host, counted; and taken away, with the students' disks or without them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

from virtlab.errors import LabError
from virtlab.hub import describe, machines, seats
from virtlab.hub.hosts import Host, refreshed

AT_ONCE = 4  # seats that are shut down side by side on one host
# In the order in which they are told; what is in a pool by the end of its name.
KINDS = ("seats", "disks", "snapshots", "templates", "images", "networks", "filters", "pools")


async def count(host: Host) -> Counter[str]:
    """How much of each there is; nothing when the host has nothing of the class."""
    return await host.link("say what it has of the class", lambda connection: _count(host, connection))


def _count(host: Host, connection: Any) -> Counter[str]:
    plan, found = host.plan, Counter[str]()
    for guest in connection.listAllDomains():
        label = describe.Label.of(describe.tree(guest))
        if label is not None and label.plan == plan.name:
            found["seats" if guest.isPersistent() else "templates"] += 1  # one that is being made
    for pool in connection.listAllStoragePools():
        if pool.name() == plan.pool:
            found["pools"] += 1
            for name in pool.listVolumes() if pool.isActive() else ():
                found[_kind(plan.name, name)] += 1
    found["networks"] = sum(one.name() == plan.name for one in connection.listAllNetworks())
    found["filters"] = sum(one.name() == plan.filter for one in connection.listAllNWFilters())
    return Counter({kind: found[kind] for kind in KINDS if found[kind]})


def _kind(plan: str, volume: str) -> str:
    if volume.startswith("template-"):
        return "templates" if volume.endswith(".ready") else ""
    if volume.endswith(".verified"):
        return "images"
    if volume.endswith(".snapshot"):
        return "snapshots"
    return "disks" if volume.startswith(f"{plan}-") else ""


async def clear(host: Host, *, keep_disks: bool, tell: Callable[[str], None]) -> Counter[str]:
    """Take it away; how much of each has gone."""
    before = await count(host)
    if keep_disks:
        await _stop(host, tell)
        await host.link("remove what makes seats run", lambda connection: _strip(host, connection), 300)
    elif before:
        await host.remove()
    after = await count(host)
    gone = before - after
    told = ", ".join(f"{number} {kind}" for kind, number in gone.items())
    tell(f"{host.name}: {'removed ' + told if told else 'nothing to remove'}")
    return gone


async def _stop(host: Host, tell: Callable[[str], None]) -> None:
    """Students' machines are shut down in order; those that nobody has yet go."""
    turn = asyncio.Semaphore(AT_ONCE)

    async def one(machine: machines.Machine) -> None:
        async with turn:
            if not machine.owner:
                await machines.remove(host, machine)
            elif machine.running:
                await seats.stop(host, machine)
                tell(f"{host.name}: the seat of {machine.owner} is off")

    answers = await asyncio.gather(
        *map(one, await machines.everyone(host)), return_exceptions=True
    )  # all of them, then the first that failed
    for answer in answers:
        if isinstance(answer, LabError):
            tell(f"{host.name}: {answer.message}")
        elif isinstance(answer, BaseException):
            raise answer


def _strip(host: Host, connection: Any) -> None:
    """All but the definitions of students' machines, their disks, and what these build upon."""
    plan = host.plan
    owned = set()
    for guest in connection.listAllDomains():
        label = describe.Label.of(describe.tree(guest))
        if label is None or label.plan != plan.name:
            continue
        if guest.isPersistent():
            owned.add(guest.name())
        else:  # a template that was being made
            guest.destroy()
    for pool in connection.listAllStoragePools():
        if pool.name() == plan.pool and pool.isActive():
            volumes = {volume.name(): volume for volume in refreshed(pool).listAllVolumes()}
            for name in volumes.keys() - _needed(owned, volumes):
                volumes[name].delete()
    for network in connection.listAllNetworks():
        if network.name() == plan.name:
            if network.isActive():
                network.destroy()
            network.undefine()
    for rules in connection.listAllNWFilters():
        if rules.name() == plan.filter:
            rules.undefine()


def _needed(owned: set[str], volumes: dict[str, Any]) -> set[str]:
    """The files of these machines, whatever they build upon, and what belongs to that.

    A template that lost its memory would be made anew, and its old disk deleted under theirs.
    """
    keep = {name for name in volumes if name.partition(".")[0] in owned}
    new = keep
    while new:
        below = {describe.tree(volumes[name]).findtext("backingStore/path") or "" for name in new}
        new = {path.rpartition("/")[2] for path in below} & volumes.keys() - keep
        keep |= new
    ends = (".verified", ".memory", ".ready")
    beside = {name.removesuffix(".qcow2") + end for name in keep for end in ends}
    return keep | beside & volumes.keys()
