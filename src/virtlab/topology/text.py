"""The graph as text, network by network: for a terminal, a screen reader, a test."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from virtlab.topology import words
from virtlab.topology.graph import Edge, Node, Topology
from virtlab.topology.words import either


def text(topology: Topology) -> str:
    title = f"{topology.title}: {either('what is there now', '当前拓扑')}"
    parts = [_doors(topology), *_networks(topology), _host(topology), _apart(topology), _stores(topology)]
    blocks = ["\n".join(block) for part in [*parts, _unseen(topology)] if (block := list(part))]
    return "\n\n".join([f"{title}\n{words.summary(topology)}", *blocks])


def _block(heading: str, lines: Iterable[str]) -> Iterator[str]:
    """A heading and what stands below it; nothing when nothing does."""
    below = [f"  {line}" for line in lines]
    if below:
        yield heading
        yield from below


def _doors(topology: Topology) -> Iterator[str]:
    def leads(door: Node, edge: Edge) -> str:
        target = topology.node(edge.b).name
        way = either(f"leads to {target}, port {edge['port']}", f"通向 {target} 的 {edge['port']} 端口")
        return f"{words.name(door)} {way} ({words.state(door) or words.kind(door)})"

    doors = [(door, edge) for door in topology.of_kind("door") for edge in topology.from_(door, "leads")]
    return _block(either("Doors of this machine", "本机的入口（发布的端口）"), (leads(*one) for one in doors))


def _networks(topology: Topology) -> Iterator[Iterator[str]]:
    nothing = either("nothing is attached", "没有接入任何东西")
    for node in topology.of_kind("network"):
        heading = f"{node.name} ({words.notes(topology, node, *words.details(topology, node))})"
        yield _block(
            heading, [_member(topology, edge) for edge in topology.from_(node, "attached")] or [nothing]
        )


def _member(topology: Topology, edge: Edge) -> str:
    node = topology.node(edge.b)
    inside = [one.name for one in topology.nodes if one.inside == node.id]
    more = [] if node.kind == "link" else [words.cable(edge)]
    if inside:
        more.append(either("holds ", "包含 ") + ", ".join(inside))
    shown = words.attachment(topology, edge).partition(" ")[2]
    return f"{node.name} {shown}".rstrip() + f" ({words.notes(topology, node, *more)})"


def _host(topology: Topology) -> Iterator[str]:
    for machine in topology.of_kind("machine"):
        heading = (
            f"{words.name(machine)} ({words.notes(topology, machine, *words.details(topology, machine))})"
        )
        users = [topology.node(edge.b) for edge in topology.from_(machine, "host")]
        yield from _block(heading, (f"{node.name} ({words.notes(topology, node)})" for node in users))


def _apart(topology: Topology) -> Iterator[str]:
    """Containers and guests on no network; one in a pod is where its pod is."""
    placed = {edge.b for edge in topology.edges if edge.kind in ("attached", "host")}
    lines = []
    for node in topology.of_kind("container", "guest"):
        if node.id not in placed and node.inside not in placed:
            pod = (
                either("in the pod of ", "所在 Pod：") + topology.node(node.inside).name
                if node.inside
                else ""
            )
            lines.append(f"{node.name} ({words.notes(topology, node, pod)})")
    return _block(either("On no network", "不在任何网络中"), lines)


def _stores(topology: Topology) -> Iterator[str]:
    def line(node: Node) -> str:
        uses = [f"{topology.node(edge.a).name}: {words.mount(edge)}" for edge in topology.to(node, "mounted")]
        bases = [topology.node(edge.b).name for edge in topology.from_(node, "builds")]
        uses += [either(f"builds upon {base}", f"基于 {base}") for base in bases]
        said = f"{node.name} ({words.notes(topology, node, *words.details(topology, node))})"
        return f"{said} — {'; '.join(uses)}" if uses else said

    return _block(either("Volumes and disks", "数据卷与磁盘"), map(line, topology.of_kind("volume", "disk")))


def _unseen(topology: Topology) -> Iterator[str]:
    heading = either("What I could not see", "看不到的部分")
    return _block(heading, (f"{one.message} {one.do}".rstrip() for one in topology.unseen))
