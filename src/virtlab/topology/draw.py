"""The graph as SVG: boxes with words in them, in JupyterLab's colours, or else light or dark.

Two accents: one for networks and their cables, one for doors. Both only repeat what shapes and words say.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from xml.sax.saxutils import escape

from virtlab.language import current
from virtlab.render import width
from virtlab.topology import shapes, words
from virtlab.topology.graph import Edge, Node, Topology
from virtlab.topology.layout import Box, Layout, Line, Place, Point, arrange
from virtlab.topology.text import text
from virtlab.topology.words import either

# From left to right: in through a door, to a container, on to its networks, and out.
COLUMNS = {"volume": 0, "disk": 0, "door": 0, "network": 2, "machine": 3}  # and 1 for what runs
LEADING, SMALL = 21.0, 18.0  # the heights of a name and of another line
PAD, GAP, MARGIN = 12.0, 18.0, 12.0  # inside a box, between boxes, around all
REPEAT = 420  # a long bar says its name again
LONGEST = 40  # columns of a line; the whole is in the box's title
CABLES = 12  # up to so many containers and guests, the ends of their cables are written down


@dataclass(frozen=True)
class Drawn:
    """A node with its words, measured."""

    node: Node
    name: str
    lines: tuple[tuple[str, str], ...]  # (class, words)
    width: float
    height: float


def svg(topology: Topology) -> str:
    if not topology.nodes:
        return _page(topology, {}, Layout(LONGEST * 8, 2 * LEADING, {}, []))
    drawn = {node.id: _measure(topology, node) for node in topology.nodes}
    drawn = _bars(topology, _even(drawn))
    columns = _columns(topology)
    boxes = [
        Box(one.node.id, columns[one.node.id], one.width, one.height, one.node.inside)
        for one in drawn.values()
        if one.node.kind != "pod"
    ]
    groups = {one.node.id: (one.width, one.height) for one in drawn.values() if one.node.kind == "pod"}
    ends = [sorted((edge.a, edge.b), key=lambda id: columns[id]) for edge in topology.edges]
    return _page(topology, drawn, arrange(boxes, groups, [Line(left, right) for left, right in ends]))


def _columns(topology: Topology) -> dict[str, int]:
    """A disk that others build upon stands to their left."""

    def depth(node: Node) -> int:
        return max((depth(topology.node(edge.a)) + 1 for edge in topology.to(node, "builds")), default=0)

    return {node.id: COLUMNS.get(node.kind, 1) - depth(node) for node in topology.nodes}


def _measure(topology: Topology, node: Node) -> Drawn:
    lines = [("dim", words.kind(node))] if node.kind != "machine" else []  # its name says it
    cables = len(topology.of_kind("container", "guest")) <= CABLES
    if node.kind in ("container", "guest", "pod"):
        for edge in topology.to(node, "attached"):
            lines.append(("", words.attachment(topology, edge)))
            if cables and words.cable(edge):
                lines.append(("dim", words.cable(edge)))
        attached = {words.attachment(topology, edge) for edge in topology.to(node, "attached")}
        lines += [("", line) for line in words.details(topology, node) if line not in attached]
    elif node.kind in ("volume", "disk"):
        lines += [("", line) for line in words.details(topology, node)]
        users = topology.to(node, "mounted")
        who = [f"{topology.node(edge.a).name}: " if len(users) > 1 else "" for edge in users]
        lines += [("dim", f"{name}{words.mount(edge)}") for name, edge in zip(who, users, strict=True)]
    else:
        lines += [("", line) for line in words.details(topology, node)]
    lines += [("odd", said) for said in (words.state(node), words.owner(topology, node)) if said]
    short = [(style, _short(line)) for style, line in lines]
    name = _short(words.name(node))
    wide = max([width(name) * 9.0, *(width(line) * 7.1 for _, line in short)]) + 2 * PAD
    wide += {"door": 26, "network": 14, "guest": 8}.get(node.kind, 0)
    tall = LEADING + SMALL * len(short) + 2 * PAD - 4
    tall += {"volume": 14, "disk": 14, "pod": -16}.get(node.kind, 0)
    return Drawn(node, name, tuple(short), max(wide, 120), tall)


def _even(drawn: dict[str, Drawn]) -> dict[str, Drawn]:
    """One width a column: columns look like columns. A pod is as wide as what is in it, or wider."""
    widest: dict[int, float] = {}
    for one in drawn.values():
        if one.node.kind != "pod":
            column = COLUMNS.get(one.node.kind, 1)
            widest[column] = max(widest.get(column, 0), one.width)
    return {
        id: one if one.node.kind == "pod" else replace(one, width=widest[COLUMNS.get(one.node.kind, 1)])
        for id, one in drawn.items()
    }


def _bars(topology: Topology, drawn: dict[str, Drawn]) -> dict[str, Drawn]:
    """A network is as tall as what hangs on it: cables are short. Who is on several counts in part."""

    def tall(id: str) -> float:
        inside = [one for one in drawn.values() if one.node.inside == id]
        return drawn[id].height + GAP + sum(one.height + GAP for one in inside)

    bars = {}
    for node in topology.of_kind("network"):
        members = [topology.node(edge.b) for edge in topology.from_(node, "attached")]
        needed = sum(tall(one.id) / len(topology.to(one, "attached")) for one in members) - GAP
        bars[node.id] = replace(drawn[node.id], height=max(drawn[node.id].height, needed))
    return drawn | bars


def _short(line: str) -> str:
    if width(line) <= LONGEST:
        return line
    while width(line) > LONGEST - 1:
        line = line[:-1]
    return f"{line}…"


def _page(topology: Topology, drawn: dict[str, Drawn], layout: Layout) -> str:
    wide, tall = layout.width + 2 * MARGIN, layout.height + 2 * MARGIN
    told = text(topology)
    title, _, rest = told.partition("\n")
    mark = hashlib.sha256(told.encode()).hexdigest()[:8]  # several drawings may be on one page
    frames = [one for one in drawn.values() if one.node.kind == "pod"]
    others = [one for one in drawn.values() if one.node.kind != "pod"]
    body = [
        *(_group(topology, one, layout.places[one.node.id]) for one in frames),
        *(_line(topology, edge, path, mark) for edge, path in zip(topology.edges, layout.paths, strict=True)),
        *(_group(topology, one, layout.places[one.node.id]) for one in others),
    ]
    if not drawn:
        body.append(
            f'<text class="name" x="{PAD:.0f}" y="{LEADING:.0f}">{escape(words.summary(topology))}</text>'
        )
    size = f'width="{wide:.0f}" height="{tall:.0f}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="vt" viewBox="0 0 {wide:.0f} {tall:.0f}" {size} '
        f'style="max-width:100%;min-width:{wide * 0.7:.0f}px;height:auto" '
        f'lang="{current()}" role="img" aria-labelledby="vt-t-{mark}" aria-describedby="vt-d-{mark}">\n'
        f'<title id="vt-t-{mark}">{escape(title)}</title>\n'
        f'<desc id="vt-d-{mark}">{escape(rest)}</desc>\n'
        f"<style>{shapes.STYLE}</style>\n"
        f'<defs><marker id="vt-a-{mark}" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="4.5" '
        'markerHeight="4.5" orient="auto"><path class="filldoor" d="M0 0L10 5L0 10z"/></marker></defs>\n'
        f'<rect class="paper" {size}/>\n'
        f'<g transform="translate({MARGIN:.0f} {MARGIN:.0f})">\n' + "\n".join(body) + "\n</g></svg>\n"
    )


def _line(topology: Topology, edge: Edge, path: Sequence[Point], mark: str) -> str:
    start, *rest = path
    curves = " ".join(f"{x:.1f} {y:.1f}" for x, y in rest)
    hollow = " hollow" if edge["planned"] or edge["lost"] else ""
    arrow = f' marker-end="url(#vt-a-{mark})"' if edge.kind == "leads" else ""
    ends = f"{words.name(topology.node(edge.a))} – {words.name(topology.node(edge.b))}"
    said = {
        "attached": f"{words.attachment(topology, edge)} {words.cable(edge)}",
        "leads": either(f"to port {edge['port']}", f"通向 {edge['port']} 端口"),
        "mounted": words.mount(edge),
    }.get(edge.kind, "")
    return (
        f'<path class="line {edge.kind}{hollow}"{arrow} d="M{start[0]:.1f} {start[1]:.1f}C{curves}">'
        f"<title>{escape(f'{ends} {said}'.strip())}</title></path>"
    )


def _group(topology: Topology, one: Drawn, place: Place) -> str:
    node = one.node
    left = PAD + {"door": 26, "network": 13}.get(node.kind, 0)
    top = PAD + (10 if node.kind in ("volume", "disk") else 0)
    texts = [f'<text class="name" x="{left:.0f}" y="{top + 12:.0f}">{escape(one.name)}</text>']
    for number, (style, line) in enumerate(one.lines):
        y = top + 12 + LEADING + SMALL * number - 1
        texts.append(f'<text class="{style}" x="{left:.0f}" y="{y:.0f}">{escape(line)}</text>')
    for y in range(REPEAT, int(place.height) - 30, REPEAT) if node.kind == "network" else ():
        texts.append(
            f'<text class="name" x="{left:.0f}" y="{y}" aria-hidden="true">{escape(one.name)}</text>'
        )
    known = [words.name(node), words.kind(node), *words.details(topology, node), words.state(node)]
    title = ", ".join(filter(None, [*known, words.owner(topology, node)]))
    return (
        f'<g transform="translate({place.x:.1f} {place.y:.1f})"><title>{escape(title)}</title>'
        f"{shapes.shape(node, place, is_other=node.owner != topology.lab)}{''.join(texts)}</g>"
    )
