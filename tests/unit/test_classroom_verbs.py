"""The instructor's verbs: whose seats, side by side, what is asked first, and what is said in the end."""

import asyncio
import json
import threading
import time
from pathlib import Path

import pytest

from virtlab import cli
from virtlab.classroom import record, seats, verbs
from virtlab.classroom.class_data import ClassData, Student
from virtlab.classroom.seats import Outcome, Seat
from virtlab.commands.classroom import on_seats
from virtlab.commands.classroom.exec import plain
from virtlab.errors import Exit, MachineError, UsageError
from virtlab.hub import disks, rescue
from virtlab.hub.describe import Label
from virtlab.hub.link import HostDown
from virtlab.hub.machines import Machine

STUDENTS = (Student("S01", "Ada Lovelace"), Student("s02", "李明"), Student("s11", "Grace Hopper"))
DATA = ClassData(Path("/nowhere"), students=STUDENTS, instructors=("teacher",))


def machine(owner, host="kvm1", running=True):
    return Machine(host, f"cs101-{owner}", f"uuid-{owner}", running, "", Label("cs101", owner))


class Host:
    """A KVM host that answers with these machines, or with an error."""

    def __init__(self, name, *answer):
        self.name, self.answer = name, answer

    async def link(self, what, work, patience=0):
        if isinstance(self.answer[0], Exception):
            raise self.answer[0]
        return list(self.answer)


def found(*hosts, wanted=()):
    by_name = {host.name: host for host in hosts}
    return asyncio.run(seats.find(by_name, seats.chosen(DATA, wanted)))


def test_without_a_name_it_is_everybody_on_the_roster():
    assert list(seats.chosen(DATA)) == ["s01", "s02", "s11"]
    assert seats.chosen(DATA, ["S01", "teacher"]) == {"s01": "Ada Lovelace", "teacher": "teacher"}


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("s1", "s11 (Grace Hopper)"),
        ("hopper", "s11 (Grace Hopper)"),
        ("李明", "s02 (李明)"),
        ("teachr", "teacher"),
    ],
)
def test_who_is_unknown_is_not_guessed_but_suggested(typed, meant):
    with pytest.raises(UsageError, match=f"Nobody in this class is '{typed}'") as wrong:
        seats.chosen(DATA, [typed])
    assert meant in wrong.value.do
    with pytest.raises(UsageError) as wrong:
        seats.chosen(DATA, ["xyz"])
    assert "for example s01" in wrong.value.do


def test_seats_are_found_on_whatever_host():
    one, two, three = found(
        Host("kvm1", machine("s02"), machine("")), Host("kvm2", machine("s01", "kvm2", False))
    )
    assert (one.host.name, one.is_on) == ("kvm2", False)
    assert (two.host.name, two.is_on) == ("kvm1", True)
    assert (three.machine, three.wrong) == (None, None)


def test_a_host_that_is_away_is_said_of_those_who_may_be_there():
    gone = Host("kvm2", HostDown("kvm2", "qemu+ssh://kvm2/system", "no route"))
    one, two, _ = found(Host("kvm1", machine("s01")), gone)
    assert one.machine
    assert "s02 may be on kvm2, which does not answer" in two.wrong.message


def test_of_two_machines_of_one_student_none_is_touched():
    both = [Host(name, machine("s01", name)) for name in ("kvm1", "kvm2")]
    assert "a machine on kvm1 and kvm2" in found(*both)[0].wrong.message


