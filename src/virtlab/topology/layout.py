"""Where things go: Graphviz places boxes of known sizes in columns, and leads the lines between them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from virtlab.errors import MachineError
from virtlab.topology.words import either

Point = tuple[float, float]
PATIENCE = 20.0  # seconds; 40 boxes take a twentieth of one


@dataclass(frozen=True)
class Box:
    """Something with a size, in a column. `group`: the frame it is in."""

    id: str
    column: int
    width: float
    height: float
    group: str = ""


@dataclass(frozen=True)
class Line:
    """From a box to one further right; a group's line ends at its frame."""

    a: str
    b: str


@dataclass(frozen=True)
class Place:
    """The upper left corner and the size."""

    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> float:
        return self.y + self.height / 2


@dataclass(frozen=True)
class Layout:
    width: float
    height: float
    places: Mapping[str, Place]
    paths: Sequence[Sequence[Point]]  # of the lines in their order: a start, then three points a curve


def arrange(boxes: Sequence[Box], groups: Mapping[str, Point], lines: Sequence[Line]) -> Layout:
    """`groups`: the room each frame needs for its words."""
    program = shutil.which("dot")
    if program is None:
        raise MachineError(
            either("The drawing needs Graphviz, which is not installed.", "绘图需要 Graphviz，但尚未安装。"),
            do=either("Run `./lab up --only kvm_host`.", "请运行 `./lab up --only kvm_host`。"),
        )
    try:
        done = subprocess.run(
            [program, "-Tjson0"], input=_source(boxes, groups, lines), text=True,
            capture_output=True, check=True, timeout=PATIENCE,
        )  # fmt: skip
    except (subprocess.SubprocessError, OSError) as error:
        said = " ".join((getattr(error, "stderr", "") or str(error)).split())
        raise MachineError(
            either(f"Graphviz could not arrange the drawing: {said}.", f"Graphviz 无法完成布局：{said}。"),
            do=either("`lab topology` says the same in words.", "`lab topology` 会用文字说明同样的内容。"),
        ) from None
    return _read(json.loads(done.stdout), boxes, groups, lines)


def _source(boxes: Sequence[Box], groups: Mapping[str, Point], lines: Sequence[Line]) -> str:
    names = {box.id: f"n{number}" for number, box in enumerate(boxes)}
    columns = {column: f"c{place}" for place, column in enumerate(sorted({box.column for box in boxes}))}
    said = [
        "digraph { graph [rankdir=LR newrank=true compound=true nodesep=0.25 ranksep=0.6]",
        'node [shape=box fixedsize=true label=""] edge [dir=none]',
        *(f"{column} [width=0.01 height=0.01]" for column in columns.values()),
        f"{' -> '.join(columns.values())} [style=invis]",
    ]
    for number, (group, (width, height)) in enumerate(groups.items()):
        room = f'<TABLE FIXEDSIZE="TRUE" BORDER="0" WIDTH="{width:.0f}" HEIGHT="{height:.0f}">'
        said.append(f"subgraph cluster_{number} {{ margin=10 label=<{room}<TR><TD></TD></TR></TABLE>>")
        said += [_node(names[box.id], box) for box in boxes if box.group == group]
        said.append("}")
    said += [_node(names[box.id], box) for box in boxes if not box.group]
    for column, first in columns.items():
        said.append(
            f"{{ rank=same {first} {' '.join(names[box.id] for box in boxes if box.column == column)} }}"
        )
    heads = {box.group: names[box.id] for box in reversed(boxes) if box.group}
    frames = {group: f"cluster_{number}" for number, group in enumerate(groups)}
    for number, line in enumerate(lines):
        ends = [heads.get(end, names.get(end, "")) for end in (line.a, line.b)]
        cut = " ".join(
            f"{end}={frames[group]}"
            for end, group in (("ltail", line.a), ("lhead", line.b))
            if group in frames
        )
        said.append(f"{ends[0]} -> {ends[1]} [id=e{number} tailport=e headport=w {cut}]")
    return "\n".join([*said, "}"])


def _node(name: str, box: Box) -> str:
    return f"{name} [width={box.width / 72:.4f} height={box.height / 72:.4f}]"


