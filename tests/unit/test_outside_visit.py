"""The way in: what the guest agent does in a seat, done here to a home of the test's own."""

import re
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from virtlab.errors import MachineError
from virtlab.hub import keys, visit

OTHER = "ssh-ed25519 AAAAsomebody teacher@school"


@pytest.fixture
def seat(tmp_path):
    """Runs a script as in the seat; getent says where home is, and chown needs not be root."""
    home, programs = tmp_path / "home", tmp_path / "bin"
    home.mkdir()
    programs.mkdir()
    for name, text in {"getent": f"echo 'ada:x:1000:1000::{home}:/bin/sh'", "chown": ":"}.items():
        (programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (programs / name).chmod(0o755)
    (tmp_path / "ssh_host_ed25519_key.pub").write_text("ssh-ed25519 AAAAhost root@seat\n")

    def run(script, *words):
        script = script.replace("/etc/ssh", str(tmp_path)).replace("/run/", f"{tmp_path}/")
        return subprocess.run(
            ["/bin/sh", "-s", "ada", *words], input=script, text=True, capture_output=True, check=True,
            env={"PATH": f"{programs}:/usr/bin:/bin"},
        ).stdout  # fmt: skip

    run.file = home / ".ssh/authorized_keys"
    return run


@pytest.mark.parametrize("before", [None, "", f"{OTHER}\n", OTHER, f"# mine\n{OTHER}\n"])
def test_a_key_comes_and_goes_and_the_students_stay(seat, before):
    if before is not None:
        seat.file.parent.mkdir()
        seat.file.write_text(before)
    _, public = keys.pair()
    own = visit.line(public, "virtlab-visit-1", 1_800_000_000)
    said = seat(visit.ADMIT, own)
    assert visit.host_key(said, "seat") == "ssh-ed25519 AAAAhost"
    assert own in seat.file.read_text().splitlines()
    other = visit.line(keys.pair()[1], "virtlab-visit-2", 1_800_000_000)
    seat(visit.ADMIT, other)  # somebody else visits as well
    seat(visit.DISMISS, "virtlab-visit-1")
    assert own not in seat.file.read_text()
    assert other in seat.file.read_text().splitlines()
    seat(visit.DISMISS, "virtlab-visit-2")
    seat(visit.DISMISS, "virtlab-visit-2")
    left = seat.file.read_text() if seat.file.exists() else ""
    assert left.strip() == (before or "").strip()
    assert seat.file.exists() == bool(before)


def test_visits_at_once_do_not_undo_each_other(seat):
    def come_and_go(number):
        own = visit.line("ssh-ed25519 AAAA", f"virtlab-visit-{number:03}", 1_800_000_000)
        seat(visit.ADMIT, own)
        there = own in seat.file.read_text().splitlines()
        seat(visit.DISMISS, f"virtlab-visit-{number:03}")
        return there

    seat.file.parent.mkdir()
    seat.file.write_text(f"{OTHER}\n")
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(come_and_go, range(40)))
    assert seat.file.read_text() == f"{OTHER}\n"


def test_the_key_is_for_looking_and_ends_by_itself():
    private, public = keys.pair()
    said = visit.line(public, "virtlab-visit-1", 1_800_000_000)
    assert said == f'restrict,port-forwarding,expiry-time="202701150800Z" {public} virtlab-visit-1'
    assert re.match(r"ssh-ed25519 \S+$", public)
    assert "PRIVATE KEY" in private


@pytest.mark.parametrize("said", ["", "nothing", "ssh-rsa AAAA", "-----BEGIN"])
def test_a_seat_without_a_host_key_is_not_visited(said):
    with pytest.raises(MachineError, match="host key"):
        visit.host_key(said, "vlt-010")


def test_files_are_of_nobody_else(tmp_path):
    visit.write(tmp_path / "key", "secret")
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
