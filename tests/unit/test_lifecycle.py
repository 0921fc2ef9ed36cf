"""The verbs on the real machine: repeated, interrupted, in each other's way."""

import json
import os
import signal
import socket
import subprocess
import time

import pytest
from tests.unit.conftest import PLAY

pytestmark = pytest.mark.host

PREFIX = "unitcycle"
SLOW = PLAY.replace(
    "tasks: []",
    """tasks:
    - name: Something of the lab's
      ansible.builtin.command: docker volume create PREFIX-early
      changed_when: true
    - name: A while
      ansible.builtin.command: sleep 30
      changed_when: false""",
)


def docker(*words):
    return subprocess.run(["docker", *words], capture_output=True, text=True, check=True).stdout


def names(prefix=PREFIX):
    volumes = docker("volume", "ls", "--quiet", "--filter", f"name={prefix}").split()
    networks = docker("network", "ls", "--format", "{{.Name}}", "--filter", f"name={prefix}").split()
    containers = docker("ps", "--all", "--format", "{{.Names}}", "--filter", f"name={prefix}").split()
    return sorted(volumes + networks + containers)


@pytest.fixture
def cycle(kit):
    folder = kit.make("90-tiny", PREFIX)
    yield folder
    kit.lab("finish", "90")
    for kind, name in (
        ("network", f"{PREFIX}-net"),
        ("volume", f"{PREFIX}-data"),
        ("volume", f"{PREFIX}-early"),
    ):
        subprocess.run(["docker", kind, "rm", name], capture_output=True, check=False)


def test_from_start_to_finish_and_each_twice(kit, cycle):
    started = kit.lab("start", "90", "--json")
    assert (started.code, started.json["already"]) == (0, False), started.err
    assert (kit.root / "work/90-tiny").is_dir()
    assert (kit.data / "labs/90-tiny").stat().st_mode & 0o777 == 0o700
    again = kit.lab("start", "90", "--json")
    assert (again.code, again.json["already"], again.json["changed"]) == (0, True, 0)
    assert kit.lab("grade", "90").code == 1
    assert kit.lab("solve", "90", "--task", "net").code == 0
    one = kit.lab("grade", "90", "--json")
    assert (one.code, one.json["passed"], one.json["total"]) == (1, 1, 2)
    assert kit.lab("solve", "90").code == 0
    assert kit.lab("grade", "90").code == 0
    status = kit.lab("status", "90", "--json").json["labs"][0]
    assert (status["phase"], status["passed"], status["solved"]) == ("started", 2, ["net", "volume"])
    (kit.root / "work/90-tiny/notes.txt").write_text("mine")
    finished = kit.lab("finish", "90", "--json")
    assert finished.json["removed"] == [f"network {PREFIX}-net", f"volume {PREFIX}-data"]
    assert names() == []
    assert not (kit.data / "labs/90-tiny").exists()
    assert (kit.root / "work/90-tiny/notes.txt").read_text() == "mine"
    assert kit.lab("finish", "90", "--json").json["removed"] == []
    assert kit.lab("grade", "90").code == 2
    assert kit.lab("status", "90", "--json").json["labs"][0]["passed"] == 2


def test_what_was_there_before_is_told_and_left_alone(kit, cycle):
    docker("volume", "create", f"{PREFIX}-data")
    started = kit.lab("start", "90")
    assert f"volume {PREFIX}-data was here before the lab and is left alone" in started.out
    assert kit.lab("solve", "90").code == 0
    for _ in range(2):  # the second finish has forgotten nothing
        assert kit.lab("finish", "90").code == 0
        assert names() == [f"{PREFIX}-data"]


def test_finish_without_a_start_takes_only_what_has_the_label(kit, cycle):
    docker("volume", "create", f"{PREFIX}-data")
    docker("volume", "create", "--label", "virtlab.lab=90-tiny", f"{PREFIX}-early")
    done = kit.lab("finish", "90", "--json")
    assert done.json["removed"] == [f"volume {PREFIX}-early"]
    assert f"volume {PREFIX}-data" in done.json["notes"][0]
    assert names() == [f"{PREFIX}-data"]


def test_what_else_appeared_is_named_and_left_alone(kit, cycle):
    kit.lab("start", "90")
    docker("volume", "create", "unit-somebody-elses")
    try:
        assert "volume unit-somebody-elses" in kit.lab("finish", "90", "--json").json["left"]
    finally:
        docker("volume", "rm", "unit-somebody-elses")  # it is still there


