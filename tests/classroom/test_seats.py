"""Seats for real: guests on a KVM host of the tests' own, woken from a template and booted cold.

Everything that seats are promised is tried from a root shell inside them. Under emulation this takes minutes.
"""

from __future__ import annotations

import re
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest
import seatlab
from kvmhosts import KvmHost
from seatlab import HUB_PORT, OTHER_PORT, PORT, Listener

from virtlab.errors import UsageError
from virtlab.hub import disks, machines, seats, warm
from virtlab.hub.hosts import Host

pytestmark = [pytest.mark.host, pytest.mark.usefixtures("seat_image")]
FOLDER = Path("/var/tmp/virtlab-seats")  # noqa: S108  (QEMU's user has to get there)


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
    one = Host(seatlab.plan(found, hub=seatlab.HUB), seatlab.site(kvm))
    do(seatlab.ready(one, found))
    do(warm.make(one))
    yield one
    do(one.remove())


@pytest.fixture(scope="module")
def ada(host, kvm, do):
    return do(seats.start(host, "ada", seatlab.server(kvm, "ada")))


@pytest.fixture(scope="module")
def bob(host, kvm, do):
    return do(seats.start(host, "bob", seatlab.server(kvm, "bob")))


@pytest.fixture
def root(host, do):
    """Run a shell command as root in a seat: its output; what it exits with is the last line."""

    def run(machine, command, patience=90):
        code, out, errors = do(seats.execute(host, machine, command, patience))
        return code, (out + errors).strip()

    return run


STATE = """
virsh net-dumpxml vlt; virsh pool-dumpxml vlt; virsh nwfilter-dumpxml vlt-seat
ls /var/lib/virtlab/vlt; pgrep dnsmasq
"""
LEFT = """
virsh list --all --name; virsh net-list --all --name; virsh pool-list --all --name
virsh nwfilter-list | grep vlt
ls /var/lib/virtlab; ip -br link | grep -E 'vl|vnet'; ebtables -t nat -L | grep vnet
pgrep -a qemu-system; pgrep -a dnsmasq
"""
# From an address and port of the seat's choice to another; tells when somebody answers.
FROM = (
    'timeout 8 python3 -c "import socket; s=socket.socket(); s.settimeout(5); '
    "s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(('{source}', {from_port})); "
    "s.connect(('{address}', {port})); print('REA' + 'CHED')\""
)


def test_a_second_time_changes_nothing(host, kvm, do):
    def state():
        return re.sub(r"<(capacity|allocation|available).*", "", kvm.run("sh", "-c", STATE))

    before = state()
    do(seatlab.ready(host, seatlab.digest()))
    do(warm.make(host))
    assert state() == before


def test_a_seat_is_warm_and_answers(host, kvm, ada):
    assert ada.label.base.startswith("template-")
    import requests

    said = requests.get(f"http://{ada.address}:{PORT}/user/ada/api", timeout=30)
    assert said.status_code == 200
    assert "version" in said.json()


def test_two_seats_are_told_apart(ada, bob, root):
    asked = (
        "hostname; cat /etc/machine-id /proc/sys/kernel/random/boot_id /etc/ssh/ssh_host_ed25519_key.pub; "
        "head -c 16 /dev/urandom | od -An -tx1; cat /sys/class/net/eth0/address; date +%s"
    )
    first, second = (root(one, asked)[1].splitlines() for one in (ada, bob))
    assert first[0] == "ada"
    assert second[0] == "bob"
    for one, other in zip(first[:-1], second[:-1], strict=True):
        assert one != other
    assert abs(int(first[-1]) - time.time()) < 60
    assert first[3].split()[1] == ada.label.host_key.split()[1]


def test_tokens_are_nowhere_but_inside(kvm, host, do, ada, root):
    """Not in the description, not in a process list, here or there, not in libvirt's logs."""
    text = do(host.link("read", lambda connection: connection.lookupByName(ada.name).XMLDesc(0)))
    seen = [text, kvm.run("ps", "axww", "-o", "args"), kvm.log(), root(ada, "ps axww -o args")[1]]
    seen += [kvm.run("sh", "-c", "cat /var/log/libvirt/qemu/*.log")]
    for place in seen:
        assert "secret-of-ada" not in place
    assert "PRIVATE KEY" not in "".join(seen)


REACH = "timeout 4 bash -c '</dev/tcp/{address}/{port}' 2>&1 && echo REACHED"


