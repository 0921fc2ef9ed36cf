"""Run one role for real, as `lab up` does, and read the recap."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


class Converged:
    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        self.output = done.stdout + done.stderr
        self.ok = done.returncode == 0
        recap = done.stdout.partition("PLAY RECAP")[2]
        self.counts = {name: int(count) for name, count in re.findall(r"(\w+)=(\d+)", recap)}

    @property
    def changed(self) -> int:
        assert self.ok, self.output
        return self.counts["changed"]


def converge(role: str, variables: dict[str, Any], *more: str) -> Converged:
    return Converged(
        subprocess.run(
            [
                Path(sys.executable).with_name("ansible-playbook"),
                "tests/roles/role.yml",
                "-e",
                json.dumps({"role": role, **variables}),
                *more,
            ],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
    )
