"""What Docker has: containers, networks, volumes, doors. Its records, corrected by the kernel."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from virtlab.sweep import DOCKERS_OWN
from virtlab.topology.graph import Node, Unseen, facts
from virtlab.topology.kernel import Device, Namespace, namespace
from virtlab.topology.words import either

if TYPE_CHECKING:
    from virtlab.topology.read import Graph

BRIDGE = "com.docker.network.bridge.name"
MASQUERADE = "com.docker.network.bridge.enable_ip_masquerade"
EVERYWHERE = ("", "0.0.0.0", "::")  # noqa: S104  (compared, not bound)
UNPLUGGED = Device("", 0, 0, "", is_bridge=False, is_up=False)
Listed = dict[str, Any]


def look(graph: Graph) -> None:
    api = graph.seat.docker.api
    containers = _chosen(graph, api.containers(all=True))
    networks = {one["Id"]: one for one in api.networks() if one["Name"] not in ("host", "none")}
    where = _namespaces(graph, containers)
    pods = _pods(graph, containers, where)
    for one in containers:
        _container(graph, one, pods.get(one["Id"], ""), where.get(one["Id"]))
    for one in containers:
        _doors(graph, one)
        _volumes(graph, one)
        _attachments(graph, one, pods.get(one["Id"], ""), where.get(one["Id"]), networks)
    for one in networks.values():
        if graph.wants(f"network {one['Id']}"):
            _network(graph, one)
    _unused(graph, [one["Name"] for one in api.volumes().get("Volumes") or ()])


def name(one: Listed) -> str:
    names = sorted(name.lstrip("/") for name in one.get("Names") or () if name.count("/") == 1)
    return names[0] if names else str(one["Id"][:12])


def _chosen(graph: Graph, listed: list[Listed]) -> list[Listed]:
    """The lab's own, and whoever shares a network of the lab's or a network namespace with them."""

    def mode(one: Listed) -> str:
        return str((one.get("HostConfig") or {}).get("NetworkMode") or "")

    own = {one["Id"] for one in listed if graph.wants(f"container {one['Id']}")}
    nets = {
        key.partition(" ")[2]
        for key, owner in graph.owners.items()
        if key.startswith("network ") and graph.lab and owner == graph.lab.slug
    }
    near = {one["Id"] for one in listed if {net.get("NetworkID") for net in _networks(one).values()} & nets}
    shared = {mode(one).partition("container:")[2] for one in listed if one["Id"] in own}
    joined = {one["Id"] for one in listed if mode(one).partition(":")[2] in own}
    return [one for one in listed if one["Id"] in own | near | shared | joined]


def _networks(one: Listed) -> dict[str, Any]:
    return (one.get("NetworkSettings") or {}).get("Networks") or {}


def _namespaces(graph: Graph, containers: list[Listed]) -> dict[str, Namespace]:
    """Where the running ones really are. Docker tells the process, and the kernel tells the rest."""
    from docker.errors import NotFound

    def process(id: str) -> int:
        try:
            return int(graph.seat.docker.api.inspect_container(id)["State"]["Pid"])
        except NotFound:
            return 0  # gone while we looked

    running = [one["Id"] for one in containers if one["State"] in ("running", "paused")]
    with ThreadPoolExecutor(8) as pool:
        processes = dict(zip(running, pool.map(process, running), strict=True))
    found = {id: where for id, number in processes.items() if number and (where := namespace(number, id))}
    if any(processes.values()) and not found:
        graph.unseen["kernel"] = Unseen(either(
            "The containers' processes cannot be seen from here: of their networks this is Docker's record.",
            "从这里看不到容器的进程：关于容器网络的内容来自 Docker 的记录。",
        ))  # fmt: skip
    return found


def _pods(graph: Graph, containers: list[Listed], where: dict[str, Namespace]) -> dict[str, str]:
    """Containers that share a network namespace, each with its pod; the machine's own namespace is none."""
    here = graph.kernel.here
    groups: dict[object, list[Listed]] = {}
    for one in containers:
        place = where.get(one["Id"])
        owner = str((one.get("HostConfig") or {}).get("NetworkMode") or "").partition("container:")[2]
        group: object = place.id if place else (owner or one["Id"])
        if not (place and here and place.id == here.id):
            groups.setdefault(group, []).append(one)
    pods: dict[str, str] = {}
    for group in groups.values():
        if len(group) > 1:
            first = next((one for one in group if _networks(one)), group[0])
            pod = f"pod {name(first)}"
            graph.add(Node(pod, "pod", name(first), _owner(graph, first)))
            pods |= {one["Id"]: pod for one in group}
    return pods


def _owner(graph: Graph, one: Listed) -> str:
    return graph.owners.get(f"container {one['Id']}", "")


def _container(graph: Graph, one: Listed, pod: str, where: Namespace | None) -> None:
    is_alone = (not where.interfaces) if where else set(_networks(one)) == {"none"}
    graph.add(Node(
        f"container {name(one)}", "container", name(one), _owner(graph, one), pod,
        facts(
            image=str(one["Image"]).removeprefix("sha256:").rpartition("/")[2],
            state="" if one["State"] == "running" else one["State"],
            alone=one["State"] == "running" and is_alone,
        ),
    ))  # fmt: skip


