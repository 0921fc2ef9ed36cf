"""The instructor's verbs on a running class: a real hub, seats on a KVM host, the command line beside it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import seatlab
from classhub import running, until
from kvmhosts import KvmHost
from seathub import Student, hub_of, seat_of

from virtlab.classroom.front import Front
from virtlab.errors import MachineError, UsageError
from virtlab.hub import disks, machines, seats, warm
from virtlab.hub.hosts import Host

pytestmark = pytest.mark.host
FOLDER = Path("/var/tmp/virtlab-verbs")  # noqa: S108  (QEMU's user has to get there)


class Lab:
    """`lab classroom` as on the hub's machine."""

    def __init__(self, state, hub):
        self.state = state
        (state / "host.d").mkdir(parents=True)
        (state / "host.d/hub.json").write_text(json.dumps({"class": str(hub.file)}))
        (state / "classroom").mkdir()
        plan = hub.said["config"].get("SeatSpawner", {"plan": {}, "sites": []})
        record = {"inventory": "my-class", "plan": plan["plan"], "sites": plan["sites"]}
        (state / "classroom/record.json").write_text(json.dumps(record))

    def __call__(self, *words, code=0):
        done = subprocess.run(
            [sys.executable, "-P", "-m", "virtlab", "classroom", words[0], "--json", *words[1:]],
            env=os.environ | {"VIRTLAB_STATE": str(self.state)}, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=600, check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        return json.loads(done.stdout)

    def seat(self, name, *words, code=0):
        return next(one for one in self(*words, code=code)["seats"] if one["seat"] == name)


# --- hub and board, with seats that are processes ---------------------------------------------------------
@pytest.fixture(scope="module")
def simple(tmp_path_factory):
    with running(tmp_path_factory.mktemp("hub")) as one:
        yield one


def test_a_server_is_stopped_and_the_hub_knows(simple):
    front = Front(simple.data)
    front.stop("s02")  # never logged in
    simple.start_seat("s01")
    front.stop("s01")
    about = simple.api("hub/api/users/s01", simple.data.secret("lab")).json()
    assert (about["server"], about["pending"]) == (None, None)
    front.stop("s01")


def test_a_message_is_from_an_instructor_and_for_those_who_are_named(simple, tmp_path):
    lab = Lab(tmp_path / "state", simple)
    assert lab("message", "--seat", "S01", "Ten minutes to go.") == {
        "sent": 1,
        "to": ["s01"],
        "from": "teacher",
    }
    assert lab("message", "--all", "Come back.")["sent"] == 3

    def messages(student):
        found = simple.api(f"services/board/api/students/{student}", simple.data.secret("lab"))
        return {(one["from"], one["text"]) for one in found.json()["messages"]}

    assert messages("s01") == {("teacher", "Ten minutes to go."), ("teacher", "Come back.")}
    assert messages("s02") == {("teacher", "Come back.")}
    said = lab("message", "--from", "mallory", "Boo.", code=2)["error"]
    assert "Nobody who teaches this class is called mallory" in said["message"]
    assert "s02 (李明)" in lab("message", "--seat", "s2", "Boo.", code=2)["error"]["do"]


def test_a_hub_that_is_away_or_refuses_is_said(simple, tmp_path):
    from dataclasses import replace

    with pytest.raises(MachineError, match=r"does not answer at http://127\.0\.0\.1:1: nothing"):
        Front(replace(simple.data, hub_port=1)).stop("s01")
    stranger = Front(replace(simple.data, folder=tmp_path))  # with a token that the hub does not know
    with pytest.raises(MachineError, match="The hub refused"):
        stranger.stop("s01")
    with pytest.raises(UsageError, match="There is no student teacher"):
        Front(simple.data).send(["teacher"], "Hello.", None)


# --- seats that are machines ------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def do():
    return seatlab.Loop()


@pytest.fixture(scope="module")
def kvm(seat_image):
    with KvmHost(FOLDER, 1) as one:
        yield one


@pytest.fixture(scope="module")
def host(kvm, do):
    found = seatlab.digest()
    one = Host(seatlab.plan(found, hub=seatlab.HUB), seatlab.site(kvm))
    do(seatlab.ready(one, found))
    do(warm.make(one))
    yield one
    do(one.remove())


@pytest.fixture(scope="module")
def hub(kvm, host, tmp_path_factory):
    folder = tmp_path_factory.mktemp("hub")
    with hub_of(folder, host.plan, [kvm]) as one:
        yield one


@pytest.fixture(scope="module")
def lab(hub, tmp_path_factory):
    return Lab(tmp_path_factory.mktemp("lab") / "state", hub)


@pytest.fixture(scope="module")
def ada(hub):
    one = Student(hub, "s01")
    assert one.start()[-1].get("ready")
    return one


@pytest.fixture(scope="module")
def ming(hub, host, do):
    """Has a machine, which is off."""
    do(machines.create(host, "s02"))
    return Student(hub, "s02")


def test_a_program_runs_as_the_student(lab, ada, ming, host):
    home = f"/home/{host.plan.user}"
    said = lab("exec", "--", "sh", "-c", 'id -un; pwd; echo "$VIRTLAB_LEARNER $1"', "sh", "two  words; $HOME")
    assert (said["done"], said["skipped"], said["failed"]) == (1, 2, 0)
    about = {one["seat"]: one for one in said["seats"]}
    assert about["s01"]["output"].splitlines() == [host.plan.user, home, "s01 two  words; $HOME"]
    assert about["s02"]["message"] == "is off"
    assert about["s03"]["message"] == "has no machine yet"
    assert lab.seat("s01", "exec", "--root", "--", "id", "-un")["output"] == "root\n"
    assert lab.seat("s01", "exec", "--seat", "s01", "--", "ls", "/nowhere", code=1)["exit_code"] == 2
    assert "None of these seats runs" in lab("exec", "--seat", "s02", "--", "id", code=3)["error"]["message"]


def test_a_program_that_does_not_end_is_ended_with_its_children(lab, ada):
    for root in ([], ["--root"]):
        long = ["sh", "-c", "sleep 987 & sleep 986"]
        said = lab.seat("s01", "exec", *root, "--time", "3", "--seat", "s01", "--", *long, code=1)
        assert said["message"] == "ended after 3 seconds"
        assert lab.seat("s01", "exec", "--root", "--seat", "s01", "--", "pgrep", "-f", "^sleep 98", code=1)


def test_snapshots_of_all_while_they_run_and_of_one_that_is_off(lab, ada, ming, host, do):
    home = f"/home/{host.plan.user}"
    lab("exec", "--", "sh", "-c", f"echo mine >{home}/kept; sync")
    said = lab("snapshot", "--all", "before")
    assert (said["done"], said["skipped"]) == (2, 1)
    assert ada.answers(), "it went on"
    lab("exec", "--", "sh", "-c", f"echo more >{home}/more; rm {home}/kept; sync")
    assert lab("snapshot", "--all", "before")["skipped"] == 3
    assert "already" in lab.seat("s01", "snapshot", "s01", "before", code=2)["message"]
    assert "hub's own copies" in lab.seat("s01", "snapshot", "s01", "rescue", code=2)["message"]


def test_two_snapshots_at_once_wait_for_each_other(host, ada, do):
    """As when the hub copies a disk for the day a host dies, and an instructor takes a snapshot."""
    machine = do(machines.of(host, "s01"))
    base = do(host.link("look", lambda one: one.storageVolLookupByPath(host.path(host.plan.image)).info()))
    do.together(*(disks.snapshot(host, machine, f"both{n}") for n in range(2)))
    assert {"both0", "both1"} <= set(do(disks.snapshots(host, machine.name)))
    assert not do(machines.of(host, "s01")).disk.endswith(disks.LIVE)
    after = do(host.link("look", lambda one: one.storageVolLookupByPath(host.path(host.plan.image)).info()))
    assert after == base, "nothing was written into the image of all"


def test_back_to_a_snapshot_and_the_hub_knows(lab, ada, host, do):
    said = lab("rollback", "s01", "before", code=2)["error"]
    assert "All that was done since then is lost" in said["message"]
    assert "stopped first, with whatever is at work there: s01" in said["message"]
    assert (
        "There are: before, both0, both1."
        in lab.seat("s01", "rollback", "s01", "never", "--yes", code=2)["do"]
    )
    assert ada.answers(), "nothing was done yet"

    assert lab.seat("s01", "rollback", "s01", "before", "--yes")["stopped"] is True
    assert not ada.is_on()
    assert not do(machines.of(host, "s01")).running
    assert ada.start()[-1].get("ready")
    until(ada.answers, 60)
    files = do(seats.execute(host, seat_of({"kvm1": host}, do, ada)[1], f"ls /home/{host.plan.user}"))[
        1
    ].split()
    assert "kept" in files
    assert "more" not in files


def test_a_new_machine_also_for_one_that_the_hub_knows_nothing_of(lab, ada, ming, host, do):
    machine, kept = do(machines.of(host, "s02")), do(disks.snapshots(host, do(machines.of(host, "s02")).name))
    do(machines.switch_on(host, machine))  # its guest runs, and its server was never started by the hub
    assert lab.seat("s02", "reset", "s02", "--yes")["stopped"] is True
    after = do(machines.of(host, "s02"))
    assert not after.running
    assert after.disk != machine.disk
    assert do(disks.snapshots(host, after.name)) == kept

    assert ada.is_on()
    assert lab.seat("s01", "reset", "s01", "--yes")["stopped"] is True
    assert not ada.is_on()
    after = do(machines.of(host, "s01"))
    assert (after.running, after.label.base) == (False, host.plan.image)


def test_a_host_that_is_away_is_said(lab, ada, kvm):
    kvm.kill()
    said = lab("exec", "--", "id", code=3)
    assert all("may be on kvm1, which does not answer" in one["message"] for one in said["seats"])
    kvm.up()
