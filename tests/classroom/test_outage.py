"""In the middle of work the hub, a seat, or the host under it dies: what was there is there again."""

from __future__ import annotations

import json
import os
import signal
import time
import uuid
from pathlib import Path

import pytest
import seatlab
from classhub import until
from kvmhosts import KvmHost
from seathub import Student, hub_of, seat_of

from virtlab.hub import seats, warm
from virtlab.hub.hosts import Host

pytestmark = [pytest.mark.host, pytest.mark.usefixtures("seat_image")]
FOLDER = Path("/var/tmp/virtlab-outage")  # noqa: S108  (QEMU's user has to get there)
ON_DISK = 40  # seconds after which a guest's kernel has written what was saved: its own 30, and some
HOME = f"/home/{seatlab.USER}"


@pytest.fixture(scope="module")
def do():
    return seatlab.Loop()


@pytest.fixture(scope="module")
def kvm():
    with KvmHost(FOLDER, 1) as one:
        yield one


@pytest.fixture(scope="module")
def hosts(kvm, do):
    found = seatlab.digest()
    one = Host(seatlab.plan(found, hub=seatlab.HUB), seatlab.site(kvm))
    do(seatlab.ready(one, found))
    do(warm.make(one))
    return {kvm.name: one}


@pytest.fixture(scope="module")
def hub(kvm, hosts, tmp_path_factory):
    with hub_of(tmp_path_factory.mktemp("hub"), hosts[kvm.name].plan, [kvm]) as one:
        yield one


@pytest.fixture(scope="module")
def ada(hub):
    one = Student(hub, "s01")
    assert one.start()[-1].get("ready")
    until(one.answers, 60)
    one.token = hub.token("s01")
    return one


@pytest.fixture
def root(hosts, do, ada):
    def run(command):
        host, machine = seat_of(hosts, do, ada)
        return do(seats.execute(host, machine, command))[1].strip()

    return run


class Kernel:
    """What a student computes, through the hub's own address."""

    def __init__(self, student):
        self.student = student
        made = student.hub.api(f"user/{student.name}/api/kernels", student.token, "POST")
        assert made.status_code == 201, made.text
        self.identity = made.json()["id"]

    def __call__(self, code):
        import ssl

        import websocket

        hub, name = self.student.hub, self.student.name
        url = f"{hub.url.replace('https', 'wss')}/user/{name}/api/kernels/{self.identity}/channels"
        safe = {"cert_reqs": ssl.CERT_REQUIRED, "ca_certs": str(hub.ca)}
        page = websocket.create_connection(
            url, header=[f"Authorization: token {self.student.token}"], sslopt=safe, timeout=60
        )
        head = {"msg_id": uuid.uuid4().hex, "msg_type": "execute_request", "username": "", "session": "one",
                "date": "", "version": "5.3"}  # fmt: skip
        asked = {"code": code, "silent": False, "store_history": False, "user_expressions": {},
                 "allow_stdin": False}  # fmt: skip
        page.send(json.dumps({"header": head, "parent_header": {}, "metadata": {}, "content": asked,
                              "channel": "shell", "buffers": []}))  # fmt: skip
        try:
            while True:
                said = json.loads(page.recv())
                if said["parent_header"].get("msg_id") == head["msg_id"] and said["msg_type"] == "stream":
                    return said["content"]["text"].strip()
        finally:
            page.close()


def save(student, name, text):
    """As JupyterLab does."""
    answer = student.hub.api(
        f"user/{student.name}/api/contents/{name}", student.token, "PUT",
        json={"type": "file", "format": "text", "content": text},
    )  # fmt: skip
    assert answer.status_code in (200, 201), answer.text


def test_a_killed_hub_leaves_kernel_and_processes_alone(hub, ada, root):
    kernel = Kernel(ada)
    assert kernel("answer = 42; print('noted')") == "noted"
    root("systemd-run -q --unit=build sleep 3600")
    os.kill(hub.child("jupyterhub"), signal.SIGKILL)
    assert kernel("print(answer)") == "42", "the proxy still leads there"
    until(lambda: ada.is_on() and ada.answers(), 120)
    assert kernel("print(answer)") == "42"
    assert root("systemctl is-active build") == "active"


def test_all_of_the_hub_killed_at_once_is_no_more_than_a_pause(hub, ada, root):
    hub.stop(signal.SIGKILL)
    time.sleep(1)
    hub.start()
    until(lambda: ada.is_on() and ada.answers(), 120)
    assert root("systemctl is-active build") == "active"


def test_a_killed_libvirtd_leaves_the_seat_alone(kvm, ada, root):
    """Its guests go on without it, and are known again when it is back."""
    kvm.kill_libvirtd()
    assert ada.answers()
    time.sleep(10)
    assert ada.is_on()
    assert root("systemctl is-active build") == "active"


def test_a_killed_seat_has_what_was_saved(kvm, hosts, do, ada, root):
    save(ada, "notes.txt", "written in the middle of a lab")
    time.sleep(ON_DISK)
    _, machine = seat_of(hosts, do, ada)
    kvm.run("sh", "-c", f"kill -9 $(cat /run/libvirt/qemu/{machine.name}.pid)")
    until(lambda: not ada.is_on(), 120)
    assert ada.start()[-1].get("ready")
    assert root(f"cat {HOME}/notes.txt") == "written in the middle of a lab"


def test_stopped_and_started_again_it_has_its_files(hub, hosts, do, ada, root):
    save(ada, "more.txt", "and then one goes home")
    before = seat_of(hosts, do, ada)[1].identity
    hub.api(f"{ada.path}/server", ada.lab, "DELETE")
    until(lambda: not ada.is_on() and not seat_of(hosts, do, ada)[1].running, 180)
    assert ada.start()[-1].get("ready")
    assert seat_of(hosts, do, ada)[1].identity == before
    assert root(f"cat {HOME}/more.txt") == "and then one goes home"


def test_a_host_that_dies_and_comes_back_has_the_last_of_it(kvm, hosts, do, ada, root):
    """Like a power cut: nobody said goodbye, and the student waits until it is back."""
    save(ada, "last.txt", "just before the lights went out")
    time.sleep(ON_DISK)
    kvm.kill()
    until(lambda: not ada.is_on(), 240)
    said = ada.start()[-1]
    assert said.get("failed")
    assert "does not answer" in said["message"]
    kvm.up()
    assert ada.start()[-1].get("ready")
    assert root(f"cat {HOME}/last.txt {HOME}/notes.txt").startswith("just before the lights went out")


def test_nothing_is_left(hosts, kvm, do):
    for host in hosts.values():
        do(host.remove())
    assert "vlt" not in kvm.run("sh", "-c", "virsh list --all --name; ls /var/lib/virtlab")
