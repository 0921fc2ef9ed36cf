"""Vagrant with a home and a state of its own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from virtlab import box, settings

ROOT = Path(__file__).parents[2]
HOUR = 3600
PLAYBOOK = (str(Path(sys.executable).with_name("ansible-playbook")), "playbooks/kit_image.yml")


def run(*command: str | Path) -> str:
    """What it said, or why it failed; and how long it took."""
    began = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=2 * HOUR)
    sys.stderr.write(f"{Path(command[0]).name} {command[1]}: {time.monotonic() - began:.0f} s\n")
    assert done.returncode == 0, f"{done.stdout[-6000:]}\n{done.stderr[-6000:]}"
    return done.stdout


@dataclass
class Vagrant:
    home: Path
    settings: dict[str, str]

    def __call__(self, *arguments: str, cwd: Path = ROOT, **more: str) -> subprocess.CompletedProcess[str]:
        own = {name: value for name, value in os.environ.items() if not name.startswith("VIRTLAB_VM_")}
        return subprocess.run(
            ["vagrant", *arguments], cwd=cwd, capture_output=True, text=True, timeout=2 * HOUR,
            stdin=subprocess.DEVNULL, check=False, env=own | {
                "VAGRANT_HOME": str(self.home / "home"), "VAGRANT_DOTFILE_PATH": str(self.home / "dot"),
                "VAGRANT_CHECKPOINT_DISABLE": "1", **self.settings, **more,
            },
        )  # fmt: skip


@pytest.fixture(scope="session")
def image() -> dict[str, Any]:
    """The disk with the kit inside, built when it is not there or out of date: what stands beside it."""
    run(*PLAYBOOK)
    return dict(json.loads(box.IMAGE.with_suffix(".json").read_text()))


@pytest.fixture(scope="module")
def vagrant(tmp_path_factory: pytest.TempPathFactory) -> Vagrant:
    return Vagrant(tmp_path_factory.mktemp("vagrant"), {})


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

    def ask(self, command: str) -> str:
        return self.vagrant("ssh", "-c", command).stdout

    def comes_back(self) -> None:
        """All that `lab up` made works again: containers return while the machine is already answering."""
        until = time.monotonic() + 900
        while True:
            found = json.loads(self.ask("lab doctor --json"))
            if found["well"] or time.monotonic() > until:
                break
            time.sleep(10)
        assert found["well"], [one for one in found["findings"] if one["state"] == "fail"]


def virsh(*arguments: str) -> str:
    command = ["virsh", "-c", "qemu:///system", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def networks() -> dict[str, str]:
    """libvirt's, with all that is defined of them."""
    names = virsh("net-list", "--all", "--name").split()
    return {name: virsh("net-dumpxml", "--inactive", name) for name in names}


def machine(vagrant: Vagrant, box_name: str, *, memory: int, **settings_of_it: str) -> Iterator[Laptop]:
    """A laptop with nothing on it yet; whatever was made of it is gone in the end."""
    vagrant.settings |= {
        "VAGRANT_DEFAULT_PROVIDER": "libvirt",
        "VIRTLAB_VM_BOX": box_name,
        "VIRTLAB_VM_MEMORY": str(memory),
        "VIRTLAB_VM_DISK": "30",
        "VIRTLAB_VM_DRIVER": settings.host().kvm_host.domain_type,
        **settings_of_it,
    }
    pools = virsh("pool-list", "--all", "--name").split()
    yield Laptop(vagrant, networks())
    vagrant("destroy", "--force")
    now = virsh("pool-list", "--all", "--name").split()
    if "default" in now:  # vagrant-libvirt keeps the box's disk there, and makes the pool if need be
        for line in virsh("vol-list", "default").splitlines():
            if line.split()[:1] and line.split()[0].startswith(("virtlab-", "plain-")):
                virsh("vol-delete", "--pool", "default", line.split()[0])
        if "default" not in pools:
            virsh("pool-destroy", "default")
            virsh("pool-undefine", "default")
