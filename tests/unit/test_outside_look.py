"""Grading a seat from here is grading it there: its values, ports and files count, and ours do not."""

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from types import SimpleNamespace

import pytest
from relays import relay

from virtlab import catalogue, paths
from virtlab.classroom import look, outside
from virtlab.errors import Unknown
from virtlab.remote.line import Way

CHECKS = """\
from virtlab.checks import check

@check("The word is in the file", task="net")
def word(seat, lab):
    text = seat.path(lab.work / "answer").read_text()
    assert lab.values["word"] in text, f"{lab.work}/answer says {text}, not {lab.values['word']}."
    return f"{lab.ports['web']} {lab.host.there.what} {(lab.data / 'seed').read_text()}"

@check("It can be read", task="volume")
def readable(seat, lab):
    seat.path(lab.work / "nothing").read_text()
"""
VALUE = "values: {word: {kind: word, title: {en: A word}}}\n"


@pytest.fixture
def seat(kit, tmp_path, monkeypatch):
    """Home and state of a student who has begun the lab, and the environment that grading from here has."""
    file = kit.make("90-tiny", "tiny", docker=False, checks_py=CHECKS) / "lab.yml"
    file.write_text(file.read_text() + VALUE)
    home, machine, folder = tmp_path / "home", tmp_path / "machine", tmp_path / "visit"
    theirs = {"VIRTLAB_DATA": str(home / ".local/share/virtlab"), "VIRTLAB_WORKSPACE": str(home / "virtlab")}
    with monkeypatch.context() as there:
        for name, value in (theirs | {"VIRTLAB_LEARNER": "ada"}).items():
            there.setenv(name, value)
        word = catalogue.load("90-tiny").values["word"]
    data = Path(theirs["VIRTLAB_DATA"])
    write(data / "state/90-tiny.json", json.dumps({"phase": "started", "before": [], "ports": {"web": 9197}}))
    write(data / "labs/90-tiny/seed", "seeded")
    write(machine / "host.d/there.json", '{"what": "theirs"}')
    folder.mkdir()
    monkeypatch.setattr(look, "MACHINE", PurePosixPath(machine))
    for name, value in outside.environment(folder, "ada").items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(paths, "HOST_D", folder / "state/host.d")
    monkeypatch.setattr(paths, "CA", folder / "state/ca.crt")
    monkeypatch.delenv("VIRTLAB_WORKSPACE")

    @contextmanager
    def line(where, way):
        assert way.address == "10.0.0.9"
        with relay(tmp_path / "relay", home) as door:
            yield SimpleNamespace(door=door, home=str(home), patience=1, is_open=lambda: seat.is_open)

    monkeypatch.setattr(look, "Line", line)

    def grade(*words):
        """As the student, there."""
        return kit.lab("grade", "90", *words, VIRTLAB_LEARNER="ada", VIRTLAB_STATE=str(machine), **theirs)

    seat = SimpleNamespace(data=data, home=home, folder=folder, word=word, grade=grade, is_open=True)
    seat.look = lambda: look.look("90-tiny", folder, Way("ada", "10.0.0.9"))
    return seat


def write(file, text):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def test_the_seats_own_word_port_and_files_count(seat):
    write(seat.home / "virtlab/90-tiny/answer", f"it is {seat.word}")
    said = seat.look()
    assert said["phase"] == "started"
    first, second = said["seen"]["results"]
    assert (first["state"], first["message"]) == ("pass", "9197 theirs seeded")
    assert second["state"] == "unknown"  # as it would be there: the check does not expect that
    assert "FileNotFoundError" in second["message"]
    local = seat.grade("--json").json["results"]
    assert [one["message"] for one in local] == [first["message"], second["message"]]
    assert said["record"]["learner"] == "ada"


def test_what_fails_there_fails_here_with_the_same_words(seat):
    write(seat.home / "virtlab/90-tiny/answer", "no word")
    seen = seat.look()["seen"]["results"][0]
    local = seat.grade("--json").json["results"][0]
    assert seen["state"] == local["state"] == "fail"
    assert seen["message"] == local["message"]
    assert str(seat.home) in seen["message"]


def test_the_record_is_the_students(seat):
    write(seat.home / "virtlab/90-tiny/answer", "no word")
    seat.grade()
    before = {file: file.read_bytes() for file in seat.data.rglob("*.json")}
    entry = seat.look()["record"]["labs"][0]
    assert entry["lab"] == "90-tiny"
    assert [task["checks"][0]["state"] for task in entry["tasks"]] == ["fail", "unknown"]
    assert before == {file: file.read_bytes() for file in seat.data.rglob("*.json")}


def test_a_damaged_record_keeps_nobody_from_looking(seat):
    write(seat.home / "virtlab/90-tiny/answer", seat.word)
    (seat.data / "progress.sqlite3").write_bytes(b"SQLite format 3\0 it is not" * 99)
    said = seat.look()
    assert said["seen"]["results"][0]["state"] == "pass"
    assert said["record"] is None
    assert "progress.sqlite3" in said["trouble"]


@pytest.mark.parametrize("phase", ["finished", "new"])
def test_a_lab_that_is_not_started_is_not_looked_at(seat, phase):
    if phase == "new":
        (seat.data / "state/90-tiny.json").unlink()
    else:
        write(seat.data / "state/90-tiny.json", '{"phase": "finished"}')
    said = seat.look()
    assert (said["phase"], said["seen"]) == (phase, None)
    assert outside.outcome(said).said == {"finished": "finished", "new": "not started"}[phase]


def test_what_comes_after_a_break_is_not_believed(seat):
    write(seat.home / "virtlab/90-tiny/answer", "no word")
    seat.is_open = False
    with pytest.raises(Unknown, match="broke off"):
        seat.look()


def test_names_and_links_of_a_seat_lead_nowhere_here(seat, tmp_path):
    labs = seat.data / "labs/90-tiny"
    for name in ("..x/../y".replace("/", "\\"), ".hidden", "with space", "-rf", "a\nb"):
        write(labs / name, "x")
    os.mkfifo(labs / "pipe")
    (labs / "link").symlink_to("/proc/self/environ")
    seat.look()
    here = sorted(file.name for file in (seat.folder / "data/labs/90-tiny").iterdir())
    assert set(here) <= {"seed", "link"}
    assert not list(tmp_path.glob("y*"))


def test_one_seat_is_a_process_of_its_own(tmp_path):
    """Whatever happens, JSON comes back: here nobody answers."""
    (tmp_path / "key").write_text("none")
    (tmp_path / "host_key").write_text("ssh-ed25519 AAAA")
    asked = {"lab": "05-container-networks", "folder": str(tmp_path)}
    asked["way"] = {"user": "nobody", "address": "127.0.0.1", "port": 1, "python": "python3"}
    done = subprocess.run(
        [sys.executable, "-P", "-m", "virtlab.classroom.look"], input=json.dumps(asked), text=True,
        capture_output=True, check=True, timeout=60, env=os.environ | outside.environment(tmp_path, "ada"),
    )  # fmt: skip
    said = json.loads(done.stdout)["error"]
    assert "I cannot log in to the seat at 127.0.0.1 as nobody" in said["message"]
    assert "onnection refused" in said["message"]
    assert said["exit"] == 3
