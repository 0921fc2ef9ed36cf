"""Who listens on a port: read from the kernel, then from its processes and Docker's containers."""

from __future__ import annotations

import contextlib
import ipaddress
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from virtlab.catalogue import LABEL, Lab
from virtlab.seat import Seat

ROLE_LABEL = "virtlab.role"
LOOPBACK = "127.0.0.1"
EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104  (compared, not bound)
CONTAINER_ID = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Owner:
    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    command: str = ""
    container: str = ""
    is_hidden: bool = False  # only root may see who it is

    @property
    def ours(self) -> str:
        """The standing role or the lab it belongs to."""
        return self.labels.get(ROLE_LABEL) or self.labels.get(LABEL) or ""

    def belongs_to(self, lab: Lab) -> bool:
        """By its label, or by its name: a learner's own container carries the lab's prefix and no label."""
        return self.labels.get(LABEL) == lab.slug or self.container.startswith(lab.name(""))


def docker0() -> str:
    """The address of Docker's own bridge, from the kernel's routes."""
    for line in Path("/proc/net/route").read_text().splitlines()[1:]:
        interface, network, *_ = line.split()
        if interface == "docker0":
            return str(ipaddress.ip_address(int.from_bytes(bytes.fromhex(network)[::-1], "big") + 1))
    return ""


def listening(table: str) -> Iterator[tuple[str, int, str]]:
    """(address, port, inode) of the listening sockets in /proc/net/tcp or tcp6."""
    for line in table.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 9 and fields[3] == "0A":
            address, port = fields[1].split(":")
            words = [bytes.fromhex(address[i : i + 8])[::-1] for i in range(0, len(address), 8)]
            yield str(ipaddress.ip_address(b"".join(words))), int(port, 16), fields[9]


class Listeners:
    """Who listens where, as far as we may see. Read once, on first use."""

    def __init__(self, seat: Seat) -> None:
        self.seat = seat

    @cached_property
    def sockets(self) -> list[tuple[str, int, str]]:
        tables = [Path("/proc/net", name) for name in ("tcp", "tcp6")]
        return [one for table in tables if table.exists() for one in listening(table.read_text())]

    @cached_property
    def processes(self) -> dict[str, int]:
        """Which process holds a socket's inode; other people's only root may see."""
        found: dict[str, int] = {}
        for link in Path("/proc").glob("[0-9]*/fd/*"):
            with contextlib.suppress(OSError):  # closed meanwhile
                target = str(link.readlink())
                if target.startswith("socket:["):
                    found[target[8:-1]] = int(link.parts[2])
        return found

    @cached_property
    def containers(self) -> list[dict[str, Any]]:
        try:
            return list(self.seat.docker.api.containers())
        except Exception:  # without Docker no port is a container's; that Docker is away, others say
            return []

    def owner(self, port: int, address: str = LOOPBACK) -> Owner | None:
        """Who keeps us from listening there, or None."""
        for bound, number, inode in self.sockets:
            if number == port and bound in (address, "0.0.0.0", "::"):  # noqa: S104
                return self._publisher(port, bound) or self._process(inode)
        return None

    def _publisher(self, port: int, bound: str) -> Owner | None:
        for one in self.containers:
            for published in one.get("Ports") or ():
                if published.get("PublicPort") == port and published.get("IP") in (bound, *EVERYWHERE, ""):
                    return _container(one)
        return None

    def _process(self, inode: str) -> Owner:
        pid = self.processes.get(inode)
        if pid is None:
            return Owner("a process of somebody else (`sudo ss -tlnp` names it)", is_hidden=True)
        try:
            name = Path("/proc", str(pid), "comm").read_text().strip()
            command = (
                Path("/proc", str(pid), "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            )
            inside = CONTAINER_ID.search(Path("/proc", str(pid), "cgroup").read_text())
        except OSError:
            return Owner(f"process {pid}")
        if inside and (found := [one for one in self.containers if one.get("Id") == inside.group()]):
            return _container(found[0])  # a container on the host's own network
        return Owner(f"{name}, process {pid}", command=command)


def _container(one: Mapping[str, Any]) -> Owner:
    name = str((one.get("Names") or ["?"])[0]).lstrip("/")
    return Owner(f"the container {name}", labels=one.get("Labels") or {}, container=name)
