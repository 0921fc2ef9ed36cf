"""What is on this machine: Docker's and libvirt's objects; for proofs also rules, mounts, names and trust."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from virtlab import settings
from virtlab.errors import MachineError
from virtlab.seat import Seat

Snapshot = dict[str, dict[str, str]]  # kind → key → what it is like


@dataclass(frozen=True)
class Thing:
    """One object of Docker or libvirt."""

    kind: str  # container, network, volume, image, guest, disk, guest network
    id: str
    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    ports: frozenset[int] = frozenset()  # published on this machine
    networks: frozenset[str] = frozenset()
    state: str = ""

    @property
    def key(self) -> str:
        return f"{self.kind} {self.id}"

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


def things(seat: Seat, *, docker: bool = True, libvirt: bool = True) -> list[Thing]:
    return [*(_docker(seat) if docker else ()), *(_libvirt(seat) if libvirt else ())]


def _docker(seat: Seat) -> Iterable[Thing]:
    api = seat.docker.api
    for one in api.containers(all=True):
        names = sorted(name.removeprefix("/") for name in one.get("Names") or () if name.count("/") == 1)
        yield Thing(
            "container",
            one["Id"],
            names[0] if names else one["Id"][:12],
            one.get("Labels") or {},
            frozenset(port["PublicPort"] for port in one.get("Ports") or () if port.get("PublicPort")),
            frozenset((one.get("NetworkSettings") or {}).get("Networks") or {}),
            one.get("State") or "",
        )
    for one in api.networks():
        yield Thing("network", one["Id"], one["Name"], one.get("Labels") or {})
    for one in api.volumes().get("Volumes") or ():
        yield Thing("volume", one["Name"], one["Name"], one.get("Labels") or {})
    for one in api.images():
        names = [name for name in one.get("RepoTags") or () if name != "<none>:<none>"] or ["<none>"]
        for name in names:
            yield Thing("image", f"{name}@{one['Id']}", name, one.get("Labels") or {})


def _libvirt(seat: Seat) -> Iterable[Thing]:
    import libvirt

    link = seat.libvirt
    for domain in link.listAllDomains():
        yield Thing(
            "guest", domain.UUIDString(), domain.name(), state="running" if domain.isActive() else "off"
        )
    for net in link.listAllNetworks():
        yield Thing(
            "guest network", net.UUIDString(), net.name(), state="active" if net.isActive() else "off"
        )
    for pool in link.listAllStoragePools(libvirt.VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE):
        try:
            pool.refresh()
        except libvirt.libvirtError:
            continue  # somebody else's pool that lost its folder, or one that is at work
        for name in pool.listVolumes():
            yield Thing("disk", f"{pool.name()}/{name}", name)


def pool() -> str:
    """The lab host's own storage pool."""
    return str(settings.host().get("kvm_host", {}).get("pool", "virtlab"))


def host(seat: Seat, ignore: Callable[[Thing], bool] = lambda _: False) -> Snapshot:
    """Everything a lab could leave behind on this machine."""
    found: Snapshot = {}
    try:
        with_libvirt = bool(seat.libvirt)
    except MachineError:
        with_libvirt = False
    for thing in things(seat, libvirt=with_libvirt):
        if ignore(thing):
            continue
        like = " ".join([thing.name, thing.state, *sorted(thing.networks), *map(str, sorted(thing.ports))])
        found.setdefault(thing.kind, {})[thing.key] = like.strip()
    found["firewall rule"] = _set(_firewall())
    found["mount"] = _set(_mounts())
    found["line in /etc/hosts"] = _set(Path("/etc/hosts").read_text().splitlines())
    found["registry trust"] = _files(Path("/etc/docker/certs.d"))
    found["registry login"] = _set(_logins())
    return found


def differences(before: Snapshot, after: Snapshot) -> list[str]:
    """What differs, a line each; nothing when the machine is as it was."""
    said = []
    for kind in sorted(before.keys() | after.keys()):
        old, new = before.get(kind, {}), after.get(kind, {})
        said += [f"{kind} left behind: {new[key]}" for key in new if key not in old]
        said += [f"{kind} gone: {old[key]}" for key in old if key not in new]
        said += [
            f"{kind} changed: {old[key]} → {new[key]}" for key in old if key in new and old[key] != new[key]
        ]
    return said


def _set(lines: Iterable[str]) -> dict[str, str]:
    return {line: line for line in lines if line.strip()}


# Docker writes these rules and mounts itself for its networks and containers, which are compared as such.
DOCKERS_RULES = re.compile(
    r"\bbr-[0-9a-f]{12}\b|^(:|-A )DOCKER(-ISOLATION-STAGE-\d|-FORWARD|-BRIDGE|-CT|-INTERNAL)?\b(?!-USER)"
    r"|^-A POSTROUTING -s (?P<one>\S+)/32 -d (?P=one)/32 "
)
COUNTERS = re.compile(r" *\[\d+:\d+\]| packets \d+ bytes \d+")
DOCKERS_MOUNTS = re.compile(r"^/(var/lib/docker|run/docker|var/run/docker)/")


def _firewall() -> Iterable[str]:
    if os.geteuid() != 0:
        return  # nobody else may read them
    for command in ("iptables-save", "ip6tables-save"):
        if shutil.which(command):
            table = ""
            for line in _output(command).splitlines():
                if line.startswith("*"):
                    table = f"{command.removesuffix('-save')} {line[1:]}"
                elif line.startswith((":", "-A")) and not DOCKERS_RULES.search(line):
                    yield f"{table}: {COUNTERS.sub('', line)}"
    if shutil.which("nft"):
        place = ""
        for line in _output("nft", "list", "ruleset").splitlines():
            if line.startswith("table "):
                place = line.rstrip(" {")
            elif (
                place.startswith("table ")
                and " nat" not in place
                and " filter" not in place
                and line.strip(" }")
            ):
                yield f"{place}: {COUNTERS.sub('', line.strip())}"


def _mounts() -> Iterable[str]:
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields = line.split()
        where, kind, source = fields[4], *line.partition(" - ")[2].split()[:2]
        if not DOCKERS_MOUNTS.match(where):
            yield f"{where} ({kind} {source})"


def _files(folder: Path) -> dict[str, str]:
    found = {}
    for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
        try:
            like = hashlib.sha256(path.read_bytes()).hexdigest()[:12] if path.is_file() else "folder"
        except OSError:
            like = "not readable"
        found[str(path)] = f"{path} ({like})"
    return found


def _logins() -> Iterable[str]:
    file = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker") / "config.json"
    try:
        settings: Any = json.loads(file.read_text())
    except (OSError, ValueError):
        return []
    return sorted(settings.get("auths") or {})


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=20).stdout
