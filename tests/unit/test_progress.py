"""Progress survives crashes, and refuses what it cannot read."""

import signal
import sqlite3
import subprocess
import sys

import pytest

from virtlab import progress
from virtlab.checks import Result, State
from virtlab.errors import MachineError


def result(name, state):
    return Result(name, "net", "T", State(state), "m")


def test_first_passed_stays(kit):
    progress.started("05-networks")
    progress.graded("05-networks", [result("a", "fail"), result("b", "pass")])
    first = progress.read("05-networks").checks[1].first_passed
    assert first
    progress.graded("05-networks", [result("a", "pass"), result("b", "fail")])
    record = progress.read("05-networks")
    assert [(one.id, one.state) for one in record.checks] == [("a", "pass"), ("b", "fail")]
    assert record.checks[1].first_passed == first
    assert record.passed == 2
    assert progress.read("06-other") == progress.Record()


def test_help_and_ends_are_remembered(kit):
    progress.started("05-networks")
    progress.helped("05-networks", ["net", "volume"])
    progress.helped("05-networks", ["net"])
    progress.finished("05-networks")
    record = progress.read("05-networks")
    assert record.solved == ("net", "volume")
    assert record.finished
    progress.started("05-networks")
    again = progress.read("05-networks")
    assert (again.starts, again.finished) == (2, None)


WRITER = """
from virtlab import progress
from virtlab.checks import Result, State
progress.graded("05-networks", [Result("first", "net", "T", State.PASS, "m")])
print("ready", flush=True)
while True:
    progress.graded("05-networks", [Result(f"c{n}", "net", "T", State.PASS, "m") for n in range(50)])
"""


def test_kill_9_during_a_write_loses_nothing_that_was_kept(kit):
    for _ in range(5):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER], env=kit.environment(), stdout=subprocess.PIPE, text=True
        )
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        checks = progress.read("05-networks").checks
        assert checks[0].first_passed
        assert len(checks) in (1, 51)  # all of a grading, or nothing of it
    with sqlite3.connect(progress.file()) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_newer_format_is_refused_and_left_alone(kit):
    progress.started("05-networks")
    with sqlite3.connect(progress.file()) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(MachineError, match="newer virtlab"):
        progress.started("05-networks")


def test_a_damaged_file_is_named(kit):
    progress.file().parent.mkdir(parents=True)
    progress.file().write_text("not a database, but long enough to be looked at" * 30)
    with pytest.raises(MachineError, match=r"progress\.sqlite3: file is not a database"):
        progress.read("05-networks")


def test_a_verdict_is_given_even_when_it_cannot_be_kept(kit):
    kit.make("90-tiny", "tiny", docker=False, checks_py=(
        "from virtlab.checks import check\n@check('Fine', task='net')\ndef a(seat, lab): pass\n"
    ))  # fmt: skip
    (kit.data / "state").mkdir(parents=True)
    (kit.data / "state/90-tiny.json").write_text('{"phase": "started"}')
    (kit.data / "progress.sqlite3").write_text("damaged" * 200)
    done = kit.lab("grade", "90", "--json")
    assert done.code == 0
    assert done.json["passed"] == 1
    assert "I cannot keep your progress" in done.json["notes"][0]
