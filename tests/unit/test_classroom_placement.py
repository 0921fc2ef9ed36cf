"""Which host a seat goes to, how many fit, who waits: what must hold for any hosts, tried on many."""

import random
import time
from dataclasses import replace

import pytest

from virtlab.hub.capacity import capacity, total
from virtlab.hub.placement import Host, SeatSize, choose
from virtlab.hub.queue import Queue

SEAT = SeatSize(1024, 1, 8192)
BIG = Host(
    "a", "qemu:///system", memory_mb=32768, free_mb=30000, disk_free_mb=500_000, cpus=16, load=0.0, seats=0
)


def anything(seed: int) -> tuple[list[Host], SeatSize]:
    """Hosts and a seat size of any kind; some hosts are full, some are overloaded already."""
    draw = random.Random(seed)  # noqa: S311 (the same every time)
    hosts = []
    for number in range(draw.randint(1, 20)):
        memory = draw.choice([2048, 8192, 16384, 65536, 262144])
        hosts.append(
            Host(
                f"host{number:02}",
                "",
                memory,
                draw.randint(-500, memory),
                draw.randint(0, 400_000),
                draw.choice([1, 2, 8, 64]),
                draw.uniform(0, 100),
                draw.randint(0, 30),
                draw.random() < 0.3,
            )
        )
    seat = SeatSize(
        draw.choice([768, 1024, 2048, 4096]),
        draw.choice([1, 2, 4]),
        draw.choice([4096, 20480]),
        draw.choice([1.0, 4.0, 8.0]),
    )
    return hosts, seat


def place_all(hosts: list[Host], seat: SeatSize, most: int = 10_000) -> list[Host]:
    """Start seats until none fits; each counts at once, as with a hub that has them on their way."""
    by_name = {host.name: host for host in hosts}
    for _ in range(most):
        chosen = choose(by_name.values(), seat)
        if chosen is None:
            return list(by_name.values())
        by_name[chosen.name] = chosen.with_seats(1, seat)
    raise AssertionError("it never fills up")


@pytest.mark.parametrize("seed", range(60))
def test_nothing_is_promised_that_is_not_there(seed):
    hosts, seat = anything(seed)
    for before, after in zip(hosts, place_all(hosts, seat), strict=True):
        started = after.seats - before.seats
        if not started:
            continue
        assert started * seat.host_mb <= before.free_mb - before.reserve_mb
        assert started * seat.disk_mb <= before.disk_free_mb - before.disk_reserve_mb
        assert after.seats * seat.vcpus <= before.slots(seat)


@pytest.mark.parametrize("seed", range(60))
def test_as_many_are_placed_as_capacity_says(seed):
    hosts, seat = anything(seed)
    found = capacity(hosts, seat)
    assert sum(host.seats for host in place_all(hosts, seat)) == found.seats == total(hosts, seat)
    assert found.seats == found.running + sum(room.more for room in found.rooms)
    for room in found.rooms:
        assert room.more == max(0, room.limits[room.limit])


@pytest.mark.parametrize("count", [2, 3, 7, 20])
def test_equal_hosts_get_equally_many(count):
    hosts = [replace(BIG, name=f"host{number:02}") for number in range(count)]
    for seats in range(1, 4 * count):
        by_name = {host.name: host for host in hosts}
        for _ in range(seats):
            chosen = choose(by_name.values(), SEAT)
            by_name[chosen.name] = chosen.with_seats(1, SEAT)
        counts = [host.seats for host in by_name.values()]
        assert max(counts) - min(counts) <= 1


def test_the_larger_host_gets_more():
    small, large = BIG, replace(BIG, name="b", memory_mb=65536, free_mb=60000, cpus=32)
    by_name = {host.name: host for host in (small, large)}
    for _ in range(15):
        chosen = choose(by_name.values(), SEAT)
        by_name[chosen.name] = chosen.with_seats(1, SEAT)
    assert by_name["b"].seats == pytest.approx(10, abs=1)


def test_a_busy_host_is_spared_and_still_better_than_waiting():
    busy, idle = replace(BIG, load=40.0), replace(BIG, name="b", free_mb=20000)
    assert choose([busy, idle], SEAT) == idle
    assert choose([busy, replace(idle, free_mb=0)], SEAT) == busy


def test_the_order_of_the_hosts_does_not_matter():
    hosts, seat = anything(7)
    for seed in range(10):
        shuffled = hosts.copy()
        random.Random(seed).shuffle(shuffled)  # noqa: S311
        assert choose(shuffled, seat) == choose(hosts, seat)


@pytest.mark.parametrize("change", [{"free_mb": 1700}, {"disk_free_mb": 9000}, {"seats": 64}, {"cpus": 0}])
def test_a_host_without_room_is_not_chosen(change):
    full = replace(BIG, **change)
    assert full.room(SEAT) == 0
    assert choose([full], SEAT) is None
    assert choose([], SEAT) is None


def test_a_host_that_is_emptied_takes_nobody():
    assert BIG.room(SEAT) > 0
    assert replace(BIG, closed=True).room(SEAT) == 0
    assert choose([replace(BIG, closed=True)], SEAT) is None


def test_emulation_takes_twice_the_processors():
    assert replace(BIG, cpus=2, seats=0).limits(SEAT)["processors"] == 8
    assert replace(BIG, cpus=2, seats=0, emulated=True).limits(SEAT)["processors"] == 4


# How many fit


