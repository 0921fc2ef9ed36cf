"""Reading the graph: whose things there are, then each part's own look; the kernel has the last word."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from virtlab import catalogue, settings, snapshot, state, sweep
from virtlab.catalogue import Lab
from virtlab.errors import LabError
from virtlab.snapshot import Thing
from virtlab.topology.graph import Edge, Node, Topology, Unseen, facts
from virtlab.topology.kernel import Kernel
from virtlab.topology.words import either

if TYPE_CHECKING:
    from virtlab.seat import Seat

MACHINE = "machine"
STANDING = "host"  # the owner of what always stands here
KINDS = ("machine", "door", "network", "pod", "container", "guest", "link", "volume", "disk")


@dataclass
class Graph:
    """What the looks put together. `own`: the keys of what is drawn whatever it touches; None: everything."""

    seat: Seat
    lab: Lab | None
    kernel: Kernel = field(default_factory=Kernel)
    owners: dict[str, str] = field(default_factory=dict)  # key of a thing → its owner
    nodes: dict[str, Node] = field(default_factory=dict)
    edges: set[Edge] = field(default_factory=set)
    unseen: dict[str, Unseen] = field(default_factory=dict)

    def wants(self, key: str) -> bool:
        """Whether a thing is looked at for its own sake."""
        return self.lab is None or self.owners.get(key) == self.lab.slug

    def add(self, node: Node) -> None:
        self.nodes.setdefault(node.id, node)

    def join(self, kind: str, a: str, b: str, **known: object) -> None:
        self.edges.add(Edge(kind, a, b, facts(**known)))

    def machine(self) -> str:
        way = self.kernel.way_out
        known = facts(interface=way.name, address=", ".join(way.addresses)) if way else ()
        self.add(Node(MACHINE, "machine", "machine", STANDING, facts=known))
        return MACHINE


def read(seat: Seat, lab: Lab | None) -> Topology:
    graph = Graph(seat, lab)
    wanted = (True, True) if lab is None else (lab.needs.docker, lab.needs.libvirt)
    found: list[Thing] = []
    looks: list[Callable[[Graph], None]] = []
    if wanted[0] and _try(graph, "Docker", lambda: found.extend(snapshot.things(seat, libvirt=False))):
        from virtlab.topology import docker

        looks.append(docker.look)
    if wanted[1] and _try(graph, "libvirt", lambda: found.extend(snapshot.things(seat, docker=False))):
        from virtlab.topology import guests

        looks.append(guests.look)
    _owners(graph, found)
    for look in looks:
        _try(graph, look.__module__.rpartition(".")[2], lambda look=look: look(graph))  # type: ignore[misc]
    if lab is None:
        graph.machine()
    _links(graph)
    order = {kind: place for place, kind in enumerate(KINDS)}
    return Topology(
        lab.slug if lab else "",
        str(lab.title) if lab else either("This machine", "本机"),
        tuple(sorted(graph.nodes.values(), key=lambda node: (order[node.kind], node.name, node.id))),
        tuple(sorted(graph.edges, key=lambda edge: (edge.kind, edge.a, edge.b, edge.facts))),
        tuple(graph.unseen.values()),
    )


def _try(graph: Graph, what: str, look: Callable[[], object]) -> bool:
    """A look that may fail, and then says so."""
    try:
        look()
    except LabError as error:
        graph.unseen[what] = Unseen(error.message, error.do)
    except Exception as error:
        if not type(error).__module__.startswith(("docker", "requests", "libvirt")):
            raise
        said = " ".join(str(error).split())
        graph.unseen[what] = Unseen(
            either(f"{what} stopped answering while I looked: {said}.", f"查看时 {what} 没有回应：{said}。"),
            either("Run `lab doctor`.", "请运行 `lab doctor`。"),
        )
    else:
        return True
    return False


def _owners(graph: Graph, found: list[Thing]) -> None:
    """Whose everything is: the standing roles', each lab's by the rules its finish goes by, or nobody's."""
    host = settings.host()
    guest = {
        ("guest network", host.get("kvm_host", {}).get("network")),
        ("disk", host.get("vm_image", {}).get("volume")),
    }
    for thing in found:
        if sweep.ROLE in thing.labels or (thing.kind, thing.name) in guest:
            graph.owners[thing.key] = STANDING
    labs = [graph.lab] if graph.lab else [one for one in catalogue.every() if isinstance(one, Lab)]
    for lab in labs:
        begun = state.read(lab.slug)
        before = set(begun.before) if begun.is_begun and begun.before is not None else None
        for thing in sweep.belongings(lab, found, before):
            graph.owners[thing.key] = lab.slug


def _links(graph: Graph) -> None:
    """What the kernel has and nobody has told of: bridges made by hand, and what is plugged into a bridge.

    Where somebody could not be asked, nobody can tell what is by hand.
    """
    if graph.unseen:
        return
    lab, kernel = graph.lab, graph.kernel
    known = {node["bridge"]: node for node in graph.nodes.values() if node["bridge"]}
    told = {edge["link"] for edge in graph.edges}
    for device in kernel.devices.values():
        is_mine = lab is None or device.name.startswith(lab.name(""))
        if device.is_bridge and device.name not in known and is_mine:
            more = facts(byhand=True, bridge=device.name, down=not device.is_up)
            known[device.name] = Node(
                f"network {device.name}", "network", device.name, lab.slug if lab else "", facts=more
            )
            graph.add(known[device.name])
    for bridge, node in known.items():
        if lab is None or node.owner == lab.slug:
            for port in kernel.ports(bridge):
                if port.name not in told:
                    graph.add(Node(f"link {port.name}", "link", port.name, facts=facts(down=not port.is_up)))
                    graph.join("attached", node.id, f"link {port.name}", link=port.name)