def test_one_failing_seat_stops_no_other_and_not_too_many_work_at_once():
    busy, most, told = set(), 0, []

    async def work(host, one):
        nonlocal most
        busy.add(one.owner)
        most = max(most, len(busy))
        await asyncio.sleep(0.01)
        busy.discard(one.owner)
        if one.owner == "s2":
            raise MachineError("It is broken.", do="Mend it.")
        if one.owner == "s3":
            raise KeyError("return")  # what an agent sent whose owner is root
        return Outcome("well")

    every = [Seat(f"s{n}", "", Host("kvm1"), machine(f"s{n}")) for n in range(9)]
    every += [Seat("s9", ""), Seat("s10", "", wrong=UsageError("Which?"))]
    outcomes = {one.seat: one for one in asyncio.run(seats.each(every, work, 3, told.append))}
    assert most == 3
    assert len(told) == len(outcomes) == 11
    assert (outcomes["s2"].state, outcomes["s2"].do, outcomes["s2"].exit) == (
        "failed",
        "Mend it.",
        Exit.MACHINE,
    )
    assert "KeyError: 'return'" in outcomes["s3"].said
    assert outcomes["s9"].state == "skipped"
    assert outcomes["s10"].exit == Exit.USAGE
    assert [one.state for one in outcomes.values()].count("done") == 7


def test_the_result_is_as_bad_as_the_worst_seat(capsys):
    outcomes = [
        Outcome("well", seat="s1"), Outcome("is off", "skipped", seat="s2"),
        Outcome("exit code 3", "failed", exit=Exit.FAILED, seat="s3", more={"exit_code": 3}),
    ]  # fmt: skip
    result = on_seats.result(outcomes)
    assert result.exit == Exit.FAILED
    text = result.draw(cli.Style())
    assert "s2: is off; skipped" in text
    assert text.endswith("1 done, 1 skipped, 1 failed.")
    assert result.data["seats"][2] == {
        "seat": "s3", "state": "failed", "message": "exit code 3", "do": "", "seconds": 0.0, "exit_code": 3,
    }  # fmt: skip
    outcomes.append(Outcome("It is gone.", "failed", "Look.", Exit.MACHINE, seat="s4"))
    result = on_seats.result(outcomes)
    assert result.exit == Exit.MACHINE
    assert "s4: It is gone. Look." in result.draw(cli.Style())


def test_a_seat_that_is_off_runs_nothing():
    outcome = asyncio.run(
        verbs.execute(Host("kvm1"), machine("s01", running=False), ["true"], root=False, seconds=9)
    )
    assert outcome.state == "skipped"


def test_words_stay_words():
    """Each is one argument to the end: runuser takes none for its own, and no shell reads any."""
    said = verbs.as_user("learner", "s01", ["echo", "$HOME; rm -rf /", "--help"], 60)
    assert said[said.index("--") + 1] == "learner"
    assert said[-3:] == ["echo", "$HOME; rm -rf /", "--help"]
    assert "VIRTLAB_LEARNER=s01" in said
    assert verbs.as_root(["id"], 5) == ["timeout", "--kill-after=5", "5", "env", "LANG=C.UTF-8", "id"]


def test_what_a_seat_prints_does_not_command_the_terminal():
    assert (
        plain("a\r\nb\t李\x1b[2J\x9b\u202e\n")
        == "a\nb\t李\N{REPLACEMENT CHARACTER}[2J" + 2 * "\N{REPLACEMENT CHARACTER}"
    )


def test_the_hubs_own_copies_keep_their_name():
    with pytest.raises(UsageError, match="hub's own copies"):
        asyncio.run(verbs.snapshot(Host("kvm1"), machine("s01"), rescue.NAME, again=False))


def test_one_at_a_time_works_on_a_disk(monkeypatch):
    host, began, order = Host("kvm1"), threading.Event(), []

    def first():
        with disks.alone(host, "cs101-010"):
            began.set()
            time.sleep(0.3)
            order.append("first")

    thread = threading.Thread(target=first)
    thread.start()
    began.wait()
    with disks.alone(host, "cs101-011"), disks.alone(Host("kvm2"), "cs101-010"):
        order.append("another disk")
    with disks.alone(host, "cs101-010"):
        order.append("second")
        monkeypatch.setattr(disks, "TURN", 0.1)
        with pytest.raises(MachineError, match="at work"), disks.alone(host, "cs101-010"):
            pass
    thread.join()
    assert order == ["another disk", "first", "second"]


