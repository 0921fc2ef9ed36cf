"""The kernel's own view of the network: read from /proc and /sys, without asking Docker and without root."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

NET = Path("/sys/class/net")
LOCAL = re.compile(r"\|-- (\S+)\n\s+/32 host LOCAL")


@dataclass(frozen=True)
class Interface:
    name: str
    index: int
    addresses: tuple[str, ...]


@dataclass(frozen=True)
class Namespace:
    """A network namespace: who shares its `id` shares its interfaces, addresses and ports."""

    id: int
    interfaces: tuple[Interface, ...]  # without lo


@dataclass(frozen=True)
class Device:
    """A network device of this machine. `peer`: the index of a veth's other end; `master`: its bridge."""

    name: str
    index: int
    peer: int
    master: str
    is_bridge: bool
    is_up: bool


def namespace(process: int | str, container: str = "") -> Namespace | None:
    """Where a process is; None when it cannot be seen from here, or is not the container's."""
    proc = Path("/proc") / str(process)
    try:
        if container and container not in (proc / "cgroup").read_text():
            return None  # the daemon is on another machine: its numbers mean nothing here
        identity = (proc / "net/dev").stat().st_ino  # /proc/…/ns/net says it too, to root only
        return Namespace(identity, _interfaces(proc / "net"))
    except OSError:
        return None


def _interfaces(net: Path) -> tuple[Interface, ...]:
    indices = re.findall(r"^(\d+)\t(\S+)", (net / "igmp").read_text(), re.M)
    local = sorted(set(LOCAL.findall((net / "fib_trie").read_text())))
    routes: dict[str, list[ipaddress.IPv4Network]] = {}
    for line in (net / "route").read_text().splitlines()[1:]:
        device, network, _, _, _, _, _, mask, *_ = line.split()
        if int(mask, 16):
            routes.setdefault(device, []).append(
                ipaddress.IPv4Network((_swap(network), _swap(mask).bit_count()))
            )
    return tuple(
        Interface(
            name,
            int(index),
            tuple(
                one
                for one in local
                if any(ipaddress.ip_address(one) in each for each in routes.get(name, ()))
            ),
        )
        for index, name in indices
        if name != "lo"
    )


def _swap(word: str) -> int:
    """/proc/net/route writes addresses in the machine's byte order."""
    return int.from_bytes(bytes.fromhex(word)[::-1], "big")


class Kernel:
    """One look at this machine's own network devices."""

    @cached_property
    def here(self) -> Namespace | None:
        return namespace("self")

    @cached_property
    def devices(self) -> Mapping[str, Device]:
        return {folder.name: device for folder in sorted(NET.iterdir()) if (device := _device(folder))}

    @cached_property
    def way_out(self) -> Interface | None:
        """The interface of the default route."""
        for line in Path("/proc/net/route").read_text().splitlines()[1:]:
            name, network, *_ = line.split()
            if network == "00000000" and self.here:
                return next((one for one in self.here.interfaces if one.name == name), None)
        return None

    def plug(self, interface: Interface) -> Device | None:
        """The other end of a container's interface, here: a veth pair knows its other end by its number."""
        ends = [one for one in self.devices.values() if one.peer == interface.index and one.peer != one.index]
        return next((one for one in ends if one.master), ends[0] if ends else None)

    def ports(self, bridge: str) -> list[Device]:
        return [one for one in self.devices.values() if one.master == bridge]


def _device(folder: Path) -> Device | None:
    try:
        index = int((folder / "ifindex").read_text())
        peer = int((folder / "iflink").read_text())
        up = (folder / "operstate").read_text().strip() in ("up", "unknown")
    except (OSError, ValueError):
        return None  # gone while we looked
    master = folder / "master"
    return Device(
        folder.name,
        index,
        peer,
        master.resolve().name if master.exists() else "",
        (folder / "bridge").is_dir(),
        up,
    )
