"""What libvirt has: guests with their network cards, addresses and disks, and what the disks build upon."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from virtlab.guests import tree
from virtlab.topology.graph import Node, facts

if TYPE_CHECKING:
    from virtlab.topology.read import Graph


def look(graph: Graph) -> None:
    link = graph.seat.libvirt
    networks = {one.name(): one for one in link.listAllNetworks()}
    disks: dict[str, Any] = {}  # path → volume
    keys = {}
    for pool in link.listAllStoragePools(2):  # VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE
        for one in pool.listAllVolumes():
            disks[one.path()] = one
            keys[one.path()] = f"disk {pool.name()}/{one.name()}"
    for guest in link.listAllDomains():
        if graph.wants(f"guest {guest.UUIDString()}"):
            _guest(graph, guest, networks, disks, keys)
    for one in networks.values():
        if graph.wants(f"guest network {one.UUIDString()}"):
            _network(graph, one)
    for path, key in keys.items():
        if graph.wants(key):
            _disk(graph, path, disks, keys)


def _guest(
    graph: Graph, guest: Any, networks: dict[str, Any], disks: dict[str, Any], keys: dict[str, str]
) -> None:
    import libvirt

    said = tree(guest)
    me = f"guest {guest.name()}"
    state, _ = guest.state()
    words = {libvirt.VIR_DOMAIN_RUNNING: "", libvirt.VIR_DOMAIN_PAUSED: "paused"}
    graph.add(
        Node(
            me,
            "guest",
            guest.name(),
            graph.owners.get(f"guest {guest.UUIDString()}", ""),
            facts=facts(
                memory=int(guest.maxMemory()) >> 10,
                cpus=said.findtext("vcpu") or "",
                type=said.get("type") or "",
                state=words.get(state, "off" if not guest.isActive() else "stopping"),
            ),
        )
    )
    addresses = _addresses(guest)
    for card in said.iterfind("devices/interface"):
        source, target, mac = card.find("source"), card.find("target"), card.find("mac")
        place = source.attrib if source is not None else {}
        cable = card.find("link")
        mine = addresses.get(mac.get("address", "") if mac is not None else "", ())
        known = {
            "address": ", ".join(mine),
            "link": target.get("dev", "") if target is not None and guest.isActive() else "",
            "planned": not guest.isActive(),
            "lost": cable is not None and cable.get("state") == "down",
        }
        if place.get("network") in networks:
            graph.join("attached", _network(graph, networks[place["network"]]), me, **known)
        elif place.get("bridge"):
            graph.join("attached", _bridge(graph, place["bridge"]), me, **known)
    for disk in said.iterfind("devices/disk"):
        source = disk.find("source")
        if disk.get("device", "disk") == "disk" and source is not None:
            path = source.get("file") or source.get("dev") or _of_pool(graph, source)
            target = disk.find("target")
            if path:
                graph.join(
                    "mounted",
                    me,
                    _disk(graph, path, disks, keys),
                    path=target.get("dev", "") if target is not None else "",
                    readonly=disk.find("readonly") is not None,
                )


def _of_pool(graph: Graph, source: Any) -> str:
    import libvirt

    try:
        pool = graph.seat.libvirt.storagePoolLookupByName(source.get("pool"))
        return str(pool.storageVolLookupByName(source.get("volume")).path())
    except libvirt.libvirtError:
        return str(source.get("volume") or "")


def _addresses(guest: Any) -> dict[str, tuple[str, ...]]:
    """By its cards' own addresses: from the leases, else from whom this machine has lately spoken with."""
    import libvirt

    if not guest.isActive():
        return {}
    found: dict[str, tuple[str, ...]] = {}
    for source in (
        libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_ARP,
        libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_LEASE,
    ):
        try:
            cards = guest.interfaceAddresses(source) or {}
        except libvirt.libvirtError:
            continue  # just switched off
        for card in cards.values():
            if card.get("addrs"):
                found[card["hwaddr"]] = tuple(
                    sorted(one["addr"] for one in card["addrs"] if one["type"] == 0)
                )
    return found


def _network(graph: Graph, network: Any) -> str:
    node = f"guest network {network.name()}"
    if node in graph.nodes:
        return node
    said = tree(network)
    forward, bridge, ip = said.find("forward"), said.find("bridge"), said.find("ip")
    mode = (forward.get("mode") or "nat") if forward is not None else ""
    device = bridge.get("name", "") if bridge is not None else ""
    graph.add(
        Node(
            node,
            "network",
            network.name(),
            graph.owners.get(f"guest network {network.UUIDString()}", ""),
            facts=facts(
                driver="libvirt",
                subnet=_subnet(ip),
                bridge=device,
                internal=not mode,
                state="" if network.isActive() else "off",
                missing=bool(network.isActive() and device and device not in graph.kernel.devices),
            ),
        )
    )
    if mode and network.isActive():
        graph.join("out", graph.machine(), node, nat=mode == "nat", by="" if mode == "nat" else mode)
    return node


def _subnet(ip: Any) -> str:
    if ip is None or ip.get("family", "ipv4") != "ipv4":
        return ""
    mask = ip.get("prefix") or ip.get("netmask") or "24"
    return str(ipaddress.ip_interface(f"{ip.get('address')}/{mask}").network)


def _bridge(graph: Graph, device: str) -> str:
    """A bridge that is no network of libvirt's."""
    for node in graph.nodes.values():
        if node["bridge"] == device:
            return node.id
    graph.add(
        Node(
            f"network {device}",
            "network",
            device,
            facts=facts(driver="bridge", bridge=device, missing=device not in graph.kernel.devices),
        )
    )
    return f"network {device}"


def _disk(graph: Graph, path: str, disks: dict[str, Any], keys: dict[str, str]) -> str:
    node = f"disk {path}"
    if node in graph.nodes:
        return node
    owner = graph.owners.get(keys.get(path, ""), "")
    if path not in disks:
        graph.add(Node(node, "disk", Path(path).name, owner))
        return node
    said = tree(disks[path])
    form = said.find("target/format")
    graph.add(
        Node(
            node,
            "disk",
            Path(path).name,
            owner,
            facts=facts(
                format=form.get("type") if form is not None else "",
                size=int(said.findtext("capacity") or 0) >> 20,
                used=int(said.findtext("allocation") or 0) >> 20,
            ),
        )
    )
    base = said.findtext("backingStore/path")
    if base:
        graph.join("builds", node, _disk(graph, base, disks, keys))
    return node
