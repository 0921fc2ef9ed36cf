"""Where the seats of a host go that is emptied, and which host has one whose move was broken off."""

from dataclasses import replace

import pytest

from virtlab.hub import describe
from virtlab.hub.evacuate import Peer, assign
from virtlab.hub.machines import Machine
from virtlab.hub.move import whose
from virtlab.hub.placement import Host, SeatSize

SIZE = SeatSize(1024, 2, 8192)
EMPTY = Host("", "qemu:///system", 16384, 15000, 200_000, 16, 0.0, 0)


def seat(number, running=True):
    label = describe.Label("cs101", f"s{number:02d}")
    return Machine("kvm1", f"cs101-{number:03d}", f"id-{number}", running, "", label)


def peer(name, room=100, processor="intel", **more):
    """A host with room for so many seats that run."""
    host = replace(EMPTY, name=name, **more)
    return Peer(host.with_seats(max(0, host.room(SIZE) - room), SIZE), processor)


def where(seats, peers):
    return {one.name: there or why for one, there, why in assign(seats, "intel", peers, SIZE)}


def test_seats_are_spread_as_at_a_login():
    found = where([seat(number) for number in range(10, 14)], [peer("kvm2"), peer("kvm3")])
    assert sorted(found.values()) == ["kvm2", "kvm2", "kvm3", "kvm3"]


def test_no_more_go_anywhere_than_fit_and_the_others_are_named():
    found = where([seat(10), seat(11), seat(12)], [peer("kvm2", 1), peer("kvm3", 1)])
    assert sorted(found.values()) == ["kvm2", "kvm3", "no other host has room for it"]


def test_what_runs_goes_first_and_needs_the_same_processor():
    seats = [seat(10, running=False), seat(11)]
    (first, *_), *_ = assign(seats, "intel", [peer("kvm2")], SIZE)
    assert first == seats[1]
    found = where(seats, [peer("kvm2", processor="amd")])
    assert found["cs101-010"] == "kvm2", "a disk goes anywhere"
    assert "same processor" in found["cs101-011"]


def test_a_machine_that_is_off_needs_only_disk():
    full = peer("kvm2", 0)  # no memory for one more
    assert full.look.room(SIZE) == 0
    full = replace(full, look=replace(full.look, disk_free_mb=2 * SIZE.disk_mb + 2048))
    found = where([seat(number, running=False) for number in (10, 11, 12)], [full])
    assert list(found.values()) == ["kvm2", "kvm2", "no other host has room for its disk"]


@pytest.mark.parametrize("peers", [[], [peer("kvm2", closed=True)]])
def test_without_another_host_all_stay(peers):
    assert set(where([seat(10), seat(11, running=False)], peers).values()) == {
        "there is no other host that takes seats"
    }


@pytest.mark.parametrize(
    ("here", "there", "owner"),
    [
        ("running", "", "source"), ("off", "", "source"),
        ("running", "coming", "source"), ("off", "coming", "source"),
        ("paused", "coming", "source"),  # it stopped here for the last step, which nobody took
        ("running", "paused", ""), ("paused", "paused", ""),  # libvirt is at it, or still clears up
        ("paused", "running", "target"), ("off", "running", "target"), ("", "running", "target"),
        ("off", "off", "target"), ("paused", "off", "target"), ("", "off", "target"),
        ("running", "off", "source"),  # whoever runs has what was done last
    ],
)  # fmt: skip
def test_there_is_always_one_owner(here, there, owner):
    assert whose(here, there) == owner
