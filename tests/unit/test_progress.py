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


def test_a_file_of_the_first_format_keeps_what_is_in_it(kit):
    progress.file().parent.mkdir(parents=True)
    with sqlite3.connect(progress.file()) as db:
        db.executescript(progress.STEPS[0])
        db.execute("PRAGMA user_version = 1")
        db.execute("INSERT INTO labs VALUES ('05-networks', '2026-01-01T10:00:00Z', 3, NULL)")
        db.execute("INSERT INTO checks VALUES ('05-networks', 'a', 'net', 'pass', 'then', 'then')")
        db.execute("INSERT INTO hints VALUES ('05-networks', 'net', 2, 'then')")
        db.execute("INSERT INTO solved VALUES ('05-networks', 'net', 'then')")
    record = progress.read("05-networks")
    assert (record.starts, record.passed, record.hints, record.solved) == (3, 1, (("net", 2),), ("net",))
    assert (record.completed, record.answers) == (None, ())
    progress.answered("05-networks", "names", "quiz", "A DNS server", True)
    assert progress.read("05-networks").answer("names").is_right
    assert progress.read("05-networks").started == "2026-01-01T10:00:00Z"


def test_a_prediction_is_committed_to_once_and_a_quiz_may_be_tried_again(kit):
    progress.started("05-networks")
    for kind in ("predict", "quiz"):
        progress.answered("05-networks", kind, kind, "No", False)
        progress.answered("05-networks", kind, kind, "Yes", True)
    answers = progress.read("05-networks").answers
    said = {one.question: (one.choice, one.is_right, one.tries) for one in answers}
    assert said == {"predict": ("No", False, 2), "quiz": ("Yes", True, 2)}
    progress.started("05-networks")  # once more from the beginning
    assert progress.read("05-networks").answers == ()


def test_when_all_passed_stays_until_the_next_start(kit):
    progress.started("05-networks")
    progress.graded("05-networks", [result("a", "fail"), result("b", "pass")])
    assert progress.read("05-networks").completed is None
    progress.graded("05-networks", [result("a", "pass"), result("b", "pass")])
    done = progress.read("05-networks").completed
    assert done
    progress.graded("05-networks", [result("a", "fail"), result("b", "pass")])
    assert progress.read("05-networks").completed == done
    progress.started("05-networks")
    assert progress.read("05-networks").completed is None


def test_who_was_helped_did_not_do_it_alone(kit):
    progress.graded("05-networks", [result("a", "pass")])
    assert progress.read("05-networks").is_own("net")
    progress.helped("05-networks", ["net"])
    assert not progress.read("05-networks").is_own("net")


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
