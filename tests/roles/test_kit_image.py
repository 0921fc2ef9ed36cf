"""The lab host as a disk: what can go wrong with its build, in a cache of its own. It takes ten minutes to
build and several to boot under emulation: both are with what uses them, `lab test --vagrant`."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from converge import Converged

ROOT = Path(__file__).resolve().parents[2]
PLAYBOOK = [Path(sys.executable).with_name("ansible-playbook"), "tests/roles/kit_image.yml"]

pytestmark = pytest.mark.host


class Role:
    def __init__(self, folder):
        self.cache, self.log = folder / "cache", folder / "log"
        self.disk = self.cache / "kit.qcow2"
        self.variables = {"kit_image_cache": str(self.cache), "kit_image_volume": self.disk.name,
                          "kit_image_log": str(self.log)}

    def command(self, *more, **variables):
        return [*PLAYBOOK, "-e", json.dumps(self.variables | variables), *more]

    def run(self, *more, **variables):
        command = self.command(*more, **variables)
        return Converged(
            subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
        )


@pytest.fixture
def role(tmp_path):
    one = Role(tmp_path)
    yield one
    for pid in builders(one.cache):
        os.killpg(pid, signal.SIGKILL)


def builders(cache):
    """Process groups: each build is a session of its own."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(cache / "build-guest-image") in path.read_bytes().decode(errors="replace").split("\0"):
                found.add(os.getpgid(int(path.parent.name)))
        except OSError:
            continue
    return found


def begin(role):
    """Until the build is at work; then Ansible is killed."""
    with role.log.with_name("said").open("a") as said:
        running = subprocess.Popen(role.command(), cwd=ROOT, stdout=said, stderr=said, start_new_session=True)
        seen = role.log.read_text() if role.log.exists() else ""
        until = time.monotonic() + 60
        while not (role.log.exists() and "collecting packages" in role.log.read_text().removeprefix(seen)):
            assert time.monotonic() < until, said.name
            time.sleep(0.2)
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()


def test_check_mode_makes_nothing(role):
    assert role.run("--check").changed == 1
    assert not role.cache.exists()


def test_a_machine_that_is_no_lab_host_is_told_what_to_do(role, tmp_path):
    refused = role.run(virtlab_state_dir=str(tmp_path))
    assert not refused.ok
    assert "Run `./lab up`" in refused.output


def test_without_room_nothing_is_begun(role):
    role.cache.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", role.cache], check=True)
    try:
        refused = role.run()
        assert not refused.ok
        assert "GB free; the disk takes" in refused.output
        assert not list(role.cache.iterdir())
    finally:
        subprocess.run(["umount", role.cache], check=True)


def test_a_build_goes_on_without_ansible_and_begins_anew_when_it_was_killed(role):
    begin(role)
    (group,) = builders(role.cache)             # Ansible is dead, it is not
    refused = role.run(kit_image_state="absent")
    assert not refused.ok
    assert "is being built" in refused.output
    os.killpg(group, signal.SIGKILL)
    time.sleep(1)
    assert not role.disk.exists()
    (role.cache / "build/left").write_text("of the one that was killed")
    begin(role)
    assert builders(role.cache)
    assert not (role.cache / "build/left").exists()


def test_the_undo(role):
    role.cache.mkdir()
    role.disk.write_text("a disk")
    assert role.run("--check", kit_image_state="absent").changed == 1
    assert role.run(kit_image_state="absent").changed == 1
    assert not role.cache.exists()
    assert role.run(kit_image_state="absent").changed == 0
