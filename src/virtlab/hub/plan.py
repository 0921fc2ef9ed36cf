"""What all the seats of one hub have in common, and where each host differs. Plain values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from virtlab.errors import UsageError
from virtlab.hub.placement import SeatSize

FIRST, LAST = 10, 249  # slots of a host, which are the last byte of a seat's address
PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10", "224.0.0.0/4")


@dataclass(frozen=True)
class Door:
    """A TCP service outside that seats may use."""

    address: str
    port: int
    name: str = ""  # by which seats find it


@dataclass(frozen=True)
class Registry(Door):
    """A Docker registry behind a door: seats know it by name, trust it, and have its account."""

    user: str = ""
    password: str = ""  # the file on the hub that has it
    ca: str = ""  # likewise: who signed its certificate

    @property
    def endpoint(self) -> str:
        return f"{self.name}:{self.port}"


@dataclass(frozen=True)
class Site:
    """One KVM host: where it is, which addresses its seats get, and how guests run there."""

    name: str
    uri: str
    subnet: str  # a /24 that is nowhere else in use
    emulated: bool = False  # no hardware virtualization there
    machine: str = "q35"
    cpu: str = ""  # a CPU model; "" is the host's own, under emulation Nehalem: quicker than a rich one
    peer: str = ""  # its address among the KVM hosts, for seats that move; "" is the one in `uri`
    reserved_mb: int = -1  # of the disk, what its file system keeps for root; -1: nobody has looked

    def __post_init__(self) -> None:
        try:
            fits = IPv4Network(self.subnet).prefixlen == 24
        except ValueError:
            fits = False
        if not fits:
            raise UsageError(
                f"The subnet of the KVM host {self.name} is {self.subnet!r}.",
                do="Give it a /24 of its own, for example 10.150.1.0/24.",
            )

    @property
    def net(self) -> IPv4Network:
        return IPv4Network(self.subnet)

    @property
    def gateway(self) -> IPv4Address:
        return self.net[1]

    def address(self, slot: int) -> str:
        return str(self.net[slot])


@dataclass(frozen=True)
class Plan:
    """One hub's seats."""

    name: str  # everything made in libvirt is called after it
    size: SeatSize
    image: str = "golden.qcow2"  # the volume that all disks build upon
    user: str = "student"  # who works inside
    python: str = "/opt/virtlab/bin/python"  # inside, with JupyterLab and jupyterhub
    port: int = 8890  # of the single-user server; 8888 is a JupyterLab that the image may have of its own
    pool_path: str = ""  # of the storage pool; the same on all hosts
    hub: Door | None = None  # where seats reach the hub and it reaches them; None: on the gateway, port 8081
    doors: tuple[Door, ...] = ()  # what else they may reach
    registry: Registry | None = None  # where they pull images
    outside: bool = True  # may seats reach public addresses
    forbidden: tuple[str, ...] = ()  # besides all private networks: the hosts' own public addresses
    cpu_percent: int = 100  # of each virtual processor
    network_kb: int = 12500  # kilobytes a second each way
    connections: int = 2000  # open at once to the outside, so that nobody fills the host's table of them
    disk_mb_s: int = 200  # megabytes a second, read and written together
    disk_iops: int = 4000
    keys: tuple[str, ...] = field(default=(), repr=False)  # SSH public keys that may log in as root

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9-]{0,19}", self.name):
            raise UsageError(
                f"{self.name!r} cannot be the name of a class.",
                do="Take up to 20 small letters, digits and dashes, beginning with a letter: cs101",
            )
        for one in self.forbidden:
            IPv4Network(one)

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> Plan:
        """From plain values, as they stand in a configuration."""
        try:
            values = dict(said)
            values["size"] = SeatSize(**values["size"])
            if values.get("hub"):
                values["hub"] = Door(**values["hub"])
            if values.get("registry"):
                values["registry"] = Registry(**values["registry"])
            values["doors"] = tuple(Door(**door) for door in values.get("doors", ()))
            for name in ("forbidden", "keys"):
                values[name] = tuple(values.get(name, ()))
            return cls(**values)
        except (KeyError, TypeError) as error:
            raise UsageError(
                f"The plan of the seats is not complete: {error}.",
                do="It needs at least `name` and `size` (`memory_mb`, `vcpus`, `disk_mb`).",
            ) from None

    @property
    def pool(self) -> str:
        return self.name

    @property
    def folder(self) -> str:
        return self.pool_path or f"/var/lib/virtlab/{self.name}"

    @property
    def filter(self) -> str:
        return f"{self.name}-seat"

    @property
    def tag(self) -> str:
        return sha256(self.name.encode()).hexdigest()

    def bridge(self, site: Site) -> str:
        """At most 15 characters, and two daemons in one network may not share it."""
        return "vl" + sha256(f"{self.name} {site.subnet}".encode()).hexdigest()[:8]

    def machine(self, slot: int) -> str:
        return f"{self.name}-{slot:03d}"

    def slot(self, machine: str) -> int:
        return int(machine.rpartition("-")[2])

    def mac(self, site: Site, slot: int) -> str:
        number = sha256(f"{self.name} {site.subnet}".encode()).hexdigest()
        return f"52:54:{number[:2]}:{number[2:4]}:{number[4:6]}:{slot:02x}"

    def hub_door(self, site: Site) -> Door:
        return self.hub or Door(str(site.gateway), 8081)

    def every_door(self, site: Site) -> tuple[Door, ...]:
        return (self.hub_door(site), *self.doors, *([self.registry] if self.registry else []))