@pytest.mark.parametrize("then", ["start", "finish"])
def test_kill_9_in_the_middle_of_a_start(kit, cycle, then):
    (cycle / "start.yml").write_text(SLOW.replace("PREFIX", PREFIX))
    process = kit.popen("start", "90")
    until = time.monotonic() + 20
    while names() != [f"{PREFIX}-early"] and time.monotonic() < until:
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert names() == [f"{PREFIX}-early"]
    assert json.loads((kit.data / "state/90-tiny.json").read_text())["phase"] == "starting"
    refused = kit.lab("grade", "90")
    assert refused.code == 2
    assert "did not get to the end of its start" in refused.err
    (cycle / "start.yml").write_text(PLAY)
    if then == "start":
        assert kit.lab("start", "90").code == 0
        assert kit.lab("grade", "90").code == 1
    assert kit.lab("finish", "90", "--json").json["removed"] == [f"volume {PREFIX}-early"]
    assert names() == []


def test_a_failing_playbook_is_named_and_can_be_finished(kit, cycle):
    (cycle / "start.yml").write_text(
        PLAY.replace(
            "tasks: []", "tasks:\n    - name: The bad one\n      ansible.builtin.fail: {msg: It is broken.}"
        )
    )
    done = kit.lab("start", "90", "--json")
    assert done.code == 4
    error = done.json["error"]
    assert "It is broken." in error["message"]
    assert error["task"] == "The bad one"
    assert error["log"].startswith(str(kit.data))
    assert kit.lab("finish", "90").code == 0
    assert kit.lab("status", "90", "--json").json["labs"][0]["phase"] == "finished"


def test_a_failing_finish_still_removes_what_it_can_and_is_told(kit, cycle):
    assert kit.lab("start", "90").code == 0
    assert kit.lab("solve", "90").code == 0
    (cycle / "finish.yml").write_text(
        PLAY.replace(
            "tasks: []", "tasks:\n    - name: The bad one\n      ansible.builtin.fail: {msg: It is broken.}"
        )
    )
    done = kit.lab("finish", "90")
    assert done.code == 4
    assert "It is broken." in done.err
    assert names() == []
    refused = kit.lab("start", "90")
    assert refused.code == 2
    assert "half finished" in refused.err
    (cycle / "finish.yml").write_text(PLAY)
    assert kit.lab("finish", "90").code == 0


def test_a_taken_port_is_named_and_can_be_moved(kit, cycle):
    with socket.create_server(("127.0.0.1", 8197)):
        refused = kit.lab("start", "90")
        assert refused.code == 3
        assert "Port 8197, which lab 90-tiny publishes as 'web', is taken by " in refused.err
        assert f"process {os.getpid()}." in refused.err
        assert "`lab start 90 --port web=9197`" in refused.err
        assert not (kit.data / "state/90-tiny.json").exists()
        moved = kit.lab("start", "90", "--port", "web=9197", "--json")
        assert moved.json["ports"] == {"web": 9197}
        assert kit.lab("show", "90", "--json").json["ports"] == {"web": 9197}
        assert kit.lab("start", "90", "--json").json["ports"] == {"web": 9197}
        other = kit.lab("start", "90", "--port", "web=9198")
        assert other.code == 2
        assert "its ports stay until it is finished" in other.err
    assert kit.lab("finish", "90").code == 0
    assert kit.lab("show", "90", "--json").json["ports"] == {"web": 8197}


@pytest.mark.parametrize(
    ("needs", "said"),
    [
        ("memory_mb: 99999999", "needs 99999999 MiB of free memory; "),
        ("disk_mb: 99999999", "needs 99999999 MiB of free disk space; "),
        ("images: [no-such-image]", "needs the image no-such-image"),
    ],
)
def test_what_is_missing_is_named_before_anything_is_changed(kit, cycle, needs, said):
    file = cycle / "lab.yml"
    file.write_text(file.read_text().replace("docker: true", f"docker: true, {needs}"))
    done = kit.lab("start", "90")
    assert done.code == 3
    assert said in done.err
    assert len(done.err.splitlines()) == 2
    assert not (kit.data / "state/90-tiny.json").exists()


def test_two_labs_side_by_side(kit, cycle):
    kit.make(
        "91-other",
        "unitother",
        lab_yml=(cycle / "lab.yml").read_text().replace(PREFIX, "unitother").replace("8197", "8198"),
    )
    try:
        for lab in ("90", "91"):
            assert kit.lab("start", lab).code == 0
            assert kit.lab("solve", lab).code == 0
        finished = kit.lab("finish", "90", "--json").json
        assert not [name for name in finished["removed"] + finished["left"] if "unitother" in name]
        assert kit.lab("grade", "91").code == 0
    finally:
        assert kit.lab("finish", "91").code == 0
    assert names("unitother") == []


def test_reset_starts_afresh(kit, cycle):
    kit.lab("start", "90", "--port", "web=9197")
    kit.lab("solve", "90")
    done = kit.lab("reset", "90", "--json")
    assert done.code == 0
    assert done.json["finished"]["removed"] == [f"network {PREFIX}-net", f"volume {PREFIX}-data"]
    assert done.json["started"]["ports"] == {"web": 9197}
    assert kit.lab("grade", "90").code == 1
