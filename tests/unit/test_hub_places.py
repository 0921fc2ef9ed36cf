"""Who gets the last place, when many ask in the same moment."""

import asyncio

import pytest

from virtlab.hub import places
from virtlab.hub.placement import Host, SeatSize
from virtlab.hub.places import Full, Places
from virtlab.hub.plan import Plan, Site
from virtlab.hub.queue import Queue

SIZE = SeatSize(1024, 2, 8192)
PLAN = Plan("cs101", SIZE)


class OneHost:
    """A host that answers after a moment, as a real one does; it has room for a few."""

    name = "kvm1"

    def __init__(self, seats):
        self.seats = seats

    async def look(self):
        await asyncio.sleep(0.001)
        empty = Host(self.name, "qemu:///system", 64000, 60000, 900000, 64, 0.0, 0)
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
        waiting = asyncio.create_task(made(0).room("ada", [], 1, lambda _: None))
        await asyncio.sleep(0.05)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)

    asyncio.run(stop())
    assert Queue(tmp_path / "queue").place("ada") == 1
