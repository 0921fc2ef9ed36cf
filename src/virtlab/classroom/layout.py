"""What a class consists of: its plan, a subnet for each host, what its hub is told. Plain values only."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from virtlab import paths, settings
from virtlab.classroom.record import Record
from virtlab.errors import MachineError, UsageError

if TYPE_CHECKING:
    from virtlab.classroom.image import Image
    from virtlab.classroom.inventory import Class
    from virtlab.classroom.survey import Look

HUB_PORT, BOARD_PORT = 8081, 8082  # where they answer the seats
HUB = paths.STATE / "hub"  # the folder of the role `hub`
REGISTRY = {"port": 5000, "name": "registry.class.test", "user": "seat"}  # as the role `registry` opens it
KIT = "/opt/virtlab"  # in a seat
JUPYTERLAB = "/var/lib/virtlab/jupyterlab"  # there: what the role `jupyterlab` has laid down


def name(folder: Path) -> str:
    """What all that is made in libvirt is called: after the class's folder."""
    word = re.sub(r"[^a-z0-9]+", "-", folder.resolve().name.lower()).strip("-")
    return f"class-{word}"[:20].rstrip("-")


def record(found: Class, looks: Sequence[Look], image: Image, old: Record | None = None) -> Record:
    """The class to be. Who had a subnet keeps it, and a host that does not answer now stays in."""
    if found.seat.disk_mb < image.virtual_mb:
        raise UsageError(
            f"The disk of a seat is to have {found.seat.disk_mb} MiB; the image has {image.virtual_mb}.",
            do=f"Write `disk_mb: {image.virtual_mb}` or more into class.yml.",
        )
    before = {str(site["name"]): dict(site) for site in old.sites} if old else {}
    subnets = _subnets(looks, before)
    sites = []
    for look in looks:
        one = look.machine
        known = before.get(one.name)
        if look.host is None:
            if known:
                sites.append(known)
            continue
        sites.append({
            "name": one.name, "uri": one.uri(found.hub), "subnet": subnets[one.name],
            "emulated": look.kvm != "yes" if one.own_uri else look.host.emulated,
            "reserved_mb": look.reserved_mb, "peer": one.address,
        })  # fmt: skip
    if not sites:
        raise MachineError(
            "None of the class's KVM hosts answers.", do="`lab classroom check` says why of each."
        )
    door = seat_address(found, sites)
    for site in sites:  # the hub's own machine: other hosts move seats to where the hub is
        if len(sites) > 1 and site["name"] == found.hub.name:
            site["peer"] = door
    plan = {
        "name": name(found.folder), "size": asdict(found.seat),
        "image": f"golden-{image.digest[:12]}.qcow2", "user": image.user, "python": image.python,
        "hub": {"address": door, "port": HUB_PORT},
        "doors": [{"address": door, "port": BOARD_PORT}],
        "registry": _registry(door),
        "forbidden": sorted({at for look in looks for at in look.addresses if IPv4Address(at).is_global}),
    }  # fmt: skip
    bare = [one.name for one in found.hosts if one.own_uri]
    return Record(str(found.folder.resolve()), plan, sites, bare)


def _registry(address: str) -> dict[str, Any] | None:
    """This machine's, where it has one: an image that thirty seats pull is fetched once from outside."""
    if "registry" not in settings.host():
        return None
    password, ca = str(paths.SECRETS / "registry_open_password"), str(paths.CA)
    return {"address": address, **REGISTRY, "password": password, "ca": ca}


