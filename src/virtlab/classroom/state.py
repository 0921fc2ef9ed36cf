"""How the class that runs here is: its hub, its hosts, its seats, who waits. Nobody is waited for long."""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from typing import Any

from virtlab import settings
from virtlab.classroom import class_data
from virtlab.classroom.layout import HUB
from virtlab.classroom.record import Record
from virtlab.errors import LabError
from virtlab.hub import machines, rescue
from virtlab.hub.hosts import Host
from virtlab.hub.machines import Machine
from virtlab.hub.queue import Queue

SECONDS = 10.0  # for a host to answer
KNOCK = 3.0  # for the hub


@dataclass(frozen=True)
class HostState:
    name: str
    uri: str
    why: str = ""  # it does not answer; the rest is empty then
    seats: int = 0  # that run
    free: int = 0  # how many more fit
    warm: int = 0  # that wait for whoever comes next
    is_closed: bool = False  # takes no more: it is being emptied
    machines: list[dict[str, Any]] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        told = {"host": self.name, "uri": self.uri, "answers": not self.why, "why": self.why}
        return told | {
            "seats": self.seats, "free": self.free, "warm": self.warm, "closed": self.is_closed
        }  # fmt: skip


async def hosts(of: Record) -> list[HostState]:
    """All at once; the time of the slowest is that of all, and it is limited."""
    return list(await asyncio.gather(*map(_host, of.hosts().values())))


async def _host(host: Host) -> HostState:
    try:
        async with asyncio.timeout(SECONDS):
            look, found, names = await asyncio.gather(
                host.look(),
                machines.everyone(host),
                host.link("list its disks", lambda one: _names(host, one)),
            )
    except TimeoutError:
        return HostState(host.name, host.site.uri, f"no answer within {SECONDS:.0f} seconds")
    except LabError as error:
        return HostState(host.name, host.site.uri, error.message)
    warm = sum(_state(one) == "warm" for one in found)
    seats = [_machine(host, one, names) for one in found]
    return HostState(
        host.name, host.site.uri, "", look.seats, look.room(host.plan.size), warm, look.closed, seats
    )


def _names(host: Host, connection: Any) -> list[str]:
    return list(connection.storagePoolLookupByName(host.plan.pool).listVolumes())


def _state(machine: Machine) -> str:
    if not machine.owner:
        return "warm" if machine.running and machine.label.host_key else "being made"
    return "running" if machine.running else "off"


def _machine(host: Host, machine: Machine, names: list[str]) -> dict[str, Any]:
    parts = [name.split(".") for name in names if name.endswith(".snapshot")]
    kept = sorted(name for seat, name, _ in parts if seat == machine.name and name != rescue.NAME)
    return {
        "seat": machine.name, "owner": machine.owner, "state": _state(machine), "address": machine.address,
        "host": host.name, "snapshots": kept,
    }  # fmt: skip


def hub() -> dict[str, Any]:
    """Whether it answers where the seats ask it: the proxy in front answers before the hub does."""
    if (said := settings.host().get("hub")) is None:
        return {"up": False, "url": "", "why": "there is none on this machine"}
    data = class_data.read(said["class"])
    about = {"up": True, "url": data.url, "why": ""}
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{data.hub_url}/hub/health", timeout=KNOCK):
            return about
    except (urllib.error.URLError, OSError) as error:
        return about | {"up": False, "why": str(getattr(error, "reason", error))}


def queue() -> list[dict[str, Any]]:
    """Who waits for a seat. Their places are kept in a file, whose hub forgets those who do not ask."""
    return Queue(HUB / "queue.json").as_dict()
