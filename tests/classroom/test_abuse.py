"""From a root shell in one seat everything is tried that could take the host from the others; one of them
is asked all the while.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest
import seatlab
from kvmhosts import KvmHost
from seatlab import HUB_PORT, PORT

from virtlab.hub import machines, seats, warm
from virtlab.hub.hosts import Host

pytestmark = [pytest.mark.host, pytest.mark.usefixtures("seat_image")]
FOLDER = Path("/var/tmp/virtlab-abuse")  # noqa: S108  (QEMU's user has to get there)
CONNECTIONS = 100
PATIENCE = 5.0  # seconds for a page, emulated, while the neighbour burns a processor

EAT = 'python3 -c "x=[bytearray(1<<20) for _ in iter(int, 1)]"'
FORK = "f() { f | f & }; f"
FILL = "cat /dev/zero >/var/tmp/fill; cat /dev/zero >/root/fill; sleep 600"
FLOOD = """python3 -c "
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setblocking(False)
end = time.time() + 30
while time.time() < end:
    for port in range(1024, 65535):
        for where in ('{gateway}', '{hub}', '{neighbour}', '255.255.255.255'):
            try:
                s.sendto(b'x' * 1400, (where, port))
            except OSError:
                pass
"
"""
CONNECT = """timeout 60 python3 -c "
import socket, time
kept = []
for _ in range({count}):
    s = socket.socket()
    s.setblocking(False)
    try:
        s.connect(('{address}', {port}))
    except OSError:
        pass
    kept.append(s)
time.sleep(10)
"
"""


@pytest.fixture(scope="module")
def do():
    return seatlab.Loop()


@pytest.fixture(scope="module")
def kvm():
    with KvmHost(FOLDER, 1) as one:
        yield one


@pytest.fixture(scope="module")
def hub(kvm):
    with seatlab.Hub(kvm.hub) as one:
        yield one
        one.shutdown()


@pytest.fixture(scope="module")
def host(kvm, hub, do):
    found = seatlab.digest()
    plan = seatlab.plan(found, hub=seatlab.HUB, vcpus=1)
    one = Host(replace(plan, connections=CONNECTIONS), seatlab.site(kvm))
    do(seatlab.ready(one, found))
    do(warm.make(one))
    yield one
    do(one.remove())


@pytest.fixture(scope="module")
def bob(host, kvm, do):
    """The neighbour."""
    return do(seats.start(host, "bob", seatlab.server(kvm, "bob")))


@pytest.fixture(scope="module")
def ada(host, kvm, do):
    return do(seats.start(host, "ada", seatlab.server(kvm, "ada")))


@pytest.fixture
def abuse(host, do, ada):
    """Begin something in ada's seat that goes on."""

    def begin(command):
        unit = f"abuse-{time.monotonic_ns()}"
        quoted = command.replace("'", "'\\''")
        begun = f"systemd-run -q --unit={unit} -p TasksMax=infinity sh -c '{quoted}'"
        do(seats.execute(host, ada, begun, 90))
        return unit

    return begin


def the_neighbour_answers(do, bob, seconds=15.0):
    """All the time, within a few seconds each; how long it took at worst."""
    worst, end = 0.0, time.monotonic() + seconds
    while time.monotonic() < end:
        begin = time.monotonic()
        assert do(seats.knock(bob.address, PORT))
        worst = max(worst, time.monotonic() - begin)
        time.sleep(0.5)
    assert worst < PATIENCE
    print(f"the neighbour answered within {worst:.2f} s")  # noqa: T201


def end(host, do, ada, unit):
    do(seats.execute(host, ada, f"systemctl kill -s KILL {unit}; systemctl reset-failed {unit}", 90))


def test_a_flood_of_datagrams(host, kvm, do, ada, bob, abuse):  # noqa: PLR0917
    gateway = f"10.150.{kvm.number}.1"
    unit = abuse(FLOOD.format(gateway=gateway, hub=kvm.hub, neighbour=bob.address))
    the_neighbour_answers(do, bob)
    end(host, do, ada, unit)


def test_more_connections_than_one_may_have(kvm, do, ada, bob, abuse):
    """They go to the hub, the one place where they are let through; the host's table has room for all."""
    def known():
        """Connections that the host keeps track of."""
        return int(kvm.run("cat", "/proc/sys/net/netfilter/nf_conntrack_count"))

    before = known()
    abuse(CONNECT.format(count=4 * CONNECTIONS, address=kvm.hub, port=HUB_PORT))
    the_neighbour_answers(do, bob, 10)
    assert known() - before <= CONNECTIONS + 50


def test_a_full_disk(host, do, ada, bob, abuse):
    unit = abuse(FILL)
    the_neighbour_answers(do, bob, 30)
    code, _, _ = do(seats.execute(host, bob, "dd if=/dev/zero of=/var/tmp/mine bs=1M count=20 && sync", 90))
    assert code == 0, "there is room for the neighbour's files"
    size = do(host.link("look", lambda c: c.storageVolLookupByPath(ada.disk).info()))
    assert size[2] <= (host.plan.size.disk_mb + 64) << 20
    end(host, do, ada, unit)


def test_memory_is_eaten_and_processes_are_forked_without_end(host, kvm, do, ada, bob, abuse):  # noqa: PLR0917
    abuse(f"{EAT} & {FORK}")
    the_neighbour_answers(do, bob, 20)
    pid = kvm.run("cat", f"/run/libvirt/qemu/{ada.name}.pid").strip()
    rss = int(kvm.run("awk", "/VmRSS/ {print $2}", f"/proc/{pid}/status")) // 1024
    assert rss <= host.plan.size.memory_mb + machines.SLACK_MB
    assert do(host.look()).seats == 2


def test_the_abuser_is_switched_off_and_starts_again(host, kvm, do, ada, bob):
    do(machines.switch_off(host, ada.name, 0))
    assert do(seats.poll(host, bob)) == ""
    again = do(seats.start(host, "ada", seatlab.server(kvm, "ada")))
    assert do(seats.knock(again.address, PORT))
