"""Vagrant with a home and a state of its own."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HOUR = 3600


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
def vagrant(tmp_path_factory: pytest.TempPathFactory) -> Vagrant:
    return Vagrant(tmp_path_factory.mktemp("vagrant"), {})
