"""Warm seats: filled before the class, taken by who comes, replaced behind them."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import seatlab
from classhub import until
from kvmhosts import KvmHost
from seathub import Student, hub_of, seat_of

from virtlab.hub import seats, warm
from virtlab.hub.hosts import Host

pytestmark = [pytest.mark.host, pytest.mark.usefixtures("seat_image")]
FOLDER = Path("/var/tmp/virtlab-pool")  # noqa: S108  (QEMU's user has to get there)


@pytest.fixture(scope="module")
def do():
    return seatlab.Loop()


@pytest.fixture(scope="module")
def kvm():
    with KvmHost(FOLDER, 1) as one:
        yield one


@pytest.fixture(scope="module")
def host(kvm, do):
    """With one warm seat, before anybody comes."""
    found = seatlab.digest()
    one = Host(seatlab.plan(found, hub=seatlab.HUB, vcpus=1), seatlab.site(kvm))
    do(seatlab.ready(one, found))
    do(warm.make(one))
    assert do(warm.Pool(one, seats.wake).fill(1)) == 1
    return one


@pytest.fixture(scope="module")
def hub(kvm, host, tmp_path_factory):
    with hub_of(tmp_path_factory.mktemp("hub"), host.plan, [kvm], warm=1) as one:
        yield one


def waiting(host, do):
    return [one.name for one in do(warm.Pool(host, seats.wake).waiting())]


def test_who_comes_gets_the_warm_one_and_another_takes_its_place(hub, kvm, host, do):
    (ready,) = waiting(host, do)
    ada = Student(hub, "s01")
    begin = time.monotonic()
    said = ada.start()
    quick = time.monotonic() - begin
    assert said[-1].get("ready"), said
    assert "your machine is warm already" in [one.get("message") for one in said]
    assert seat_of({kvm.name: host}, do, ada)[1].name == ready
    begin = time.monotonic()
    until(lambda: waiting(host, do), 120)
    print(f"taken in {quick:.1f} s, replaced {time.monotonic() - begin:.1f} s later")  # noqa: T201
    assert waiting(host, do) != [ready]


def test_the_next_gets_that_one(hub, kvm, host, do):
    (ready,) = waiting(host, do)
    ben = Student(hub, "s02")
    assert ben.start()[-1].get("ready")
    assert seat_of({kvm.name: host}, do, ben)[1].name == ready
    until(lambda: waiting(host, do), 120)


def test_nobody_elses_things_are_in_it(hub, kvm, host, do):
    """Each has a name, keys and random numbers of its own, though all come from one saved memory."""
    asked = "hostname; cat /etc/machine-id /etc/ssh/ssh_host_ed25519_key.pub; od -An -N16 -tx1 /dev/urandom"
    said = []
    for name in ("s01", "s02"):
        found, machine = seat_of({kvm.name: host}, do, Student(hub, name))
        said.append(do(seats.execute(found, machine, asked))[1].splitlines())
    assert all(one != other for one, other in zip(*said, strict=True))


def test_nothing_is_left(hub, kvm, host, do):
    hub.stop()  # it would fill the pool again
    do(host.remove())
    assert "vlt" not in kvm.run("sh", "-c", "virsh list --all --name; ls /var/lib/virtlab")
