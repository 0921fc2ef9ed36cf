"""Labs graded over real SSH, on this machine: what is seen from outside is what `lab grade` sees."""

import asyncio
import json
import shutil
import sqlite3
from pathlib import Path

import pytest
from sshd import Sshd

from virtlab import checks, lifecycle
from virtlab.classroom import compare, outside
from virtlab.errors import Unknown
from virtlab.remote.line import Line
from virtlab.remote.seat import RemoteSeat
from virtlab.seat import Seat

pytestmark = pytest.mark.host
TMP = Path("/tmp")  # noqa: S108  (where a relay has its door)


class Student:
    """Whose home is not ours, and how an instructor looks at their lab."""

    def __init__(self, sshd, folder, number):
        self.sshd, self.folder, self.number, self.visits = sshd, folder, number, 0

    def visit(self):
        self.visits += 1
        return self.sshd.let_in(self.folder / f"visit{self.visits}")

    def outside(self):
        slug = self.lab.slug
        return asyncio.run(outside.look(slug, "ada", self.visit(), self.sshd.way()))

    def here(self):
        return lifecycle.grade(self.number).results

    def both(self):
        """{check: (state, message)} from outside and on the machine itself."""
        said = self.outside()
        seen = {one["id"]: (one["state"], one["message"]) for one in said["seen"]["results"]}
        return seen, {one.id: (str(one.state), one.message) for one in self.here()}


@pytest.fixture(scope="module", params=["05", "04", "06"])
def student(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("seat")
    home = folder / "home"
    home.mkdir()
    with pytest.MonkeyPatch.context() as patch, Sshd(folder / "sshd", home) as sshd:
        patch.setenv("VIRTLAB_DATA", str(home / ".local/share/virtlab"))
        patch.setenv("VIRTLAB_WORKSPACE", str(home / "virtlab"))
        patch.setenv("VIRTLAB_LEARNER", "ada")
        patch.setenv("DOCKER_CONFIG", str(folder / "docker"))
        one = Student(sshd, folder, request.param)
        one.lab = lifecycle.start(one.number).lab
        try:
            yield one
        finally:
            lifecycle.finish(one.number)


def test_nothing_is_done_yet(student):
    seen, here = student.both()
    assert seen == here
    assert {state for state, _ in seen.values()} == {"fail"}


def test_all_is_done(student):
    lifecycle.solve(student.number)
    seen, here = student.both()
    assert seen == here
    assert {state for state, _ in seen.values()} == {"pass"}


def test_the_record_says_what_was_seen(student):
    said = student.outside()
    found = compare.tasks(student.lab, said)
    assert {(one.outside, one.record, one.verdict) for one in found} == {("pass", "helped", "same")}
    json.dumps(said)


def test_a_forged_record_is_not_believed(student):
    """One outcome is undone, and the record still says that it was done."""
    broken = next(one for one in student.lab.checks if one.undo)
    broken.undo(Seat(), student.lab)
    seen, here = student.both()
    assert seen == here
    assert seen[broken.id][0] == "fail"
    task = next(one for one in compare.tasks(student.lab, student.outside()) if one.id == broken.task)
    assert (task.verdict, task.state) == (compare.RECORD_ONLY, "open")


def test_a_line_that_breaks_off_is_no_fail(student):
    folder, before = student.visit(), set(TMP.glob("virtlab-*"))
    with Line(folder, student.sshd.way()) as line:
        mine = set(TMP.glob("virtlab-*")) - before
        seat = RemoteSeat(line)
        seat.load(student.lab.needs)
        assert seat.docker.ping()
        student.sshd.cut()
        results = checks.run(student.lab.checks, seat, student.lab)
        assert not line.is_open()
    for one in mine:  # who is killed cannot clear up
        shutil.rmtree(one)
    assert "pass" not in {str(one.state) for one in results}
    with pytest.raises(Unknown, match="onnection refused"):
        student.outside()
    student.sshd.__enter__()
    assert student.outside()["phase"] == "started"


def test_another_host_key_is_another_machine(student):
    folder = student.visit()
    (folder / "host_key").write_text(f"ssh-ed25519 {'A' * 22}C{'B' * 43}=\n")
    with pytest.raises(Unknown, match="another key"), Line(folder, student.sshd.way()):
        pass


def test_nothing_stays_behind(student, tmp_path_factory):
    """In the seat nothing is written: neither progress nor what the way in took."""
    file = student.folder / "home/.local/share/virtlab/progress.sqlite3"
    lifecycle.grade(student.number)
    with sqlite3.connect(file) as db:
        before = db.execute("SELECT * FROM checks").fetchall()
    student.outside()
    with sqlite3.connect(file) as db:
        assert db.execute("SELECT * FROM checks").fetchall() == before