def test_what_a_seat_may_reach(kvm, ada, root):
    assert "REACHED" in root(ada, REACH.format(address=kvm.hub, port=HUB_PORT))[1]
    gateway = f"10.150.{kvm.number}.1"
    assert "REACHED" in root(ada, REACH.format(address=gateway, port=53))[1]


def test_neighbours_cannot_be_reached(kvm, ada, bob, root):
    """Neither directly nor by a route through the gateway, and not by anything but TCP either."""
    gateway = f"10.150.{kvm.number}.1"
    for port in (PORT, 22):
        assert "REACHED" not in root(ada, REACH.format(address=bob.address, port=port))[1]
    root(ada, f"ip route add {bob.address}/32 via {gateway}")
    for port in (PORT, 22):
        assert "REACHED" not in root(ada, REACH.format(address=bob.address, port=port))[1]
    code, said = root(ada, f"ping -c 2 -W 2 {bob.address}")
    assert code != 0, said
    root(ada, f"ip route del {bob.address}/32 via {gateway}")
    assert "REACHED" in root(ada, REACH.format(address=gateway, port=53))[1]


def test_the_hosts_own_services_cannot_be_reached(kvm, ada, root):
    """At no address of the host or the hub, not even from the port that the student's server answers from."""
    gateway = f"10.150.{kvm.number}.1"
    listen = "import socket,time\ns=[socket.create_server(('0.0.0.0',p)) for p in (22,%d)]\ntime.sleep(600)"
    pid = kvm.run("sh", "-c", f'python3 -c "{listen % OTHER_PORT}" >/dev/null 2>&1 & echo $!').strip()
    kvm.run("ip", "link", "add", "docker9", "type", "bridge")
    kvm.run("ip", "address", "add", "172.17.0.1/16", "dev", "docker9")
    kvm.run("ip", "link", "set", "docker9", "up")
    try:
        with Listener(kvm.hub, OTHER_PORT) as other:
            for address, port in ((gateway, 22), (gateway, OTHER_PORT), (kvm.hub, OTHER_PORT),
                                  (f"{kvm.prefix}.2", OTHER_PORT), ("172.17.0.1", OTHER_PORT)):  # fmt: skip
                assert "REACHED" not in root(ada, REACH.format(address=address, port=port))[1], (
                    address,
                    port,
                )
            # The way that answers to the hub take must not be one for new connections.
            root(ada, f"systemctl stop virtlab-seat; fuser -k {PORT}/tcp")
            for address in (gateway, kvm.hub):
                there = {"source": "", "from_port": PORT, "address": address, "port": OTHER_PORT}
                assert "REACHED" not in root(ada, FROM.format(**there))[1], address
            assert not other.came
    finally:
        root(ada, "systemctl start virtlab-seat")
        kvm.run("kill", pid)
        kvm.run("ip", "link", "delete", "docker9")


def test_a_false_address_gets_nowhere(kvm, ada, bob, root):
    there = {"source": bob.address, "from_port": 0, "address": kvm.hub, "port": HUB_PORT}
    root(ada, f"ip address add {bob.address}/24 dev eth0")
    assert "REACHED" not in root(ada, FROM.format(**there))[1]
    root(ada, f"ip address del {bob.address}/24 dev eth0")
    reach = REACH.format(address=kvm.hub, port=HUB_PORT)
    assert "REACHED" in root(ada, reach)[1]
    was = root(ada, "cat /sys/class/net/eth0/address")[1]
    assert "REACHED" not in root(ada, f"ip link set eth0 address 52:54:00:66:66:66; sleep 1; {reach}")[1]
    root(ada, f"ip link set eth0 address {was}; networkctl reconfigure eth0; sleep 3")
    assert "REACHED" in root(ada, reach)[1]


def test_a_seat_that_eats_memory_and_forks_hurts_only_itself(host, do, ada, bob, root):
    """Whatever happens in there, the neighbour answers, and so does the seat itself afterwards."""
    bomb = "systemd-run -q --unit=bomb -p TasksMax=infinity sh -c 'f() { f | f & }; f' ; sleep 3"
    eater = 'systemd-run -q --unit=eater python3 -c "x=[bytearray(1<<20) for _ in iter(int, 1)]"'
    root(ada, f"{eater}; {bomb}", 120)
    begin = time.monotonic()
    assert do(seats.knock(bob.address, PORT))
    assert time.monotonic() - begin < 2
    do(machines.switch_off(host, ada.name, 0))
    assert do(seats.poll(host, bob)) == ""


