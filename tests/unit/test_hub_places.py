"""Who gets the last place, when many ask in the same moment."""

import asyncio
from dataclasses import replace

import pytest

from virtlab.errors import MachineError
from virtlab.hub import describe, places
from virtlab.hub.machines import Machine
from virtlab.hub.placement import Host, SeatSize
from virtlab.hub.places import Full, Places
from virtlab.hub.plan import Plan, Site
from virtlab.hub.queue import Queue

SIZE = SeatSize(1024, 2, 8192)
PLAN = Plan("cs101", SIZE)


class OneHost:
    """A host that answers after a moment, as a real one does; it has room for a few."""

    name = "kvm1"

    def __init__(self, seats, closed=False):
        self.seats, self.closed = seats, closed

    async def look(self):
        await asyncio.sleep(0.001)
        empty = Host(self.name, "qemu:///system", 64000, 60000, 900000, 64, 0.0, 0)
        if self.closed:
            return replace(empty, closed=True)
        return empty.with_seats(empty.room(SIZE) - self.seats, SIZE)


class NoPool:
    async def waiting(self):
        await asyncio.sleep(0.001)
        return 0


@pytest.fixture
def made(tmp_path, monkeypatch):
    monkeypatch.setattr(places, "ASK_AGAIN", 0.01)

    def make(seats):
        site = Site("kvm1", "qemu:///system", "10.150.1.0/24")
        made = Places(PLAN, [site], queue=Queue(tmp_path / "queue"))
        made.hosts, made.pools = {"kvm1": OneHost(seats)}, {"kvm1": NoPool()}
        return made

    return make


def test_the_last_place_is_given_once(made):
    async def rush():
        all_of = made(2)
        asked = [all_of.room(f"s{n}", [], 0.005, lambda _: None) for n in range(6)]
        return await asyncio.gather(*asked, return_exceptions=True), all_of

    got, after = asyncio.run(rush())
    assert [type(one) for one in got].count(OneHost) == 2
    assert [type(one) for one in got].count(Full) == 4
    assert len(after.queue) == 0  # they were told, and no longer wait


def test_a_hub_that_stops_keeps_the_places(made, tmp_path):
    async def stop():
        all_of = made(0)
        waiting = asyncio.create_task(all_of.room("ada", [], 1, lambda _: None))
        while not all_of.queue.place("ada"):
            await asyncio.sleep(0.01)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)

    asyncio.run(stop())
    assert Queue(tmp_path / "queue").place("ada") == 1


def test_nobody_is_sent_to_a_host_that_is_emptied(made):
    """Not even where warm machines wait. Whose own machine is there is told that it moves."""
    all_of = made(5)
    all_of.hosts["kvm1"].closed = True

    class Waiting:
        async def waiting(self):
            return [1]

    all_of.pools["kvm1"] = Waiting()
    with pytest.raises(Full):
        asyncio.run(all_of.room("ada", [], 0.001, lambda _: None))
    with pytest.raises(MachineError, match="moves to another") as told:
        asyncio.run(all_of.room_at("ada", all_of.hosts["kvm1"], 1, lambda _: None))
    assert "again" in told.value.do
    assert all_of.queue.place("ada") == 0, "an error is no place in the queue"


@pytest.mark.parametrize(("identity", "aside"), [("one", []), ("another", ["kvm1"])])
def test_a_machine_that_is_just_being_moved_is_not_set_aside(made, monkeypatch, identity, aside):
    """For a moment it is known on both hosts; an older one of a host that came back is another machine."""
    label = describe.Label("cs101", "ada")
    there = {"kvm1": Machine("kvm1", "cs101-010", "one", False, "", label),
             "kvm2": Machine("kvm2", "cs101-012", identity, False, "", label)}  # fmt: skip
    done = []

    async def of(host, _owner):
        return there[host]

    async def set_aside(host, _machine):
        done.append(host)

    monkeypatch.setattr(places.machines, "of", of)
    monkeypatch.setattr(places.seats, "set_aside", set_aside)
    all_of = made(1)
    all_of.hosts = {"kvm1": "kvm1", "kvm2": "kvm2"}
    assert asyncio.run(all_of.find("ada", "kvm2")).machine == there["kvm2"]
    assert done == aside


def test_a_machine_that_has_moved_is_found_where_it_runs(made, monkeypatch):
    """The hub may not know yet, and what is left at its old home is off."""
    label = describe.Label("cs101", "ada")
    there = {"kvm1": Machine("kvm1", "cs101-010", "one", False, "", label),
             "kvm2": Machine("kvm2", "cs101-012", "one", True, "", label)}  # fmt: skip

    async def of(host, _owner):
        return there[host]

    monkeypatch.setattr(places.machines, "of", of)
    all_of = made(1)
    all_of.hosts = {"kvm1": "kvm1", "kvm2": "kvm2"}
    assert asyncio.run(all_of.find("ada", "kvm1")).machine == there["kvm2"]
