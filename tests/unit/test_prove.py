"""The proof finds out labs whose checks are wrong and labs that leave something behind."""

import subprocess

import pytest
from tests.unit.conftest import CHECKS, SOLVE

pytestmark = pytest.mark.host

PREFIX = "unitprove"


@pytest.fixture
def prove(kit):
    def run(**files):
        kit.make("90-tiny", PREFIX, **files)
        return kit.lab("prove", "90", "--json", "--busy")

    yield run
    kit.lab("finish", "90")


def rows(done):
    return {row["id"]: row for row in done.json["checks"]}


def test_a_good_lab_is_proven(kit, prove):
    done = prove()
    assert done.code == 0, done.out
    assert done.json["proven"]
    assert all(row["proven"] for row in done.json["checks"])
    assert kit.lab("status", "--json").json == {"labs": []}  # the learner's progress is untouched
    assert not (kit.data / "proofs/90-tiny").exists()


def test_a_bad_lab_is_found_out(prove):
    """Passes at once, fails with another, cannot be broken; and something is left behind."""
    wrong = CHECKS + (
        '\n\n@check("Always", task="net")\ndef always(seat, lab):\n    pass\n'
        '\n\n@check("Copy", task="net")\ndef copy(seat, lab):\n    network(seat, lab)\n'
        "\n\n@copy.broken_by\ndef _(seat, lab):\n    pass\n"
    )
    leak = SOLVE + (
        "    - name: A leak\n      ansible.builtin.command: docker volume create leaked-PREFIX-volume\n"
        "      changed_when: true\n"
    )
    try:
        done = prove(checks_py=wrong, solve_yml=leak)
    finally:
        subprocess.run(["docker", "volume", "rm", f"leaked-{PREFIX}-volume"], check=True, capture_output=True)
    assert done.code == 1
    found = rows(done)
    assert found["always"]["fresh"] == "passes although nothing was done"
    assert found["always"]["broken"] == "has no broken_by"
    assert found["copy"]["broken"] == "still passes when its outcome is broken"
    assert found["network"]["broken"] == "takes copy with it"
    assert found["volume"]["proven"]
    assert f"after the finish: volume left behind: leaked-{PREFIX}-volume" in done.json["left"]


def test_a_check_that_breaks_by_itself_is_found_out(prove):
    done = prove(checks_py=CHECKS.replace("assert lab.name", "assert undefined and lab.name"))
    assert done.code == 1
    assert "NameError" in rows(done)["volume"]["fresh"]


def test_a_lab_in_use_is_not_taken_apart(kit, prove):
    kit.make("91-other", PREFIX)
    assert kit.lab("start", "91").code == 0
    try:
        refused = kit.lab("prove", "91")
        assert refused.code == 3
        assert "Lab 91-other is started on this machine" in refused.err
    finally:
        assert kit.lab("finish", "91").code == 0


def test_a_killed_proof_is_cleaned_up_by_the_next(kit, prove):
    import time

    kit.make("90-tiny", PREFIX)
    process = kit.popen("prove", "90", "--busy")
    until = time.monotonic() + 30
    while f"{PREFIX}-data" not in _volumes() and time.monotonic() < until:
        time.sleep(0.1)
    process.kill()
    process.communicate()
    assert f"{PREFIX}-data" in _volumes()
    done = kit.lab("prove", "90", "--busy", "--json")
    assert done.code == 0, done.out
    assert f"{PREFIX}-data" not in _volumes()


def _volumes():
    return subprocess.run(
        ["docker", "volume", "ls", "-q"], capture_output=True, text=True, check=True
    ).stdout.split()
