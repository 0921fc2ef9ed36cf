"""The provisioner in a plain Debian with SSH and systemd; also shows the roles on such a host. In order."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.vagrant.conftest import ROOT, Laptop, Vagrant, machine, run

from virtlab import paths

pytestmark = pytest.mark.host
FOLDER = paths.CACHE / "plain-box"
BOX = "plain-debian-12"


@pytest.fixture(scope="module")
def laptop(vagrant: Vagrant, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laptop]:
    run(ROOT / "tests/vagrant/build-plain-box", FOLDER, "bookworm", ROOT / "vagrant/insecure.pub")
    added = vagrant("box", "add", "--name", BOX, str(FOLDER / "plain.box"))
    assert added.returncode == 0, added.stderr
    more = {}
    if own := sorted(Path("/usr/local/share/ca-certificates").glob("*.crt")):  # this network opens TLS
        ca = tmp_path_factory.mktemp("ca") / "own.pem"
        ca.write_text("".join(one.read_text() for one in own))
        more["VIRTLAB_VM_CA"] = str(ca)
    yield from machine(vagrant, BOX, memory=6144, **more)
    subprocess.run(["rm", "-rf", "--one-file-system", FOLDER], check=True)


def test_up_makes_it_a_lab_host(laptop: Laptop) -> None:
    laptop.output = laptop.do("up")
    assert "kernels" in json.loads(laptop.open("/api/status"))


def test_it_is_what_the_others_are_not(laptop: Laptop) -> None:
    assert laptop.ask("cat /proc/1/comm; stat -fc %T /sys/fs/cgroup").split() == ["systemd", "cgroup2fs"]
    size = int(laptop.ask("df --output=size --block-size=1G / | tail -n 1"))
    assert size > 25, "the root file system took the larger disk"


def test_doctor_is_content(laptop: Laptop) -> None:
    laptop.comes_back()


def test_provisioning_again_changes_nothing(laptop: Laptop) -> None:
    assert " 0 changed" in laptop.do("provision")


@pytest.mark.parametrize("number", ["05", "04", "06"])
def test_proof(laptop: Laptop, number: str) -> None:
    laptop.lab("prove", number)


def test_a_lab_with_guests(laptop: Laptop) -> None:
    """Guests of an emulated machine are emulated twice: a proof starts them twenty times, and takes hours."""
    if laptop.vagrant.settings["VIRTLAB_VM_DRIVER"] == "kvm":
        laptop.lab("prove", "10")
        return
    for verb in ("start", "solve", "grade"):
        laptop.lab(verb, "10")
    assert json.loads(laptop.lab("finish", "10", "--json"))["left"] == []


def test_off_and_on_again_everything_works(laptop: Laptop) -> None:
    laptop.do("halt")
    laptop.output = laptop.do("up")
    assert "kernels" in json.loads(laptop.open("/api/status"))
    laptop.comes_back()


def test_down_leaves_nothing(laptop: Laptop) -> None:
    laptop.lab("down", "--yes")
    left = "sudo docker ps -aq; sudo docker volume ls -q; sudo virsh list --all --name"
    assert laptop.ask(f"{left}; systemctl is-active jupyterlab").split() == ["inactive"]
