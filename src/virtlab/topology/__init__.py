"""What is really there, as a graph: networks, containers, guests, volumes and doors, of one lab or of all.

`of(lab)` reads it from Docker, libvirt and the kernel; the value draws itself, as `.svg()` and as `.text()`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from virtlab.topology.graph import Edge, Node, Topology, Unseen

if TYPE_CHECKING:
    from virtlab.catalogue import Lab
    from virtlab.seat import Seat

__all__ = ["Edge", "Node", "Topology", "Unseen", "of"]


def of(lab: Lab | None, seat: Seat | None = None) -> Topology:
    """A lab's topology, with what it touches; without a lab, everything on this machine.

    Who asks again and again keeps a seat, because opening one is most of what a look costs, and takes
    a new one after something was unseen: a seat does not knock twice.
    """
    from virtlab.seat import Seat
    from virtlab.topology import read

    return read.read(seat or Seat(), lab)
