"""The command line as people call it: exit codes, JSON, errors that say what to do, never a traceback."""

import json
import re
import resource
import subprocess
import sys

import pytest

STARTED = '{"phase": "started", "before": []}'
PASSING = """\
from virtlab.checks import check

@check("Fine", task="net")
def a(seat, lab):
    return "It is."
"""


def begin(kit, slug="90-tiny"):
    """As if it had been started: for what needs no machine."""
    file = kit.data / f"state/{slug}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(STARTED)


def test_help_names_every_command_and_imports_none(kit):
    done = kit.lab("--help")
    assert done.code == 0
    for name in ("up", "list", "start", "grade", "prove", "exit codes"):
        assert name in done.out
    listed = subprocess.run(
        [sys.executable, "-P", "-X", "importtime", "-m", "virtlab", "--help"],
        capture_output=True,
        text=True,
        check=True,
    ).stderr
    for heavy in ("docker", "libvirt", "requests", "yaml", "rich", "ansible_runner", "testinfra", "nbformat"):
        assert not re.search(rf"\| +{heavy}$", listed, re.MULTILINE), f"{heavy} is imported for --help"


@pytest.mark.parametrize("words", [["list"], ["show", "90"], ["status"], ["hint", "90", "net"]])
def test_json_of_what_needs_no_machine(kit, words):
    kit.make("90-tiny", "tiny", docker=False)
    done = kit.lab(*words, "--json")
    assert done.code == 0, done.err
    assert isinstance(done.json, dict)


def test_json_keeps_every_language(kit):
    kit.make("90-tiny", "tiny", docker=False)
    assert kit.lab("show", "90", "--json").json["title"] == {"en": "Tiny", "zh": "小"}


WRONG = [
    ([], 0, "", ""),
    (["strat", "90"], 2, "There is no command 'strat' (did you mean 'start'?).", "`lab --help`"),
    (["show"], 2, "The following arguments are required: LAB.", "`lab show --help`"),
    (["show", "90", "--colour"], 2, "Unrecognized arguments: --colour.", "`lab show --help`"),
    (["show", "nowhere"], 2, "There is no lab 'nowhere'.", "`lab list`"),
    (["grade", "90"], 2, "Lab 90-tiny is not started.", "`lab start 90`"),
    (["solve", "90"], 2, "Lab 90-tiny is not started.", "`lab start 90`"),
    (["hint", "90"], 2, "Lab 90-tiny is not started.", "`lab start 90`"),
    (["solve", "90", "--task", "ent"], 2, "Lab 90-tiny has no task 'ent' (did you mean 'net'?).", "volume"),
    (["start", "90", "--port", "wbe=9000"], 2, "Lab 90-tiny has no port 'wbe'.", "web"),
    (["start", "90", "--port", "web=99"], 2, "Argument --port: 'web=99' is not NAME=PORT", "start --help"),
    (["new", "mylab"], 2, "'mylab' is no name for a lab.", "11-my-lab"),
    (["new", "90-other"], 2, "Number 90 is taken by 90-tiny.", "another number"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "code", "said", "do"), WRONG)
def test_wrong_use_is_explained(kit, words, code, said, do):
    kit.make("90-tiny", "tiny", docker=False)
    done = kit.lab(*words)
    assert done.code == code
    assert "Traceback" not in done.err
    if code:
        first, second = done.err.splitlines()
        assert first.startswith(f"Error: {said}")
        assert second.startswith("What to do: ")
        assert do in second
        told = kit.lab(*words, "--json")
        assert told.code == code
        assert told.json["error"]["exit"] == code
        assert told.json["error"]["message"] == first.removeprefix("Error: ")


def test_grade_exits_by_its_verdict(kit):
    kit.make("90-tiny", "tiny", docker=False, checks_py=PASSING)
    begin(kit)
    assert kit.lab("grade", "90").code == 0
    file = kit.labs / "90-tiny/checks.py"
    file.write_text(PASSING.replace('return "It is."', 'assert False, "It is not."'))
    failed = kit.lab("grade", "90", "--json")
    assert failed.code == 1
    assert failed.json["results"][0].keys() == {
        "id", "task", "title", "state", "message", "hint", "do", "seconds", "broken",
    }  # fmt: skip
    assert (failed.json["passed"], failed.json["total"]) == (0, 1)
    file.write_text(PASSING.replace('return "It is."', "raise KeyError"))
    assert kit.lab("grade", "90").code == 3


