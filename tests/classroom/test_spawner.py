"""The hub with seats on two KVM hosts: what students meet when a seat, the hub or a host dies under them."""

from __future__ import annotations

import os
import signal
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
import seatlab
from classhub import until
from kvmhosts import KvmHost
from seathub import Student, hub_of, seat_of

from virtlab.hub import machines, rescue, warm
from virtlab.hub.hosts import Host

pytestmark = [pytest.mark.host, pytest.mark.usefixtures("seat_image")]
FOLDER = Path("/var/tmp/virtlab-spawner")  # noqa: S108  (QEMU's user has to get there)


@pytest.fixture(scope="module")
def do():
    return seatlab.Loop()


@pytest.fixture(scope="module")
def kvm():
    """Two hosts, by name."""
    with ExitStack() as stack:
        both = [stack.enter_context(KvmHost(FOLDER, number)) for number in (1, 2)]
        yield {one.name: one for one in both}


@pytest.fixture(scope="module")
def hosts(kvm, do):
    """The first has a template, the second has none: there seats boot cold."""
    found = seatlab.digest()
    plan = seatlab.plan(found, hub=seatlab.HUB)
    both = {name: Host(plan, seatlab.site(one)) for name, one in kvm.items()}
    do.together(*(seatlab.ready(one, found) for one in both.values()))
    do(warm.make(both["kvm1"]))
    return both


@pytest.fixture(scope="module")
def hub(kvm, hosts, tmp_path_factory):
    folder = tmp_path_factory.mktemp("hub")
    plan = next(iter(hosts.values())).plan
    with hub_of(
        folder, plan, kvm.values(), rescue=str(folder / "rescue"), rescue_minutes=0.0
    ) as one:
        yield one


@pytest.fixture(scope="module")
def ada(hub):
    one = Student(hub, "s01")
    one.said = one.start()
    return one


def test_a_student_sees_what_happens_and_gets_a_seat(ada, hosts, do):
    assert ada.said[-1].get("ready"), ada.said
    messages = [one["message"] for one in ada.said if "message" in one]
    assert "waiting for JupyterLab" in messages
    assert any("正在等待 JupyterLab" in one.get("html_message", "") for one in ada.said)
    until(ada.answers, 60)
    host, _ = seat_of(hosts, do, ada)
    assert host.name in {"kvm1", "kvm2"}


def test_a_killed_hub_changes_nothing_for_the_seat(hub, ada, hosts, do):
    _, before = seat_of(hosts, do, ada)
    os.kill(hub.child("jupyterhub"), signal.SIGKILL)
    until(lambda: ada.is_on() and ada.answers(), 120)
    assert seat_of(hosts, do, ada)[1].identity == before.identity
    assert ada.is_on()


def test_a_killed_seat_is_noticed_and_its_files_are_there_again(hub, ada, hosts, kvm, do):
    from virtlab.hub import seats

    host, machine = seat_of(hosts, do, ada)
    do(seats.execute(host, machine, f"echo mine >/home/{host.plan.user}/kept; sync"))
    kvm[host.name].run("sh", "-c", f"kill -9 $(cat /run/libvirt/qemu/{machine.name}.pid)")
    until(lambda: not ada.is_on(), 120)
    assert ada.start()[-1].get("ready")
    host, machine = seat_of(hosts, do, ada)
    assert do(seats.execute(host, machine, f"cat /home/{host.plan.user}/kept"))[1] == "mine\n"


def test_a_host_that_dies_is_noticed_and_work_goes_on_elsewhere(hub, ada, hosts, kvm, do):
    from virtlab.hub import seats

    home, machine = seat_of(hosts, do, ada)
    folder = str(hub.folder / "rescue")
    do(seats.execute(home, machine, f"echo saved >/home/{home.plan.user}/saved; sync"))
    written = time.time()
    until(lambda: rescue._about(folder, "s01").get("made", 0) > written, 300)
    kvm[home.name].kill()
    until(lambda: not ada.is_on(), 180)
    said = ada.start()[-1]
    assert said.get("failed")
    assert f"elsewhere={home.name}" in said["html_message"]
    assert "的快照" in said["html_message"]
    said = ada.start(elsewhere=home.name)
    assert said[-1].get("ready"), said
    left = {name: host for name, host in hosts.items() if name != home.name}
    host, machine = seat_of(left, do, ada)
    assert do(seats.execute(host, machine, f"cat /home/{host.plan.user}/saved"))[1] == "saved\n"


def test_the_host_comes_back_and_the_older_machine_is_set_aside(hub, ada, hosts, kvm, do):
    dead = next(one for one in kvm.values() if one._process is None)
    dead.up()
    hub.api(f"{ada.path}/server", ada.lab, "DELETE")
    until(lambda: not ada.is_on(), 120)
    assert ada.start()[-1].get("ready")
    found = {one.owner for host in hosts.values() for one in do(machines.everyone(host))}
    assert "s01" in found
    assert any(one.startswith("s01--before-") for one in found)


def test_nothing_is_left(hosts, kvm, do):
    for name, host in hosts.items():
        do(host.remove())
        assert "vlt" not in kvm[name].run("sh", "-c", "virsh list --all --name; ls /var/lib/virtlab")