def _read(
    said: dict[str, object], boxes: Sequence[Box], groups: Mapping[str, Point], lines: Sequence[Line]
) -> Layout:
    """Graphviz counts from the lower left, in points."""
    objects: list[dict[str, str]] = said["objects"]  # type: ignore[assignment]
    edges: list[dict[str, str]] = said.get("edges", [])  # type: ignore[assignment]
    height = float(str(said["bb"]).split(",")[3])
    by_name = {one["name"]: one for one in objects}
    places = {}
    for number, box in enumerate(boxes):
        x, y = map(float, by_name[f"n{number}"]["pos"].split(","))
        places[box.id] = Place(x - box.width / 2, height - y - box.height / 2, box.width, box.height)
    for number, group in enumerate(groups):
        left, bottom, right, top = map(float, by_name[f"cluster_{number}"]["bb"].split(","))
        places[group] = Place(left, height - top, right - left, top - bottom)
    curves = {edge["id"]: edge["pos"] for edge in edges if "id" in edge}
    paths = [
        [
            (float(x), height - float(y))
            for x, y in re.findall(r"(-?[\d.e+]+),(-?[\d.e+]+)", curves[f"e{number}"])
        ]
        for number in range(len(lines))
    ]
    return _trimmed(places, _plug(boxes, lines, paths, places))


def _plug(
    boxes: Sequence[Box], lines: Sequence[Line], paths: list[list[Point]], places: Mapping[str, Place]
) -> list[list[Point]]:
    """Each line gets a socket of its own, as near as can be to where it leads.

    Between neighbouring columns nothing is in the way; further on, Graphviz has found the way.
    """
    columns = {name: box.column for box in boxes for name in (box.id, box.group)}
    sides: dict[tuple[str, str], list[int]] = {}
    for number, line in enumerate(lines):
        sides.setdefault((line.a, "a"), []).append(number)
        sides.setdefault((line.b, "b"), []).append(number)
    heights: dict[tuple[int, str], float] = {}
    for (box, end), ending in sorted(sides.items(), key=lambda side: -places[side[0][0]].height):
        aims = []
        for number in ending:  # the taller box has chosen already
            far = (lines[number].b, "b") if end == "a" else (lines[number].a, "a")
            aims.append((heights.get((number, far[1]), places[far[0]].middle), number))
        aims.sort()
        for (_, number), height in zip(aims, _sockets([aim for aim, _ in aims], places[box]), strict=True):
            heights[number, end] = height
    drawn = []
    for number, (line, path) in enumerate(zip(lines, paths, strict=True)):
        start, to = heights[number, "a"], heights[number, "b"]
        if abs(columns[line.a] - columns[line.b]) == 1:
            left, right = path[0][0], path[-1][0]
            half = (left + right) / 2
            drawn.append([(left, start), (half, start), (half, to), (right, to)])
        else:
            up, down = start - path[0][1], to - path[-1][1]
            ends = {0: up, 1: up, len(path) - 2: down, len(path) - 1: down}
            drawn.append([(x, y + ends.get(place, 0)) for place, (x, y) in enumerate(path)])
    return drawn


def _sockets(aims: Sequence[float], box: Place) -> list[float]:
    """Heights along a box's side: in the order of the aims, near them, and never two in one place."""
    gap = min(14.0, (box.height - 16) / max(len(aims), 1))
    top, bottom = box.y + 8 + gap / 2, box.y + box.height - 8 - gap / 2
    found: list[float] = []
    for aim in aims:
        found.append(max(min(aim, bottom), top, found[-1] + gap if found else top))
    for place in range(len(found) - 1, -1, -1):
        found[place] = min(found[place], bottom - gap * (len(found) - 1 - place))
    return found


def _trimmed(places: Mapping[str, Place], paths: Sequence[Sequence[Point]]) -> Layout:
    """The drawing begins at 0, 0 and is as large as what is in it."""
    if not places:
        return Layout(0, 0, {}, [])
    xs = [x for one in places.values() for x in (one.x, one.x + one.width)] + [
        x for path in paths for x, _ in path
    ]
    ys = [y for one in places.values() for y in (one.y, one.y + one.height)] + [
        y for path in paths for _, y in path
    ]
    left, top = min(xs), min(ys)
    return Layout(
        max(xs) - left,
        max(ys) - top,
        {box: Place(one.x - left, one.y - top, one.width, one.height) for box, one in places.items()},
        [[(x - left, y - top) for x, y in path] for path in paths],
    )
