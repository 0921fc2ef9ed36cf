"""What begins and ends a line; SSH itself is stood in for by a program that runs the command here."""

import json
import os
import sys

import pytest

from virtlab.errors import Unknown
from virtlab.remote import line as lines
from virtlab.remote.line import Line, Way

SSH = """#!/bin/sh
printf '%s\\n' "$@" >"{folder}/words"
{before}
for word; do
    case $forward in yes) ln -s "${{word#*:}}" "${{word%%:*}}";; esac
    [ "$word" = -L ] && forward=yes || forward=
done
exec sh -c "$word"
"""


@pytest.fixture
def ssh(tmp_path, monkeypatch):
    def make(before=""):
        file = tmp_path / "bin/ssh"
        file.parent.mkdir()
        file.write_text(SSH.format(folder=tmp_path, before=before))
        file.chmod(0o755)
        monkeypatch.setenv("PATH", f"{file.parent}:{os.environ['PATH']}")
        folder = tmp_path / "visit"
        folder.mkdir()
        (folder / "host_key").write_text("ssh-ed25519 AAAA\n")
        return Line(folder, Way("ada", "10.0.0.9", python=sys.executable))

    return make


def test_it_opens_and_leaves_nothing(ssh, tmp_path):
    with ssh() as line:
        assert line.home
        assert 1 <= line.patience <= 10
        assert line.is_open()
        there = line.door.where.resolve().parent
        assert there.stat().st_mode & 0o777 == 0o700
        assert line.door.read(tmp_path / "visit/known_hosts") == b"seat ssh-ed25519 AAAA\n"
    assert not there.exists()
    assert not line.is_open()
    words = (tmp_path / "words").read_text()
    for option in ("StrictHostKeyChecking=yes", "BatchMode=yes", "-l\nada", "/dev/null"):
        assert option in words
    assert "ForwardAgent" not in words


def test_what_a_students_shell_says_first(ssh):
    with ssh("echo Hello; echo '{}'; echo '[1]'; echo '{\"home\": 1}'") as line:
        assert line.is_open()


@pytest.mark.parametrize(
    ("before", "said"),
    [
        ("echo 'Permission denied (publickey).' >&2; exit 255", "Permission denied (publickey)"),
        ("echo 'Host key verification failed.' >&2; exit 255", "another key than the seat has"),
        ("exit 0", "the connection was closed"),
        ("yes | head -c 99999; exec sleep 5", "its shell said"),
        ("exec sleep 5", "no answer within 1 seconds"),
    ],
)
def test_who_does_not_get_in_cannot_tell(ssh, monkeypatch, before, said):
    monkeypatch.setattr(lines, "HELLO", 1)
    monkeypatch.setattr(lines, "END", 0.1)
    with pytest.raises(Unknown) as caught, ssh(before):
        pass
    assert said in caught.value.message
    assert caught.value.do


@pytest.mark.parametrize("said", [b"", b"Hello", b"{}", b"[1]", b"7", b'{"home": 1}', b"[" * 9999])
def test_a_greeting_has_to_be_one(said):
    assert lines._greeting(said) == {}
    assert lines._greeting(json.dumps({"home": "/x", "patience": None}).encode()) == {}
