"""The lock and the state of a lab: one verb at a time, and nothing lost in a crash."""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress

import pytest

from virtlab import paths, state
from virtlab.errors import MachineError
from virtlab.state import State

HOLDER = """
import time
from virtlab import state
with state.locked("90-tiny", "solve"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(kit):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER], env=kit.environment(), stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_held_lock_says_who_holds_it(kit, holder):
    kit.make("90-tiny", "tiny", docker=False)
    done = kit.lab("start", "90")
    assert done.code == 3
    assert f"Error: `lab solve 90-tiny` is at work on this lab (process {holder.pid}, since " in done.err
    assert f"`kill {holder.pid}`" in done.err


def test_the_lock_goes_with_its_holder(kit, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with state.locked("90-tiny", "start"):
        said = json.loads((paths.data() / "locks/90-tiny.lock").read_text())
    assert (said["verb"], said["pid"]) == ("start", os.getpid())


def test_two_labs_do_not_wait_for_each_other(kit, holder):
    with state.locked("91-other", "start"):
        pass


def test_state_is_private_and_comes_back(kit):
    state.write("90-tiny", State("started", "now", {"web": 9105}, ["container x"]))
    assert state.read("90-tiny") == State("started", "now", {"web": 9105}, ["container x"])
    assert state.read("91-other") == State()
    folder = paths.data() / "state"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "90-tiny.json").stat().st_mode & 0o777 == 0o600
    assert [file.name for file in folder.iterdir()] == ["90-tiny.json"]


def test_a_damaged_state_is_named(kit):
    state.write("90-tiny", State())
    file = paths.data() / "state/90-tiny.json"
    file.write_text("{")
    with pytest.raises(MachineError) as caught:
        state.read("90-tiny")
    assert str(file) in caught.value.message
    assert f"rm {file}" in caught.value.do


@pytest.fixture
def full_disk(kit):
    """A small disk of our own with no room left on it."""
    kit.data.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", kit.data], check=True)
    with suppress(OSError), (kit.data / "filler").open("wb", buffering=0) as filler:
        while True:
            filler.write(b"x" * 4096)
    yield
    subprocess.run(["umount", kit.data], check=True)


@pytest.mark.host
@pytest.mark.parametrize("verb", ["start", "finish"])
def test_a_full_disk_is_explained(kit, full_disk, verb):
    kit.make("90-tiny", "tiny", docker=False)
    done = kit.lab(verb, "90")
    assert done.code == 3
    assert "No space left on device" in done.err
    assert "Make room on the disk" in done.err
    assert "Traceback" not in done.err
    assert state.read("90-tiny") == State()
