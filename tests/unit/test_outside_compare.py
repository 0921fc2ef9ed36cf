"""What was seen beside what is written: where they differ, what it means for points, and how it is shown."""

import asyncio
import contextlib
import json
from dataclasses import replace
from types import SimpleNamespace

import pytest

from virtlab import catalogue, cli
from virtlab.classroom import compare, outside
from virtlab.classroom.seats import Outcome, Seat, each
from virtlab.commands.classroom import grade, on_seats
from virtlab.errors import Exit, LabError
from virtlab.hub.describe import Label
from virtlab.hub.machines import Machine
from virtlab.render import Style


@pytest.fixture
def lab(kit):
    kit.make("90-tiny", "tiny", docker=False)
    return catalogue.load("90-tiny")


def said(*seen, written=("open", "open"), phase="started"):
    """What came of one seat: the states of `net`'s and `volume`'s checks, and of the tasks in the record."""
    results = [
        {"id": name, "task": name, "state": state, "message": "\x1b[2Jwhy", "do": ""}
        for name, states in zip(("net", "volume"), seen, strict=False)
        for state in states.split()
    ]
    passed = sum(one["state"] == "pass" for one in results)
    tasks = [
        {"id": name, "state": state, "hints": 2, "checks": []}
        for name, state in zip(("net", "volume"), written, strict=False)
    ]
    entry = {"lab": "90-tiny", "completed": "2026-11-20T10:00:00Z", "tasks": tasks}
    return {
        "phase": phase,
        "seen": {"passed": passed, "total": len(results), "results": results} if seen else None,
        "record": {"learner": "ada", "made": "now", "labs": [entry]} if written else None,
        "trouble": "" if written else "It is\x1b damaged.",
    }


@pytest.mark.parametrize(
    ("seen", "written", "verdict", "state"),
    [
        ("pass pass", "done", compare.SAME, "done"),
        ("pass", "helped", compare.SAME, "helped"),
        ("fail", "open", compare.SAME, "open"),
        ("pass fail", "done", compare.RECORD_ONLY, "open"),
        ("fail unknown", "helped", compare.RECORD_ONLY, "open"),
        ("pass", "open", compare.OUTSIDE_ONLY, "done"),
        ("pass unknown", "done", compare.UNSEEN, "done"),
        ("unknown", "open", compare.UNSEEN, "open"),
    ],
)
def test_a_task(lab, seen, written, verdict, state):
    task = compare.tasks(lab, said(seen, "pass", written=(written, "done")))[0]
    assert (task.verdict, task.state) == (verdict, state)


def test_without_a_look_or_a_record_nothing_differs(lab):
    for one in (said(phase="finished", written=("done", "done")), said("pass", "fail", written=())):
        assert {task.verdict for task in compare.tasks(lab, one)} == {compare.UNSEEN}


def test_a_record_for_the_gradebook(lab):
    old = {"labs": [{"lab": "05-other", "tasks": []}, {"lab": "90-tiny", "tasks": [{"id": "net"}]}]}
    made = compare.kept(lab, old, said("pass", "unknown", written=("helped", "done")))
    assert [one["lab"] for one in made["labs"]] == ["05-other", "90-tiny"]
    tasks = made["labs"][1]["tasks"]
    assert [(one["state"], one["seen"], one["hints"]) for one in tasks] == [
        ("helped", "outside", 2), ("done", "record", 2),
    ]  # fmt: skip
    assert made["labs"][1]["completed"]
    made = compare.kept(lab, made, said("fail", "pass", written=("done", "done")))
    assert made["labs"][1]["completed"] is None
    assert [one["state"] for one in made["labs"][1]["tasks"]] == ["open", "done"]
    without = compare.kept(lab, {}, said("pass", "pass", written=()))
    assert [one["state"] for one in without["labs"][0]["tasks"]] == ["done", "done"]


def outcomes(**seats):
    made = {name: one if isinstance(one, Outcome) else outside.outcome(one) for name, one in seats.items()}
    return [replace(one, seat=name) for name, one in made.items()]


def test_all_is_as_written(lab):
    shown = grade.result(lab, outcomes(ada=said("pass", "fail", written=("done", "open"))), None)
    assert shown.exit == Exit.OK
    assert shown.data["differences"] == 0
    assert "1 of 2" in shown.draw(Style())


