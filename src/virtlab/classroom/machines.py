"""hosts.yml: which machine is the hub, which ones carry the seats. What Ansible reads as well."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from virtlab.classroom import findings
from virtlab.classroom.findings import Finding
from virtlab.errors import LabError
from virtlab.yamlfile import Document, Where

GROUPS = ("hub", "kvm_hosts")


@dataclass(frozen=True)
class Machine:
    name: str
    address: str  # where others reach it; empty for this machine when nothing is said
    user: str
    port: int
    is_local: bool
    line: int
    own_uri: str = ""
    subnet: str = ""  # of its seats, when somebody chose it

    @property
    def ssh(self) -> str:
        """To try it by hand."""
        port = f"-p {self.port} " if self.port != 22 else ""
        return f"ssh {port}{self.user + '@' if self.user else ''}{self.address or self.name}"

    def uri(self, hub: Machine) -> str:
        """Where the hub finds its libvirt."""
        if self.own_uri or self.name == hub.name:
            return self.own_uri or "qemu:///system"
        port = f":{self.port}" if self.port != 22 else ""
        return f"qemu+ssh://{self.user or 'root'}@{self.address}{port}/system"


def read(file: Path, found: list[Finding]) -> tuple[Machine | None, tuple[Machine, ...]]:
    """The hub and the KVM hosts; what is wrong is added to `found`."""
    try:
        document = Document(file)
    except LabError as error:
        found.append(findings.of(file, error))
        return None, ()
    try:
        tree = _Tree(document)
        every = {host: _machine(host, tree.variables[host], line) for host, line in tree.lines.items()}
    except (AttributeError, TypeError, ValueError) as error:
        said = f"It is no inventory of Ansible's: {error}."
        found.append(Finding(file, 1, said, "Compare it with the example."))
        return None, ()
    hubs = [every[host] for host in tree.members("hub")]
    hosts = tuple(every[host] for host in tree.members("kvm_hosts"))
    if len(hubs) != 1:
        line = hubs[1].line if hubs else 1
        found.append(Finding(file, line, f"The group `hub` has {len(hubs)} machines; it needs one."))
    if not hosts:
        found.append(Finding(file, 1, "The group `kvm_hosts` has no machine.", "The hub may be one as well."))
    _look(file, hubs, hosts, found)
    return (hubs[0] if hubs else None), hosts


class _Tree:
    """Groups, however deep they stand; a group may be named in one place and described in another."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.lines: dict[str, int] = {}  # where a host is named last: in its group, not among variables
        self.variables: dict[str, dict[str, Any]] = {}
        self._hosts: dict[str, list[str]] = {}
        self._children: dict[str, list[str]] = {}
        self._read(document.values or {}, ())

    def _read(self, groups: Mapping[str, Any], where: Where) -> None:
        for name, group in groups.items():
            here = (*where, name)
            for pattern, given in ((group or {}).get("hosts") or {}).items():
                for host in _expand(pattern):
                    self.variables.setdefault(host, {}).update(given or {})
                    self._hosts.setdefault(name, []).append(host)
                    if name in GROUPS or host not in self.lines:
                        self.lines[host] = self.document.lines[(*here, "hosts", pattern)]
            children = (group or {}).get("children") or {}
            self._children.setdefault(name, []).extend(children)
            self._read(children, (*here, "children"))

    def members(self, group: str, above: tuple[str, ...] = ()) -> list[str]:
        below = [
            host
            for child in self._children.get(group, ()) if child not in above
            for host in self.members(child, (*above, group))
        ]  # fmt: skip
        return list(dict.fromkeys([*self._hosts.get(group, ()), *below]))


def _expand(pattern: str) -> list[str]:
    """kvm[01:04] is four machines."""
    if "[" not in pattern:
        return [pattern]
    from ansible.plugins.inventory import expand_hostname_range  # type: ignore[import-untyped]

    try:
        return list(expand_hostname_range(pattern))
    except Exception as error:  # Ansible has errors of its own
        raise ValueError(f"'{pattern}' is no range of names ({error})") from None


def _machine(name: str, given: Mapping[str, Any], line: int) -> Machine:
    is_local = given.get("ansible_connection") == "local"
    address = str(given.get("ansible_host") or ("" if is_local else name))
    return Machine(
        name, address, str(given.get("ansible_user") or ""), int(given.get("ansible_port") or 22), is_local,
        line, str(given.get("libvirt_uri") or ""), str(given.get("seat_subnet") or ""),
    )  # fmt: skip


def _look(file: Path, hubs: list[Machine], hosts: tuple[Machine, ...], found: list[Finding]) -> None:
    seen: dict[tuple[str, int], Machine] = {}
    for host in hosts:
        place = (host.address, host.port)
        if (first := seen.setdefault(place, host)) is not host and not host.own_uri:
            said = f"{host.name} and {first.name} are the same machine ({host.address or 'this one'})."
            found.append(Finding(file, host.line, said, "Remove one: its memory would count twice."))
        if hubs and not host.address and not host.own_uri and host.name != hubs[0].name:
            said = f"The hub, {hubs[0].name}, cannot know where {host.name} is."
            do = "Give it `ansible_host`: an address, or a name in DNS."
            found.append(Finding(file, host.line, said, do))