def _subnets(looks: Iterable[Look], before: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """A /24 for each host that nobody else has."""
    looks = list(looks)
    given = {one.machine.name: one.machine.subnet for one in looks if one.machine.subnet}
    chosen = {host: str(site["subnet"]) for host, site in before.items()} | given
    taken = [IPv4Network(net) for look in looks for net in (*look.addresses, *look.nets)]
    for look in looks:
        if look.machine.name in chosen:
            continue
        for third in range(1, 255):
            net = IPv4Network(f"10.150.{third}.0/24")
            if str(net) not in chosen.values() and not any(net.overlaps(one) for one in taken):
                chosen[look.machine.name] = str(net)
                break
        else:
            raise UsageError(
                f"All of 10.150.0.0/16 is in use; I know no subnet for {look.machine.name}.",
                do="Give it `seat_subnet`, a /24, in hosts.yml.",
            )
    return chosen


def seat_address(found: Class, sites: Sequence[Mapping[str, Any]]) -> str:
    """Where hub and board answer the seats, and where the hub comes from: one address for all hosts."""
    others = [site for site in sites if site["name"] != found.hub.name]
    if not others:
        return str(IPv4Network(str(sites[0]["subnet"]))[1])  # nobody but the seats gets there
    if found.hub.address:
        return _number(found.hub.address)
    for site in others:
        if site["peer"]:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way:
                way.connect((_number(str(site["peer"])), HUB_PORT))  # sends nothing: it only chooses the way
                return str(way.getsockname()[0])
    raise UsageError(
        f"I cannot tell by which address the seats reach the hub, {found.hub.name}.",
        do="Give it `ansible_host`, its address among the KVM hosts, in hosts.yml.",
    )


def _number(host: str) -> str:
    try:
        return socket.gethostbyname(host)
    except OSError as error:
        raise MachineError(
            f"I cannot find {host}: {error.strerror}.", do="Write its address into hosts.yml."
        ) from None


# --- what the playbooks are told ------------------------------------------------------------------------
def host_variables(found: Class, made: Record) -> dict[str, Any]:
    """For class_hosts.yml and class_down.yml: every host that Ansible may touch."""
    from virtlab.hub.plan import Site

    plan = made.made()
    sites = [Site(**site) for site in made.sites if site["name"] not in made.bare]
    door = made.plan["hub"]["address"]
    return {
        "class_network": plan.name,
        "class_hosts": [site.name for site in sites],
        "class_sites": {
            site.name: {
                "subnet": site.subnet, "bridge": plan.bridge(site),
                "hub": "" if site.name == found.hub.name else door,
            }
            for site in sites
        },
    }  # fmt: skip


def hub_variables(found: Class, made: Record) -> dict[str, Any]:
    """The role `hub` and JupyterHub's own traits."""
    return {
        "hub_title": dict(found.title), "hub_languages": list(found.languages),
        "hub_address": found.listen, "hub_port": found.port, "hub_host": urlsplit(found.address).hostname,
        "hub_seat_address": made.plan["hub"]["address"],
        "hub_seat_port": HUB_PORT, "hub_board_port": BOARD_PORT,
        "hub_students": [
            {"id": one.id, "name": one.name, "email": one.email} for one in found.roster.students
        ],
        "hub_instructors": list(found.instructors), "hub_labs": list(found.labs),
        "hub_routes": routes(made),
        "class_registry": made.plan["registry"] is not None,
        "registry_open_address": made.plan["hub"]["address"],
        "registry_open_endpoint": f"{REGISTRY['name']}:{REGISTRY['port']}",
        "registry_open_user": REGISTRY["user"],
        "class_config": _traits(found, made),
    }  # fmt: skip


def together(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Both, however deep; where they differ the second counts."""
    made = dict(first)
    for key, value in second.items():
        before = made.get(key)
        both = isinstance(before, Mapping) and isinstance(value, Mapping)
        made[key] = together(before, value) if both else value  # type: ignore[arg-type]
    return made


def warm_each(found: Class, made: Record) -> int:
    """`warm` is said of the class; each host keeps its part ready."""
    return -(-found.warm // len(made.sites))


def _traits(found: Class, made: Record) -> dict[str, Any]:
    home = f"/home/{made.plan['user']}"
    rescue = {"rescue": str(HUB / "rescue")} if len(made.sites) > 1 else {}
    server = {"jupyterlab": True, "virtlab.server": True, "jupyter_server_terminals": True}
    off = dict.fromkeys(("jupyter_server_proxy", "jupyter_lsp", "notebook_shim"), False)
    return {
        "SeatSpawner": {
            "plan": dict(made.plan), "sites": [dict(site) for site in made.sites],
            "warm": warm_each(found, made), "queue_file": str(HUB / "queue.json"), **rescue,
        },
        # What the role `jupyterlab` gives the image's own server.
        "Spawner": {
            "notebook_dir": f"{home}/virtlab",
            "environment": {
                "VIRTLAB_LANG": found.languages[0], "VIRTLAB_WORKSPACE": f"{home}/virtlab",
                "JUPYTER_PATH": f"{JUPYTERLAB}/share", "MALLOC_ARENA_MAX": "2",
            },
            "args": [
                f"--ServerApp.jpserver_extensions={server | off}",
                "--ServerApp.terminado_settings={'shell_command': ['/bin/bash']}",
                "--TerminalsExtensionApp.terminal_manager_class=virtlab.server.terminals.LabTerminals",
                f"--LabApp.extra_labextensions_path={KIT}/src/virtlab/server/labextensions",
                f"--LabApp.app_settings_dir={JUPYTERLAB}/settings",
                "--LabApp.extension_manager=readonly",
            ],
        },
    }  # fmt: skip


def routes(made: Record) -> list[dict[str, str]]:
    from virtlab.hub.hosts import HERE

    return [
        {"subnet": str(site["subnet"]), "via": _number(str(site["peer"]))}
        for site in made.sites
        if site["uri"] != HERE and site["name"] not in made.bare
    ]
