"""The whole way, for real: the ready box, `vagrant up`, a lab, off and on again, destroyed. In this order."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.vagrant.conftest import ROOT, Vagrant, run

from virtlab import box, settings

pytestmark = pytest.mark.host
LAB = str(ROOT / "lab")
OWN = "virtlab-laptop"
ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)(/lab\?token=([0-9a-f]+))")


@dataclass
class Laptop:
    vagrant: Vagrant
    networks: dict[str, str]
    output: str = ""

    def do(self, *arguments: str) -> str:
        began = time.monotonic()
        done = self.vagrant(*arguments)
        sys.stderr.write(f"vagrant {' '.join(arguments)}: {time.monotonic() - began:.0f} s\n")
        assert done.returncode == 0, f"{done.stdout[-6000:]}\n{done.stderr[-6000:]}"
        return done.stdout

    def lab(self, *arguments: str, code: int = 0) -> str:
        """As a learner would, over `vagrant ssh`."""
        began = time.monotonic()
        done = self.vagrant("ssh", "-c", f"lab {' '.join(arguments)}")
        sys.stderr.write(f"lab {' '.join(arguments)}: {time.monotonic() - began:.0f} s\n")
        assert done.returncode == code, f"{done.stdout[-6000:]}\n{done.stderr[-6000:]}"
        return done.stdout

    def open(self, path: str, token: str = "") -> bytes:
        """From this machine, through the forwarded port."""
        found = ADDRESS.search(self.output)
        assert found, self.output[-3000:]
        url = f"http://127.0.0.1:{found[1]}{path}?token={token or found[3]}"
        with urllib.request.urlopen(url, timeout=120) as answer:
            return bytes(answer.read())


def virsh(*arguments: str) -> str:
    command = ["virsh", "-c", "qemu:///system", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def networks() -> dict[str, str]:
    """libvirt's, with all that is defined of them."""
    names = virsh("net-list", "--all", "--name").split()
    return {name: virsh("net-dumpxml", "--inactive", name) for name in names}


@pytest.fixture(scope="module")
def laptop(vagrant: Vagrant) -> Iterator[Laptop]:
    vagrant.settings |= {
        "VAGRANT_DEFAULT_PROVIDER": "libvirt",
        "VIRTLAB_VM_BOX": "ready",
        "VIRTLAB_VM_MEMORY": "3072",
        "VIRTLAB_VM_DISK": "30",
        "VIRTLAB_VM_DRIVER": settings.host().kvm_host.domain_type,
    }
    pools = virsh("pool-list", "--all", "--name").split()
    yield Laptop(vagrant, networks())
    vagrant("destroy", "--force")
    now = virsh("pool-list", "--all", "--name").split()
    if "default" in now:  # vagrant-libvirt keeps the box's disk there, and makes the pool if need be
        for line in virsh("vol-list", "default").splitlines():
            if line.split()[:1] and line.split()[0].startswith("virtlab-"):
                virsh("vol-delete", "--pool", "default", line.split()[0])
        if "default" not in pools:
            virsh("pool-destroy", "default")
            virsh("pool-undefine", "default")


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
    until = time.monotonic() + 600
    while True:  # containers come back while the machine is already answering
        found = json.loads(laptop.vagrant("ssh", "-c", "lab doctor --json").stdout)
        if found["well"] or time.monotonic() > until:
            break
        time.sleep(10)
    assert found["well"], [one for one in found["findings"] if one["state"] == "fail"]


def test_destroyed_nothing_is_left_and_other_networks_are_as_before(laptop: Laptop) -> None:
    laptop.do("destroy", "--force")
    now = networks()
    assert OWN not in now
    assert {name: now.get(name) for name in laptop.networks} == laptop.networks
    assert not [name for name in virsh("list", "--all", "--name").split() if name.startswith("virtlab_")]