@pytest.mark.parametrize("seed", range(40))
def test_what_to_change_really_gives_more(seed):
    hosts, seat = anything(seed)
    now = total(hosts, seat)
    found = capacity(hosts, seat, now + 5)
    assert found.waiting == 5
    assert all(change.seats > now for change in found.changes)


def test_what_limits_is_named_and_what_to_change_fits_it():
    def told(**scarce):
        found = capacity([replace(BIG, **scarce)], SEAT, 30)
        return found.rooms[0].limit, found.seats, [(change.seats, change.what) for change in found.changes]

    assert told(free_mb=6000) == (
        "memory",
        3,
        [
            (54, "64 GiB more memory in a"),
            (47, "2 more hosts like a"),
        ],
    )
    assert told(cpus=1) == (
        "processors",
        4,
        [
            (8, "sharing 8 instead of 4: slower while all are at work"),
            (32, "7 more hosts like a"),
        ],
    )
    assert told(disk_free_mb=20_000) == (
        "disk",
        2,
        [
            (22, "200 GiB more free disk on a"),
            (30, "14 more hosts like a"),
        ],
    )


def test_enough_is_enough():
    found = capacity([BIG], SEAT, 10)
    assert (found.waiting, found.changes) == (0, ())
    assert found.as_dict()["hosts"][0]["limit"] == "memory"


def test_no_host_is_no_seat():
    assert capacity([], SEAT, 3).as_dict()["waiting"] == 3


# Who waits


def test_first_come_first_served():
    queue = Queue()
    assert [queue.admit(name, 0, 1.0) for name in "abc"] == [1, 2, 3]
    assert queue.admit("c", 1, 2.0) == 3  # one seat: it is a's
    assert queue.admit("a", 1, 3.0) == 0
    assert [queue.place(name) for name in "abc"] == [0, 1, 2]
    assert queue.admit("new", 1, 4.0) == 3  # who comes later does not overtake
    assert queue.admit("c", 2, 5.0) == 0  # two seats: the second may go as well


def test_nobody_waits_when_there_is_room():
    queue = Queue()
    assert queue.admit("a", 1) == 0
    assert (len(queue), queue.place("a"), queue.as_dict()) == (0, 0, [])


def test_who_no_longer_asks_loses_the_place():
    queue = Queue(patience=60)
    queue.admit("gone", 0, 0.0)
    assert queue.admit("here", 0, 30.0) == 2
    assert queue.admit("here", 0, 61.0) == 1
    assert queue.admit("gone", 0, 62.0) == 2
    queue.leave("here")
    queue.leave("here")
    assert queue.place("gone") == 1


def test_places_outlive_the_hub(tmp_path):
    file = tmp_path / "hub/queue.json"
    first = Queue(file)
    for name in ("a", "王小明", "c"):
        first.admit(name, 0)
    first.leave("a")
    again = Queue(file)
    assert [one["name"] for one in again.as_dict()] == ["王小明", "c"]
    assert again.admit("c", 0) == 2
    assert file.stat().st_mode & 0o077 == 0
    assert again.admit("王小明", 1) == 0
    assert Queue(file).place("c") == 1


def test_after_a_restart_everybody_has_time_to_come_back(tmp_path):
    Queue(tmp_path / "q/queue.json", patience=60).admit("a", 0, time.time() - 3600)
    again = Queue(tmp_path / "q/queue.json", patience=60)
    assert again.admit("b", 0) == 2
    assert again.as_dict()[0]["since"] < time.time() - 3000  # waiting since then, for whoever looks


@pytest.mark.parametrize("content", ["", "{", "[[1]]", "[1]", "null", '{"a": 1}'])
def test_a_damaged_file_costs_the_places_and_not_the_hub(tmp_path, content, caplog):
    file = tmp_path / "queue.json"
    file.write_text(content)
    assert len(Queue(file)) == 0
    assert str(file) in caplog.text


@pytest.mark.parametrize("seed", range(20))
def test_no_order_of_asking_lets_somebody_overtake(seed):
    """Whoever goes in was among the first `room` of those who were waiting."""
    draw = random.Random(seed)  # noqa: S311 (the same every time)
    queue, line = Queue(patience=1e9), []
    for now in range(300):
        name, room = str(draw.randint(1, 25)), draw.choice([0, 0, 0, 1, 2])
        if draw.random() < 0.05:
            queue.leave(name)
            line = [one for one in line if one != name]
            continue
        if name not in line:
            line.append(name)
        place = queue.admit(name, room, float(now))
        if place == 0:
            assert line.index(name) < room
            line.remove(name)
        else:
            assert line[place - 1] == name
            assert place > room
        assert [one["name"] for one in queue.as_dict()] == line


def test_a_seat_is_not_made_smaller_than_its_labs_need():
    scarce = replace(BIG, free_mb=12_000)
    assert capacity([scarce], SEAT, 9, smallest_mb=768).changes[0].what == "seats of 768 MiB instead of 1024"
    assert "seats of" not in capacity([scarce], SEAT, 9, smallest_mb=1024).changes[0].what


def test_smaller_in_both_when_neither_alone_is_enough():
    """The example of docs/instructors.md."""
    host = Host("kvm1", "", 64205, 61645, 830_464, 16, 0.3, 0)
    found = capacity([host], SeatSize(1536, 2, 10240), 36, 1100)
    assert (found.seats, found.rooms[0].limit, found.waiting) == (32, "memory", 4)
    assert [(change.seats, change.what) for change in found.changes] == [
        (38, "seats of 1280 MiB and 1 processor"),
        (63, "1 more host like kvm1"),
    ]
