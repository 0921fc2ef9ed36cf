"""When a lab is looked at: at once after something happened, else seldom, and never for our own noise."""

import json
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path

import pytest

from virtlab import paths, state, topology, traces
from virtlab.pace import HEARTBEAT, LIVELY, Pace
from virtlab.topology import Node, Topology
from virtlab.watch import Watch

FILES = """\
from virtlab.checks import check


@check("There is a file", task="net")
def there(seat, lab):
    assert (lab.work / "answer").exists(), "There is no file `answer`."


@check("It is", task="volume")
def it_is(seat, lab):
    return "It is."
"""


def looks(pace: Pace, took: float, seconds: float, own: bool = False) -> list[float]:
    """When each look begins, on a clock of our own; with `own`, each of them makes a noise."""
    clock, begun = pace.due, []
    while clock < seconds:
        begun.append(clock)
        pace.looked(clock, clock + took, False)
        if own:
            pace.rang(clock + took / 2, own=True)
        clock = pace.due
    return begun


def test_idle_it_looks_less_and_less_and_costs_next_to_nothing():
    begun = looks(Pace(), took=0.5, seconds=3600)
    gaps = [round(after - before, 3) for before, after in pairwise(begun)]
    assert gaps == sorted(gaps)
    assert gaps[-1] >= HEARTBEAT
    assert len(begun) * 0.5 / 3600 < 0.02


def test_something_happens_and_it_looks_at_once_and_then_every_second():
    pace = Pace()
    now = looks(pace, took=0.3, seconds=600)[-1] + 5
    pace.rang(now)
    begun = looks(pace, took=0.3, seconds=now + LIVELY)
    assert begun[0] == pytest.approx(now + 0.1)
    assert max(b - a for a, b in pairwise(begun)) < 2


def test_what_every_look_causes_itself_does_not_ring_for_ever():
    begun = looks(Pace(), took=0.5, seconds=3600, own=True)
    assert len(begun) * 0.5 / 3600 < 0.02


def test_others_who_never_rest_are_not_followed_closely():
    pace, begun = Pace(), 0
    for tenth in range(6000):
        if tenth / 10 >= pace.due:
            pace.looked(tenth / 10, tenth / 10 + 0.4, False)
            begun += 1
        pace.murmured(tenth / 10)
    assert begun * 0.4 / 600 < 0.11
    pace.looked(700.0, 700.4, False)
    pace.murmured(710.0)
    assert pace.due == pytest.approx(710.1)     # and yet it may have been the learner's


def test_a_slow_machine_is_left_room_to_work():
    pace = Pace()
    pace.looked(0.0, 4.0, True)
    pace.typed(4.5)
    assert pace.due == 12.0


def test_a_burst_is_one_look():
    pace = Pace()
    pace.looked(0.0, 1.0, False)
    for at in (1.5, 1.51, 1.52):
        pace.rang(at)
    assert pace.due == pytest.approx(1.6)


def test_files_are_seen_but_not_guides(tmp_path):
    (tmp_path / "sub").mkdir()
    files = traces.Files(tmp_path)
    assert not files.have_changed()
    (tmp_path / "sub/made").write_text("x")
    assert files.have_changed()
    assert not files.have_changed()
    (tmp_path / "guide.ipynb").write_text("{}")
    (tmp_path / ".hidden").write_text("")
    assert not files.have_changed()
    (tmp_path / "sub/made").unlink()
    assert files.have_changed()
    assert not traces.Files(tmp_path / "nowhere").have_changed()


def test_typing_in_any_terminal_is_seen():
    terminals = traces.Terminals()
    master, slave = pty.openpty()
    try:
        assert terminals.have_changed()     # a terminal was opened
        os.utime(os.ttyname(slave), (0, 0))
        assert terminals.have_changed()
        os.write(master, b"ls\n")
        os.read(slave, 10)
        assert terminals.have_changed()
        assert not terminals.have_changed()
    finally:
        os.close(master)
        os.close(slave)


def begun(kit, slug: str = "90-tiny", **more: str) -> Path:
    kit.make(slug, "tiny", docker=False, checks_py=FILES, **more)
    state.write(slug, state.State(phase="started"))
    work = paths.workspace() / slug
    work.mkdir(parents=True)
    return work


def test_a_lab_is_followed_until_it_is_finished(kit):
    work = begun(kit)
    watch = Watch("90")
    changes = watch.changes()
    assert [one.state for one in next(changes).results] == ["fail", "pass"]
    (work / "answer").write_text("42")
    began = time.monotonic()
    assert next(changes).passed == 2
    (work / "answer").unlink()
    assert next(changes).passed == 1
    assert time.monotonic() - began < 4
    state.write("90-tiny", state.State(phase="finished"))
    assert list(changes) == []


def watcher(kit) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "virtlab.watch", "90-tiny"], env=kit.environment(), text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def test_the_process_tells_what_is_new_and_ends_with_whoever_started_it(kit):
    work = begun(kit)
    with watcher(kit) as process:
        assert json.loads(process.stdout.readline())["passed"] == 1
        (work / "answer").write_text("42")
        assert json.loads(process.stdout.readline())["passed"] == 2
        process.stdin.close()
        assert process.wait(5) == 0
        assert process.stderr.read() == ""


def test_a_nudge_makes_it_look(kit, tmp_path):
    begun(kit)
    elsewhere = tmp_path / "elsewhere"
    checks = kit.labs / "90-tiny/checks.py"
    checks.write_text(FILES.replace('lab.work / "answer"', f'__import__("pathlib").Path("{elsewhere}")'))
    with watcher(kit) as process:
        process.stdout.readline()
        time.sleep(1.2)
        elsewhere.write_text("no folder that is looked at")
        began = time.monotonic()
        process.stdin.write("\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["passed"] == 2
        assert time.monotonic() - began < 2
        process.send_signal(signal.SIGTERM)


def test_a_lab_that_is_not_started_is_an_error_in_json(kit):
    kit.make("90-tiny", "tiny", docker=False)
    with watcher(kit) as process:
        said = json.loads(process.stdout.readline())
        assert said["error"]["message"] == "Lab 90-tiny is not started."
        assert process.wait(5) == 2
        assert process.stderr.read() == ""


def test_what_is_there_is_told_only_while_somebody_looks_and_only_when_it_has_changed(kit, monkeypatch):
    begun(kit)
    known = [Topology("90-tiny", "Tiny", (Node("container a", "container", "a"),), ())] * 2
    known.append(Topology("90-tiny", "Tiny", (), ()))
    looked, drawn = [], []

    def of(lab, seat):
        looked.append(lab.slug)
        return known[min(len(looked), 3) - 1]

    monkeypatch.setattr(topology, "of", of)
    watch = Watch("90", drawn.append)
    changes = watch.changes()
    next(changes)
    watch.show(True)

    def after(seconds, then):
        threading.Timer(seconds, then).start()

    after(0.5, lambda: watch.ring("docker"))
    after(1.5, lambda: watch.ring("docker"))
    after(3.0, lambda: state.write("90-tiny", state.State(phase="finished")))
    assert list(changes) == []
    assert len(looked) >= 3
    assert drawn == [known[0], known[2]]


def test_the_process_draws_when_it_is_asked_to(kit):
    begun(kit)
    with watcher(kit) as process:
        process.stdin.write("draw\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["passed"] == 1
        said = json.loads(process.stdout.readline())["topology"]
        assert "what is there now" in said["text"]
        assert said["svg"].startswith("<svg")
        process.stdin.close()
        assert process.wait(5) == 0