def test_where_they_differ(lab):
    shown = grade.result(
        lab,
        outcomes(
            ada=said("pass", "fail", written=("done", "done")), bob=said("pass", "fail"),
            cyd=Outcome("is off", "skipped"), dan=said(phase="new", written=("open", "open")),
        ), None,
    )  # fmt: skip
    assert shown.exit == Exit.FAILED
    assert (shown.data["differences"], shown.data["done"], shown.data["skipped"]) == (2, 3, 1)
    ada, bob, cyd, dan = shown.data["seats"]
    assert [one["verdict"] for one in ada["tasks"]] == ["same", "record only"]
    assert bob["tasks"][0]["verdict"] == "outside only"
    assert (cyd["state"], "tasks" in cyd) == ("skipped", False)
    assert (dan["phase"], dan["passed"], dan["results"]) == ("new", None, None)
    text = shown.draw(Style())
    assert "only the record says done: volume" in text
    assert "only seen from outside: net" in text
    assert "not started" in text
    assert "cyd: is off" in text
    json.dumps(shown.data)


def test_what_nobody_can_tell_comes_first(lab):
    seats = outcomes(ada=said("unknown", "fail", written=("done", "done")), bob=said("pass", "pass"))
    shown = grade.result(lab, seats, None)
    assert shown.exit == Exit.MACHINE
    text = shown.draw(Style())
    assert "nobody can tell: net" in text
    assert "ada, net:" in text
    assert "\x1b" not in text  # a seat's words command no terminal
    lost = Outcome("I cannot log in.", "failed", "Look.", Exit.MACHINE)
    assert grade.result(lab, outcomes(ada=lost), None).exit == Exit.MACHINE


def test_a_damaged_record_is_said(lab):
    shown = grade.result(lab, outcomes(ada=said("pass", "pass", written=())), None)
    assert shown.exit == Exit.OK
    assert "ada has no record that can be read: It is\N{REPLACEMENT CHARACTER} damaged." in shown.draw(
        Style()
    )


def test_records_are_kept_for_the_gradebook(lab, tmp_path):
    (tmp_path / "bob.json").write_text("[]")
    seats = outcomes(ada=said("pass", "fail", written=("done", "done")), cyd=Outcome("is off", "skipped"))
    grade.result(lab, seats, tmp_path)
    kept = json.loads((tmp_path / "ada.json").read_text())
    assert [one["state"] for one in kept["labs"][0]["tasks"]] == ["done", "open"]
    assert (tmp_path / "ada.json").stat().st_mode & 0o777 == 0o600
    assert not (tmp_path / "cyd.json").exists()
    with pytest.raises(LabError, match="no record"):
        grade.result(lab, outcomes(bob=said("pass", "pass")), tmp_path)


HOST = SimpleNamespace(plan=SimpleNamespace(user="learner", python="python3"))


class Class:
    """Of three students one has a machine that runs, one has one that is off, and one has none."""

    def __init__(self, wanted=()):
        on = Machine("kvm1", "cs-010", "", True, "", Label("cs", "ada"))
        off = Machine("kvm1", "cs-011", "", False, "", Label("cs", "bob"))
        every = [Seat("ada", "Ada", HOST, on), Seat("bob", "Bob", HOST, off), Seat("cyd", "Cyd")]
        self.every = [one for one in every if one.id in wanted or not wanted]

    def seats(self):
        return self.every

    def work(self, seats, work, at_once):
        assert at_once > 0
        return asyncio.run(each(seats, work, at_once, lambda _: None))


def test_the_command(lab, monkeypatch, capsys, tmp_path):
    async def look(slug, learner, folder, way):
        assert (slug, learner, way.user) == ("90-tiny", "ada", "learner")
        return said("pass", "fail", written=("done", "done"))

    @contextlib.asynccontextmanager
    async def visit(host, machine, folder):
        assert machine.owner == "ada"
        assert folder.stat().st_mode & 0o777 == 0o700
        yield

    for where, what in ((on_seats, Class), (outside, look), (outside, visit)):
        monkeypatch.setattr(where, what.__name__, what)

    def run(*words):
        code = cli.main(["classroom", "grade", *words])
        out, errors = capsys.readouterr()
        return code, out or errors

    code, text = run("90", "--records", str(tmp_path))
    assert code == Exit.FAILED
    for line in ("only the record says done: volume", "bob: is off", "cyd: has no machine yet", "2 skipped"):
        assert line in text
    assert sorted(file.name for file in tmp_path.glob("*.json")) == ["ada.json"]
    code, text = run("90", "--json")
    assert [one["state"] for one in json.loads(text)["seats"]] == ["done", "skipped", "skipped"]
    assert run("90", "--seat", "bob")[0] == Exit.MACHINE
    assert run("90", "--records", str(tmp_path / "none"))[0] == Exit.USAGE
    assert run("nowhere")[0] == Exit.USAGE
