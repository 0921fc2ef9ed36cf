"""The whole way, for real: the ready box, `vagrant up`, a lab, off and on again, destroyed. In this order."""

from __future__ import annotations

import json
import os
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.vagrant.conftest import ADDRESS, ROOT, Laptop, Vagrant, machine, networks, run, virsh

from virtlab import box

pytestmark = pytest.mark.host
LAB = str(ROOT / "lab")
OWN = "virtlab-laptop"


@pytest.fixture(scope="module")
def laptop(vagrant: Vagrant) -> Iterator[Laptop]:
    yield from machine(vagrant, "ready", memory=3072)


def test_the_ready_box_is_registered(laptop: Laptop, image: dict[str, Any]) -> None:
    newest = max((one.stat().st_mtime for one in box.FOLDER.glob(f"{box.NAME}-libvirt-*.box")), default=0.0)
    if newest < Path(image["path"]).stat().st_mtime:
        run(LAB, "box", "build")
    done = subprocess.run(
        [LAB, "box", "add"], check=True, capture_output=True, text=True,
        env=os.environ | {"VAGRANT_HOME": str(laptop.vagrant.home / "home")},
    )  # fmt: skip
    assert "virtlab-" in done.stdout


def test_up_prints_the_address(laptop: Laptop) -> None:
    laptop.output = laptop.do("up")
    assert len({found[0] for found in ADDRESS.finditer(laptop.output)}) == 1, laptop.output[-3000:]
    assert OWN in networks(), "the machine is on a network of its own"


def test_jupyterlab_answers_through_the_forwarded_port(laptop: Laptop) -> None:
    assert "kernels" in json.loads(laptop.open("/api/status"))
    assert b"jupyter" in laptop.open("/lab").lower()
    with pytest.raises(urllib.error.HTTPError, match="403"):
        laptop.open("/api/contents", token="0" * 48)


def test_the_same_address_over_ssh(laptop: Laptop) -> None:
    said = laptop.lab("jupyter", "url")
    assert ADDRESS.search(said)[0] == ADDRESS.search(laptop.output)[0]  # type: ignore[index]


def test_the_larger_disk_is_used_and_libvirt_is_the_learners(laptop: Laptop) -> None:
    asked = "df --output=size --block-size=1G / | tail -n 1; virsh -c qemu:///system net-list --name"
    size, network = laptop.vagrant("ssh", "-c", asked).stdout.split()
    assert int(size) > 25
    assert network == "virtlab"


def test_doctor_says_how_guests_run(laptop: Laptop) -> None:
    findings = {one["id"]: one for one in json.loads(laptop.lab("doctor", "--json"))["findings"]}
    emulated = laptop.vagrant.settings["VIRTLAB_VM_DRIVER"] == "qemu"
    assert ("emulated" if emulated else "Nested virtualization works") in findings["kvm"]["seen"]


def test_a_lab_from_start_to_finish(laptop: Laptop) -> None:
    laptop.lab("start", "05")
    laptop.lab("grade", "05", code=1)
    laptop.lab("solve", "05")
    laptop.lab("grade", "05")
    assert json.loads(laptop.lab("finish", "05", "--json"))["left"] == []


def test_provisioning_again_changes_nothing(laptop: Laptop) -> None:
    assert " 0 changed" in laptop.do("provision")


def test_off_and_on_again_everything_works(laptop: Laptop) -> None:
    laptop.do("halt")
    laptop.output = laptop.do("up")
    assert "kernels" in json.loads(laptop.open("/api/status"))
    laptop.comes_back()


def test_destroyed_nothing_is_left_and_other_networks_are_as_before(laptop: Laptop) -> None:
    laptop.do("destroy", "--force")
    now = networks()
    assert OWN not in now
    assert {name: now.get(name) for name in laptop.networks} == laptop.networks
    assert not [name for name in virsh("list", "--all", "--name").split() if name.startswith("virtlab_")]
