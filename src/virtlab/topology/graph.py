"""The graph: plain values, which can be compared, kept, and drawn."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

from virtlab.language import current

Facts = tuple[tuple[str, str], ...]


def facts(**known: object) -> Facts:
    """What is known, in a fixed order; what is empty is left out."""
    return tuple((name, "yes" if value is True else str(value)) for name, value in known.items() if value)


@dataclass(frozen=True)
class Node:
    """`kind`: machine, door, network, container, guest, pod, link, volume, disk.

    `owner`: the lab it belongs to, `host` for what always stands here, nothing for anybody else's.
    `inside`: the pod a container is in. Containers in a pod have one network between them.
    """

    id: str
    kind: str
    name: str
    owner: str = ""
    inside: str = ""
    facts: Facts = ()

    def __getitem__(self, fact: str) -> str:
        return dict(self.facts).get(fact, "")


@dataclass(frozen=True)
class Edge:
    """`kind`, from `a` to `b`: out (machine → network), leads (door → container), host (machine → container),
    attached (network → container, guest, pod or link), mounted (→ volume or disk), builds (disk → its base).
    """

    kind: str
    a: str
    b: str
    facts: Facts = ()

    def __getitem__(self, fact: str) -> str:
        return dict(self.facts).get(fact, "")


@dataclass(frozen=True)
class Unseen:
    """What could not be looked at, and what to do about it."""

    message: str
    do: str = ""


@dataclass(frozen=True)
class Topology:
    """What is there of a lab (`lab`: its slug), or on the machine (`lab` is empty)."""

    lab: str
    title: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    unseen: tuple[Unseen, ...] = ()

    def svg(self) -> str:
        """The drawing. The same graph is drawn once. A MachineError when Graphviz is not installed."""
        return _svg(self, current())

    def text(self) -> str:
        """The same in words."""
        return _text(self, current())

    def of_kind(self, *kinds: str) -> list[Node]:
        return [node for node in self.nodes if node.kind in kinds]

    def from_(self, node: Node, kind: str) -> list[Edge]:
        return [edge for edge in self.edges if edge.kind == kind and edge.a == node.id]

    def to(self, node: Node, kind: str) -> list[Edge]:
        return [edge for edge in self.edges if edge.kind == kind and edge.b == node.id]

    def node(self, id: str) -> Node:
        return next(node for node in self.nodes if node.id == id)

    def as_dict(self) -> dict[str, Any]:
        return {
            "lab": self.lab or None,
            "title": self.title,
            "nodes": [asdict(node) | {"facts": dict(node.facts)} for node in self.nodes],
            "edges": [asdict(edge) | {"facts": dict(edge.facts)} for edge in self.edges],
            "unseen": [asdict(one) for one in self.unseen],
        }


@lru_cache(maxsize=16)
def _svg(topology: Topology, spoken: str) -> str:
    from virtlab.topology import draw

    return draw.svg(topology)


@lru_cache(maxsize=16)
def _text(topology: Topology, spoken: str) -> str:
    from virtlab.topology import text

    return text.text(topology)
