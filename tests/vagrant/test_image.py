"""The disk with the kit inside, built if need be: described, not built twice, no secret or identity in it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.vagrant.conftest import PLAYBOOK, run

from virtlab import __version__, box, paths

pytestmark = pytest.mark.host


@pytest.fixture(scope="module")
def disk(image: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    raw = tmp_path_factory.mktemp("image") / "disk.raw"
    run("qemu-img", "convert", "-O", "raw", box.IMAGE, raw)
    yield raw
    raw.unlink()


def inside(disk: Path, request: str) -> str:
    table = json.loads(run("sfdisk", "--json", disk))["partitiontable"]
    root = max(table["partitions"], key=lambda one: int(one["size"]))
    return run("debugfs", "-R", request, f"{disk}?offset={int(root['start']) * box.SECTOR}")


def names(disk: Path, folder: str) -> set[str]:
    """In a folder of the disk: `/inode/mode/uid/gid/name/size/` a line."""
    lines = (line.split("/") for line in inside(disk, f"ls -p {folder}").splitlines())
    return {one[5] for one in lines if len(one) > 5} - {".", ".."}


def test_it_is_described(image: dict[str, Any]) -> None:
    assert image["version"] == __version__
    assert image["size"] == box.IMAGE.stat().st_size < 2 * box.GB
    assert image["virtual_size"] == 20 << 30
    with box.IMAGE.open("rb") as file:
        assert image["sha256"] == hashlib.file_digest(file, "sha256").hexdigest()
    assert image["seconds"] > 60


def test_the_second_run_changes_nothing(image: dict[str, Any]) -> None:
    recap = run(*PLAYBOOK).partition("PLAY RECAP")[2]
    assert "changed=0" in recap


def test_it_has_no_identity(disk: Path) -> None:
    assert "lab" in names(disk, "/usr/local/bin")  # it is the kit's, and this way of looking works
    assert not inside(disk, "cat /etc/machine-id").strip()
    assert not [one for one in names(disk, "/etc/ssh") if one.startswith("ssh_host_")]
    assert names(disk, "/var/lib/virtlab/secrets") == set()
    assert "registry" not in names(disk, "/var/lib/virtlab")
    for home in ("/root", "/home/learner"):
        assert not {".ssh", ".cache", ".local", ".config"} & names(disk, home)
    assert re.search("^deb http[^@]+$", inside(disk, "cat /etc/apt/sources.list"))
    assert "99mmdebstrap" not in names(disk, "/etc/apt/apt.conf.d")  # this machine's proxy


def test_it_has_no_secret_of_this_machine(disk: Path) -> None:
    """Nowhere on it, whatever the file."""
    secrets = {path.name: path.read_text().strip() for path in paths.SECRETS.iterdir() if path.is_file()}
    secrets |= {path.name: path.read_text().strip() for path in Path("/etc/ssh").glob("ssh_host_*_key")}
    words = {name: max(text.splitlines(), key=len) for name, text in secrets.items() if len(text) > 8}
    assert "jupyter_token" in words
    for name, value in os.environ.items():  # an index's own password
        if name.startswith(("PIP_", "UV_")) and (password := urlsplit(value).password):
            words[name] = password
    found = _found(disk, set(words.values()))
    assert not [name for name, word in words.items() if word in found]


def _found(disk: Path, words: set[str]) -> set[str]:
    """They are in no process list."""
    grep = ["grep", "--only-matching", "--fixed-strings", "--binary-files=text", "--file=-", disk]
    done = subprocess.run(grep, input="\n".join(words) + "\n", capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    return set(done.stdout.splitlines())
