"""What `lab up` looks at before it changes anything: distribution, room, memory, ports, package manager."""

from __future__ import annotations

import ipaddress
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from virtlab import paths
from virtlab.errors import MachineError

SUPPORTED = {("debian", "12"), ("debian", "13"), ("ubuntu", "22.04"), ("ubuntu", "24.04")}
GB = 1000**3
NEEDS_GB = 8.0  # all that a first `lab up` writes, and the rooms it builds images in
NEEDS_GB_AGAIN = 0.5
MIN_MEMORY_GB, GOOD_MEMORY_GB = 0.9, 3.0
LISTEN = "0A"


@dataclass(frozen=True)
class Port:
    """A port that a role is going to listen on."""

    number: int
    address: str
    role: str
    variable: str  # that moves it


def wanted_ports(variables: Mapping[str, Any], roles: list[str]) -> list[Port]:
    registry = str(variables.get("virtlab_registry", "")).rpartition(":")[2]
    candidates = [
        Port(int(registry) if registry.isdigit() else 5000, "docker0", "registry", "virtlab_registry"),
        Port(int(variables.get("wordpress_port", 8080)), "127.0.0.1", "wordpress", "wordpress_port"),
        Port(
            int(variables.get("container_networks_host_port", 8090)),
            "127.0.0.1",
            "container_networks",
            "container_networks_host_port",
        ),
        Port(int(variables.get("jupyterlab_port", 8888)), "127.0.0.1", "jupyterlab", "jupyterlab_port"),
    ]
    return [port for port in candidates if port.role in roles]


def check(variables: Mapping[str, Any], roles: list[str]) -> list[str]:
    """Raise for what cannot work; return in plain words what may not."""
    if not shutil.which("apt-get") or not shutil.which("dpkg-query"):
        raise MachineError(
            "There is no apt on this machine.", do="Use Debian 12 or 13, or Ubuntu 22.04 or 24.04."
        )
    _check_disk()
    for port in wanted_ports(variables, roles):
        _check_port(port)
    return [*_distribution(), *_memory()]


def finish_interrupted_dpkg() -> bool:
    """apt refuses to work after a killed dpkg; so does every role that installs something."""
    if not any(Path("/var/lib/dpkg/updates").iterdir()):
        return False
    done = subprocess.run(
        ["dpkg", "--configure", "-a"],
        env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise MachineError(
            "A package installation was interrupted earlier, and finishing it failed: "
            + " ".join(done.stderr.split()[-60:]),
            do="Run `dpkg --configure -a` as root, put right what it says, then run `lab up` again.",
        )
    return True


def _distribution() -> list[str]:
    lines = [line.partition("=") for line in Path("/etc/os-release").read_text().splitlines()]
    release = {key: value.strip('"') for key, _, value in lines}
    if (release.get("ID"), release.get("VERSION_ID")) in SUPPORTED:
        return []
    return [
        f"{release.get('PRETTY_NAME', 'This distribution')} has not been tried; "
        "Debian 12 and 13, Ubuntu 22.04 and 24.04 are what the roles are written for."
    ]


def _memory() -> list[str]:
    lines = [line.split() for line in Path("/proc/meminfo").read_text().splitlines()]
    total = next(int(line[1]) * 1024 for line in lines if line[0] == "MemTotal:") / GB
    if total < MIN_MEMORY_GB:
        raise MachineError(
            f"This machine has {total:.1f} GB of memory; the lab host alone takes about {MIN_MEMORY_GB} GB.",
            do="Use a machine with 4 GB or more.",
        )
    if total < GOOD_MEMORY_GB:
        return [f"This machine has {total:.1f} GB of memory: enough for containers, scarce for guests."]
    return []


def _check_disk() -> None:
    needed = NEEDS_GB_AGAIN if (paths.HOST_D / "jupyterlab.json").exists() else NEEDS_GB
    for folder in (paths.STATE, paths.CACHE, Path("/var/lib/docker"), Path("/tmp")):  # noqa: S108  (looked at only)
        existing = next(place for place in (folder, *folder.parents) if place.exists())
        free = shutil.disk_usage(existing).free / GB
        wants = NEEDS_GB_AGAIN if folder.name == "tmp" else needed
        if free < wants:
            raise MachineError(
                f"{existing} has {free:.1f} GB free; `lab up` needs {wants:.1f} GB there.",
                do="Make room, for example with `apt-get clean` or `docker system df`, then run it again.",
            )


def _check_port(port: Port) -> None:
    for address, inode in _listeners(port.number):
        if not _clash(port.address, address):
            continue
        owner, ours = _owner(port, inode)
        if ours:
            continue
        other = f"registry.lab.test:{port.number + 1}" if port.role == "registry" else str(port.number + 1)
        raise MachineError(
            f"Port {port.number}, which the {port.role} needs, is taken by {owner}.",
            do=f"Stop that, or move ours: lab up --set {port.variable}={other}",
        )


def _listeners(port: int) -> list[tuple[str, str]]:
    """(address, inode of the socket) of whatever listens on this TCP port."""
    found = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        if not Path(table).exists():  # no IPv6
            continue
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            address, _, number = fields[1].rpartition(":")
            if fields[3] == LISTEN and int(number, 16) == port:
                found.append((_address(address), fields[9]))
    return found


def _address(text: str) -> str:
    """The kernel writes addresses as words of the machine's own byte order."""
    raw = b"".join(int(text[i : i + 8], 16).to_bytes(4, "little") for i in range(0, len(text), 8))
    address = ipaddress.ip_address(raw)
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


def _clash(wanted: str, taken: str) -> bool:
    if taken in ("0.0.0.0", "::"):  # noqa: S104  (compared, not bound)
        return True
    if wanted != "docker0":
        return taken == wanted
    command = ["ip", "-4", "-o", "address", "show", "docker0"]
    return f" {taken}/" in subprocess.run(command, capture_output=True, text=True, check=False).stdout


def _owner(port: Port, inode: str) -> tuple[str, bool]:
    """Who it is, and whether it is the role's own service from an earlier time."""
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if str(link.readlink()) != f"socket:[{inode}]":
                continue
            process = link.parents[1]
            name = (process / "comm").read_text().strip()
            command = (process / "cmdline").read_text().replace("\0", " ").strip()
        except OSError:  # it has ended meanwhile
            continue
        recorded = (paths.HOST_D / f"{port.role}.json").exists()
        if name == "docker-proxy":
            container, role = _container(port.number)
            return f"the container {container}", role == port.role
        return (
            f"{name} (process {process.name})",
            recorded and port.role == "jupyterlab" and "jupyter" in command,
        )
    return "a process that cannot be seen from here", False


def _container(port: int) -> tuple[str, str]:
    listed = subprocess.run(
        ["docker", "ps", "--filter", f"publish={port}", "--format", '{{.Names}} {{.Label "virtlab.role"}}'],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.split()
    return (listed[0] if listed else "of an unknown name"), (listed[1] if len(listed) > 1 else "")