def test_a_full_disk_is_only_the_seats_own(host, do, bob, root):
    size = host.plan.size.disk_mb
    code, said = root(bob, f"fallocate -l {size * 2}M /var/tmp/big 2>/dev/null; df -m / | tail -1", 120)
    assert code == 0
    assert int(said.split()[-5]) <= size, said
    root(bob, "rm -f /var/tmp/big")


def test_files_survive_stop_and_a_cold_start(host, kvm, do, bob, root):
    root(bob, f"echo mine >/home/{host.plan.user}/kept; sync")
    do(seats.stop(host, bob))
    assert "is off" in do(seats.poll(host, bob))
    again = do(seats.start(host, "bob", seatlab.server(kvm, "bob")))
    assert again.name == bob.name
    assert again.address == bob.address
    assert root(again, f"cat /home/{host.plan.user}/kept; hostname")[1].split() == ["mine", "bob"]


def test_a_killed_seat_is_noticed_and_comes_back(host, kvm, do, bob, root):
    root(bob, f"echo more >/home/{host.plan.user}/more; sync")
    pid = int(kvm.run("sh", "-c", f"cat /run/libvirt/qemu/{bob.name}.pid").strip())
    kvm.run("kill", f"-{signal.SIGKILL.value}", str(pid))
    end = time.monotonic() + 10
    while not do(seats.poll(host, bob)):
        assert time.monotonic() < end
    again = do(seats.start(host, "bob", seatlab.server(kvm, "bob")))
    assert root(again, f"cat /home/{host.plan.user}/more")[1] == "more"


def test_snapshot_rollback_reset(host, kvm, do, bob, root):
    bob = do(machines.get(host, bob.name))
    do(disks.snapshot(host, bob, "before"))
    about = kvm.run("qemu-img", "info", f"/var/lib/virtlab/vlt/{bob.name}.before.snapshot")
    assert "backing file" in about, "a snapshot holds what was changed, not the image"
    with pytest.raises(UsageError, match="already"):
        do(disks.snapshot(host, bob, "before"))
    root(bob, f"rm /home/{host.plan.user}/more; echo x >/home/{host.plan.user}/after; sync")
    do(seats.stop(host, bob))
    with pytest.raises(UsageError, match="no snapshot never") as wrong:
        do(disks.rollback(host, bob, "never"))
    assert "before" in wrong.value.do
    do(disks.rollback(host, bob, "before"))
    bob = do(seats.start(host, "bob", seatlab.server(kvm, "bob")))
    files = root(bob, f"ls /home/{host.plan.user}")[1].split()
    assert "more" in files
    assert "after" not in files
    do(machines.switch_off(host, bob.name, 0))
    do(disks.reset(host, bob))
    assert do(machines.get(host, bob.name)).label.base == host.plan.image
    assert do(disks.snapshots(host, bob.name)) == ["before"]
    do(machines.remove(host, bob))
    assert bob.name not in kvm.run("ls", "/var/lib/virtlab/vlt")


def test_the_pool_is_filled_taken_and_refilled(host, kvm, do):
    pool = warm.Pool(host, seats.wake)
    assert do(pool.fill(1)) == 1
    first = do(pool.waiting())[0]
    begin = time.monotonic()
    eve = do(seats.start(host, "eve", seatlab.server(kvm, "eve"), pool=pool))
    quick = time.monotonic() - begin
    assert eve.name == first.name
    assert do(pool.waiting()) == []
    begin = time.monotonic()
    assert do(pool.fill(1)) == 1
    assert quick < time.monotonic() - begin, "a seat from the pool is there sooner than a new copy"
    do(pool.give_way())
    assert do(pool.waiting()) == []


def test_without_a_fitting_template_a_seat_boots(host, kvm, do):
    """Another size is another template: none is there, so it boots cold, from the image."""
    other = Host(
        replace(host.plan, size=replace(host.plan.size, memory_mb=host.plan.size.memory_mb + 64)), host.site
    )
    assert do(warm.find(other)) is None
    said = []
    mia = do(
        seats.start(other, "mia", seatlab.server(kvm, "mia"), tell=lambda phrase, **_: said.append(phrase))
    )
    assert mia.label.base == host.plan.image
    assert any("booting" in one for one in said)


def test_nothing_is_left(host, kvm, do):
    do(host.remove())
    left = kvm.run("sh", "-c", LEFT)
    assert left.split() == [], left
