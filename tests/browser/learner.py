"""A second JupyterLab for the browser: another port, token, workspace and progress than the learner's."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from virtlab import workspace

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
NAME = "jupyterlab-browser"
SETTINGS = {
    "@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"},        # every cell is in the page
    "@jupyterlab/terminal-extension:plugin": {"screenReaderMode": True},        # text instead of pixels
}


@dataclass
class Learner:
    """Somebody who has JupyterLab open for the first time."""

    home: Path
    prefix: str = "/"
    language: str = "en"

    @property
    def workspace(self) -> Path:
        return self.home / "virtlab"

    @property
    def data(self) -> Path:
        return self.home / "data"

    def arrive(self) -> str:
        """Set it up; the address that `lab up` prints."""
        self._converge()
        return workspace.address(NAME)

    def leave(self) -> None:
        self.forget()
        self._converge(jupyterlab_state="absent")

    def speak(self, language: str) -> None:
        """From now on in this language; JupyterLab is started again, if it spoke another."""
        if language != self.language:
            self._converge(jupyterlab_language=language)
        self.language = language

    def lab(self, *words: str) -> str:
        """`lab …` in a terminal of this learner's; what it said."""
        env = os.environ | {"VIRTLAB_WORKSPACE": str(self.workspace), "VIRTLAB_DATA": str(self.data)}
        done = subprocess.run([BIN / "lab", *words], env=env, capture_output=True, text=True,
                              timeout=120, check=False)
        return done.stdout

    def forget(self) -> None:
        """Nothing runs, nothing was ever done, and no page is open; the files stay."""
        for layout in (self.workspace / ".jupyter").rglob("*.jupyterlab-workspace"):
            layout.unlink()
        if self.data.exists():
            self.lab("finish", "05")
            shutil.rmtree(self.data)

    def watchers(self) -> int:
        """How many processes follow a lab of this learner."""
        found = 0
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                words = (entry / "cmdline").read_text().split("\0")
                found += "virtlab.watch" in words and str(self.data) in (entry / "environ").read_text()
            except OSError:
                continue
        return found

    def _converge(self, **more: Any) -> None:
        variables = {
            "jupyterlab_name": NAME, "jupyterlab_port": 8991, "jupyterlab_base_url": self.prefix,
            "jupyterlab_token": "jupyter_token_browser",
            "jupyterlab_workspace": str(self.workspace), "jupyterlab_data": str(self.workspace / ".jupyter"),
            "jupyterlab_environment": {"VIRTLAB_DATA": str(self.data), "PROMPT_DIRTRIM": "1"},
            "jupyterlab_settings": SETTINGS,
        }
        said = json.dumps(variables | more)
        done = subprocess.run([BIN / "ansible-playbook", "tests/roles/jupyterlab.yml", "-e", said],
                              cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
