"""Vagrant with a home and a state of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from virtlab import box

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