def test_without_docker_nobody_can_tell(kit):
    kit.make("90-tiny", "tiny")
    begin(kit)
    done = kit.lab("grade", "90", "--json", DOCKER_HOST="unix:///nowhere/docker.sock")
    assert done.code == 3
    assert {one["state"] for one in done.json["results"]} == {"unknown"}
    assert done.json["results"][0]["message"] == (
        "I cannot reach the Docker daemon (nothing answers at unix:///nowhere/docker.sock)."
    )
    assert "lab up" in done.json["results"][0]["do"]


@pytest.mark.parametrize("verb", ["start", "finish"])
def test_without_docker_nothing_is_half_done(kit, verb):
    kit.make("90-tiny", "tiny")
    done = kit.lab(verb, "90", DOCKER_HOST="tcp://127.0.0.1:1")
    assert done.code == 3
    assert "I cannot reach the Docker daemon" in done.err
    assert not (kit.data / "state/90-tiny.json").exists()


def test_the_unexpected_is_one_line_with_its_log(kit):
    kit.make("90-tiny", "tiny", docker=False)
    (kit.data / "progress.sqlite3").mkdir(parents=True)
    (kit.data / "state").write_text("a file where a folder should be")
    done = kit.lab("status", "90")
    assert done.code == 3
    assert "Traceback" not in done.err
    assert len(done.err.splitlines()) == 2


def test_a_mistake_of_ours_keeps_its_traceback_for_whoever_mends_it(kit):
    kit.make("90-tiny", "tiny", docker=False)
    code = (
        "from virtlab import cli, catalogue\n"
        "def broken(): raise RuntimeError('oh no')\n"
        "catalogue.every = broken\n"
        "raise SystemExit(cli.main(['list']))"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], env=kit.environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 3
    assert done.stderr.startswith(
        "Error: Something unexpected went wrong: RuntimeError: oh no.\nWhat to do: "
    )
    log = next((kit.data / "logs").glob("crash-*.log"))
    assert str(log) in done.stderr
    assert "Traceback" in log.read_text()


def test_a_closed_pipe_is_no_error(kit):
    kit.make("90-tiny", "tiny", docker=False)
    process = kit.popen("list")
    process.stdout.close()
    assert process.wait(timeout=20) == 0
    assert process.stderr.read() == ""


def test_hints_come_one_at_a_time(kit):
    kit.make("90-tiny", "tiny", docker=False, checks_py=PASSING.replace('return "It is."', "assert False"))
    begin(kit)
    first, second, third = (kit.lab("hint", "90", "--json").json for _ in range(3))
    assert (first["task"], first["number"], first["of"], first["hint"]["en"]) == (
        "net",
        1,
        2,
        "Look at docker network.",
    )
    assert (second["number"], second["hint"]["en"]) == (2, "docker network create tiny-net")
    assert third == second
    status = kit.lab("status", "90", "--json").json["labs"][0]
    assert status["hints"] == [["net", 2]]


def test_watching_tells_changes_only_and_ends_cleanly(kit):
    import signal
    import time

    kit.make("90-tiny", "tiny", docker=False, checks_py=PASSING)
    begin(kit)
    process = kit.popen("grade", "90", "--watch", "--json")
    first = json.loads(process.stdout.readline())
    assert first["state"] == "pass"
    (kit.labs / "90-tiny/checks.py").write_text(
        PASSING.replace('return "It is."', 'assert False, "No more."')
    )
    assert json.loads(process.stdout.readline())["message"] == "No more."
    time.sleep(1.5)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=10)
    assert (process.returncode, out, err) == (0, "", "")


def test_the_command_is_small(kit):
    kit.make("90-tiny", "tiny", docker=False)
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    assert kit.lab("list").code == 0
    largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    assert largest == before or largest < 60 * 1024
