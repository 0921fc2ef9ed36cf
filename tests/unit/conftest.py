"""A kit of its own for each test: labs, data, a workspace, all temporary, and the real command line."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from virtlab import paths

LAB_YML = """\
title: {en: Tiny, zh: 小}
summary: {en: A network and a volume.}
track: containers
minutes: 5
prefix: PREFIX
ports: {web: 8197}
needs: {docker: DOCKER}
tasks:
  - id: net
    title: {en: A network}
    hints:
      - {en: Look at docker network.}
      - {en: docker network create PREFIX-net}
  - id: volume
    title: {en: A volume}
"""

CHECKS = """\
from virtlab.checks import check


@check("There is a network", task="net", hint="docker network ls")
def network(seat, lab):
    assert seat.docker.networks.list(names=[lab.name("net")]), f"There is no network {lab.name('net')}."
    return "The network is there."


@network.broken_by
def _(seat, lab):
    seat.docker.networks.get(lab.name("net")).remove()


@check("There is a volume", task="volume", hint="docker volume ls")
def volume(seat, lab):
    assert lab.name("data") in [one.name for one in seat.docker.volumes.list()], "There is no volume."


@volume.broken_by
def _(seat, lab):
    seat.docker.volumes.get(lab.name("data")).remove()
"""

PLAY = """\
- name: A play
  hosts: lab_host
  gather_facts: false
  tasks: []
"""

SOLVE = """\
- name: Solve
  hosts: lab_host
  gather_facts: false
  tasks:
    - name: A network
      tags: [net]
      ansible.builtin.shell: docker network inspect PREFIX-net || docker network create PREFIX-net
      changed_when: true
    - name: A volume
      tags: [volume]
      ansible.builtin.command: docker volume create PREFIX-data
      changed_when: true
"""


@dataclass
class Done:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Kit:
    root: Path
    env: dict[str, str] = field(default_factory=dict)

    @property
    def labs(self) -> Path:
        return self.root / "labs"

    @property
    def data(self) -> Path:
        return self.root / "data"

    def make(self, slug: str, prefix: str, *, docker: bool = True, **files: str) -> Path:
        """A small lab; `files` replaces some of its files: checks_py="…"."""
        folder = self.labs / slug
        folder.mkdir(parents=True)
        texts = {
            "lab_yml": LAB_YML,
            "checks_py": CHECKS,
            "start_yml": PLAY,
            "solve_yml": SOLVE,
            "finish_yml": PLAY,
        }
        for name, text in (texts | files).items():
            words = text.replace("PREFIX", prefix).replace("DOCKER", str(docker).lower())
            (folder / name.replace("_yml", ".yml").replace("_py", ".py")).write_text(words)
        return folder

    def environment(self, **more: str) -> dict[str, str]:
        own = {
            "VIRTLAB_LABS": self.labs, "VIRTLAB_DATA": self.data, "VIRTLAB_WORKSPACE": self.root / "work",
            "VIRTLAB_CLAIMS": self.root / "started",
        }  # fmt: skip
        return os.environ | {name: str(path) for name, path in own.items()} | self.env | more

    def popen(self, *words: str, **more: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "virtlab", *words],
            env=self.environment(**more), cwd=self.root, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def lab(self, *words: str, **more: str) -> Done:
        """The real command line, in a process of its own."""
        process = self.popen(*words, **more)
        out, err = process.communicate(timeout=120)
        return Done(process.returncode, out, err)


@pytest.fixture(autouse=True)
def environment():
    """`%lab start` puts the lab's values into its process's environment; the next test has none of them."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def kit(tmp_path, monkeypatch) -> Kit:
    made = Kit(tmp_path)
    made.labs.mkdir()
    monkeypatch.setattr(paths, "LABS", made.labs)
    monkeypatch.setattr(paths, "NOTEBOOKS", tmp_path / "notebooks")
    monkeypatch.setattr(paths, "CLAIMS", tmp_path / "started")
    monkeypatch.setenv("VIRTLAB_DATA", str(made.data))
    monkeypatch.setenv("VIRTLAB_WORKSPACE", str(tmp_path / "work"))
    return made