# --- as commands ----------------------------------------------------------------------------------------
@pytest.fixture
def here(monkeypatch):
    """A class on this machine, whose seats are what the test says."""
    hosts: dict[str, Host] = {}
    made = record.Record("my-class", {}, [])
    monkeypatch.setattr(record, "load", lambda: made)
    monkeypatch.setattr(record, "data", lambda: DATA)
    monkeypatch.setattr(record.Record, "hosts", lambda self: hosts)
    return hosts


def lab(capsys, *words):
    code = cli.main(["classroom", *words])
    out, errors = capsys.readouterr()
    return code, out + errors


def test_there_is_no_class(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(record, "FILE", tmp_path / "record.json")
    for words in (("reset", "s01"), ("snapshot", "--all", "a"), ("exec", "--", "id"), ("message", "Hello")):
        code, said = lab(capsys, *words)
        assert (code, "There is no class on this machine" in said) == (Exit.MACHINE, True)


@pytest.mark.parametrize(
    "words", [["before"], ["--all", "s01", "before"], ["--all", "a/b"], ["--all", "rescue ?"]]
)
def test_wrong_use_is_said_before_anything_is_asked(here, capsys, words):
    assert lab(capsys, "snapshot", *words)[0] == Exit.USAGE


def test_what_is_lost_is_said_and_nobody_to_answer_is_a_no(here, capsys, monkeypatch):
    here["kvm1"] = Host("kvm1", machine("s01"), machine("s02", running=False))
    monkeypatch.setattr(verbs, "reset", None)
    monkeypatch.setattr(verbs, "rollback", None)
    code, said = lab(capsys, "reset", "s01")
    assert code == Exit.USAGE
    assert "All that was done in it is lost" in said
    assert "stopped first, with whatever is at work there: s01" in said
    code, said = lab(capsys, "rollback", "--all", "before", "--json")
    assert code == Exit.USAGE
    assert "back to the snapshot before" in json.loads(said)["error"]["message"]


def test_yes_goes_on_and_every_seat_has_its_line(here, capsys, monkeypatch):
    here["kvm1"] = Host("kvm1", machine("s01"), machine("s02", running=False))
    done = []

    async def rollback(front, host, one, name):
        done.append((one.owner, name))
        if one.owner == "s02":
            raise UsageError("s02 has no snapshot before.", do="There are: none yet.")
        return Outcome(f"back to {name}")

    monkeypatch.setattr(verbs, "rollback", rollback)
    code, said = lab(capsys, "rollback", "--all", "before", "--yes")
    assert code == Exit.USAGE
    assert sorted(done) == [("s01", "before"), ("s02", "before")]
    for line in (
        "s01: back to before (",
        "s02: s02 has no snapshot before (",
        "s11: has no machine yet",
        "1 failed.",
    ):
        assert line in said


def test_exec_shows_each_seats_output_and_exit_code(here, capsys, monkeypatch):
    here["kvm1"] = Host("kvm1", machine("s01"), machine("s11"), machine("s02", running=False))
    ran = []

    async def run(link, name, *words, patience):
        ran.append((name, words[-3:], patience))
        return (0, "two\nlines\n", "") if name.endswith("s01") else (3, "", "no such\x1b file\n")

    for host in here.values():
        host.plan = type("Plan", (), {"user": "learner"})
    monkeypatch.setattr(verbs.agent, "run", run)
    code, said = lab(capsys, "exec", "--time", "5", "--", "ls", "-l", "--json")
    assert code == Exit.FAILED
    assert {words for _, words, _ in ran} == {("ls", "-l", "--json")}
    assert "s01: exit code 0\n    two\n    lines\n" in said
    assert "s11: exit code 3\n    no such\N{REPLACEMENT CHARACTER} file\n" in said
    assert "s02: is off; skipped" in said
    code, said = lab(capsys, "exec", "--seat", "s02", "--", "ls")
    assert (code, "None of these seats runs" in said) == (Exit.MACHINE, True)
    cli.main(["classroom", "exec", "--json", "--seat", "s01", "--root", "--", "id"])
    seat = json.loads(capsys.readouterr().out)["seats"][0]
    assert (seat["exit_code"], seat["output"]) == (0, "two\nlines\n")