def _doors(graph: Graph, one: Listed) -> None:
    """The ports of this machine that lead to a container, as they are now."""
    doors: dict[tuple[int, int, str], set[str]] = {}
    for port in one.get("Ports") or ():
        if port.get("PublicPort"):
            key = (port["PublicPort"], port["PrivatePort"], port["Type"])
            doors.setdefault(key, set()).add(port.get("IP") or "")
    for (public, private, protocol), addresses in doors.items():
        is_open = bool(addresses & set(EVERYWHERE))
        for address in ["*"] if is_open else sorted(addresses):
            shown = f"[{address}]" if ":" in address else address
            door = f"door {shown}:{public}/{protocol}"
            graph.add(
                Node(
                    door,
                    "door",
                    f"{shown}:{public}",
                    _owner(graph, one),
                    facts=facts(
                        address=address,
                        port=public,
                        protocol=protocol,
                        local=address.startswith("127.") or address == "::1",
                    ),
                )
            )
            graph.join("leads", door, f"container {name(one)}", port=private)


def _volumes(graph: Graph, one: Listed) -> None:
    for mount in one.get("Mounts") or ():
        if mount.get("Type") == "volume" and mount.get("Name"):
            node = _volume(graph, mount["Name"])
            graph.join(
                "mounted", f"container {name(one)}", node, path=mount["Destination"], readonly=not mount["RW"]
            )


def _unused(graph: Graph, volumes: list[str]) -> None:
    """Volumes that nobody mounts; those without a name are many, and shown as one."""
    left = [one for one in volumes if f"volume {one}" not in graph.nodes and graph.wants(f"volume {one}")]
    nameless = [one for one in left if _is_nameless(one)]
    for one in left:
        if one not in nameless or len(nameless) == 1:
            _volume(graph, one)
    if len(nameless) > 1:
        shown = either(f"{len(nameless)} volumes", f"{len(nameless)} 个数据卷")
        graph.add(Node("volumes", "volume", shown, facts=facts(nameless=True, unused=True)))


def _is_nameless(volume: str) -> bool:
    return re.fullmatch("[0-9a-f]{64}", volume) is not None


def _volume(graph: Graph, volume: str) -> str:
    is_nameless = _is_nameless(volume)
    graph.add(
        Node(
            f"volume {volume}",
            "volume",
            volume[:12] if is_nameless else volume,
            graph.owners.get(f"volume {volume}", ""),
            facts=facts(nameless=is_nameless),
        )
    )
    return f"volume {volume}"


def _attachments(
    graph: Graph, one: Listed, pod: str, where: Namespace | None, networks: dict[str, Listed]
) -> None:
    """Each network Docker tells of, with the kernel's interface for it; then what only the kernel knows."""
    me, here = pod or f"container {name(one)}", graph.kernel.here
    if "host" in _networks(one) or (where and here and where.id == here.id):
        graph.join("host", graph.machine(), me)
        return
    left = {interface.name: interface for interface in where.interfaces} if where else {}
    plugs = {each.name: graph.kernel.plug(each) or UNPLUGGED for each in left.values()}
    by_name = {network["Name"]: network for network in networks.values()}
    for called, net in _networks(one).items():
        known = networks.get(net.get("NetworkID")) or by_name.get(called)  # no id before its first start
        if known is None:
            continue
        address, bridge = net.get("IPAddress") or "", _bridge(known)
        by_address = [each for each in left.values() if address and address in each.addresses]
        by_cable = [each for each in left.values() if bridge and plugs[each.name].master == bridge]
        interface = next(iter(by_address or by_cable), None)
        plug = plugs[left.pop(interface.name).name] if interface else UNPLUGGED
        is_whole = by_address and (not bridge or (plug.master == bridge and plug.is_up))
        graph.join(
            "attached", _network(graph, known), me, address=address,
            interface=interface.name if interface else "", link=plug.name,
            planned=one["State"] not in ("running", "paused"), lost=bool(where and address and not is_whole),
        )  # fmt: skip
    if pod and not _networks(one):
        return  # its pod's owner has told already
    bridges = {bridge: each for each in networks.values() if (bridge := _bridge(each))}
    for interface in left.values():
        plug = plugs[interface.name]
        if plug.master in bridges:
            graph.join(
                "attached",
                _network(graph, bridges[plug.master]),
                me,
                interface=interface.name,
                address=", ".join(interface.addresses),
                link=plug.name,
                byhand=True,
            )


def _bridge(network: Listed) -> str:
    options = network.get("Options") or {}
    return options.get(BRIDGE) or f"br-{network['Id'][:12]}" if network["Driver"] == "bridge" else ""


def _network(graph: Graph, one: Listed) -> str:
    node = f"network {one['Name']}"
    if node in graph.nodes:
        return node
    owner = graph.owners.get(f"network {one['Id']}", "host" if one["Name"] in DOCKERS_OWN else "")
    options, bridge = one.get("Options") or {}, _bridge(one)
    is_routed = one["Driver"] == "bridge" and not one["Internal"]
    subnets = [each.get("Subnet") or "" for each in (one.get("IPAM") or {}).get("Config") or ()]
    known = facts(
        driver=one["Driver"], subnet=", ".join(filter(None, subnets)), bridge=bridge,
        parent=options.get("parent", ""), internal=one["Internal"],
        missing=bool(bridge) and bridge not in graph.kernel.devices,
    )  # fmt: skip
    graph.add(Node(node, "network", one["Name"], owner, facts=known))
    if is_routed:
        graph.join("out", graph.machine(), node, nat=options.get(MASQUERADE, "true") == "true")
    elif options.get("parent"):
        graph.join("out", graph.machine(), node, by=options["parent"])
    return node
