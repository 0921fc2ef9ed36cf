"""How the class of this hub is: hub, hosts, seats, who waits. It changes nothing."""

from __future__ import annotations

import argparse
from typing import Any

from virtlab import render
from virtlab.errors import Exit
from virtlab.render import Style, table

DOWN = "The class is down. The disks of {count} students are kept; `lab classroom up` finds them again."


def configure(_: argparse.ArgumentParser) -> None:
    pass


def run(_: argparse.Namespace) -> render.Result:
    import asyncio

    from virtlab.classroom import record, state

    of = record.load()
    found = asyncio.run(state.hosts(of))
    seats = [one for host in found for one in host.machines]
    front = state.hub()
    data: dict[str, Any] = {
        "inventory": of.inventory, "down": of.is_down, "hub": front,
        "hosts": [one.as_dict() for one in found], "seats": seats, "queue": state.queue(),
        "warm": sum(one.warm for one in found),
    }  # fmt: skip
    away = [one for one in found if one.why]
    well = not away and (front["up"] or of.is_down)

    def draw(style: Style) -> str:
        if of.is_down:
            said = DOWN.format(count=sum(bool(one["owner"]) for one in seats))
            return "\n\n".join(filter(None, [said, _hosts(data["hosts"], style), _seats(seats, style)]))
        parts = [
            _hub(front, style),
            _hosts(data["hosts"], style),
            _seats(seats, style),
            _queue(data["queue"]),
        ]
        return "\n\n".join(filter(None, parts))

    return render.Result(data, draw, Exit.OK if well else Exit.MACHINE)


def _hub(front: dict[str, Any], style: Style) -> str:
    if front["up"]:
        return f"{style.paint('The hub is up:', 'good')} {front['url']}"
    return style.paint(f"The hub does not answer: {front['why']}. `lab classroom up` starts it.", "bad")


def _hosts(found: list[dict[str, Any]], style: Style) -> str:
    rows, notes = [], []
    for one in found:
        if one["why"]:
            rows.append((one["host"], "-", "-", "-", style.paint("no answer", "bad")))
            notes.append(f"{one['host']}: {one['why']}")
            continue
        state = "closed: being emptied" if one["closed"] else "open"
        rows.append((one["host"], str(one["seats"]), str(one["warm"]), str(one["free"]), state))
    return "\n".join([table(rows, style, ("host", "seats on", "warm", "free", "state")), *notes])


def _seats(seats: list[dict[str, Any]], style: Style) -> str:
    rows = [
        (one["owner"] or "-", one["state"], one["host"], one["address"], one["seat"],
         ", ".join(one["snapshots"]) or "-")
        for one in sorted(seats, key=lambda one: (not one["owner"], one["owner"], one["seat"]))
    ]  # fmt: skip
    head = ("student", "state", "host", "address", "machine", "snapshots")
    return table(rows, style, head) if rows else "Nobody has a seat yet."


def _queue(waiting: list[dict[str, Any]]) -> str:
    return "\n".join(f"{one['place']:>4}. in the queue: {one['name']}" for one in waiting)
