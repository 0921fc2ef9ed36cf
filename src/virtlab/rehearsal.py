"""Run a guide for real, in a folder and with data of its own, so that nobody's own progress is touched.

The same surroundings serve the author who executes a guide and the test that runs it again under nbval:
if they differed, the stored outputs would be compared with something else.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat

from virtlab import claims, values
from virtlab.errors import LabError

# Outputs name the learner's folder, wherever the rehearsal was: tests/notebooks/sanitize.cfg does the same.
PREFIX = "virtlab-guide-"
LEARNER = "~/virtlab"


@dataclass(frozen=True)
class Stage:
    """Where a rehearsal happens."""

    home: Path
    folder: Path
    env: dict[str, str]


@contextmanager
def stage(slug: str) -> Iterator[Stage]:
    """A workspace for one guide. The lab is finished when it closes, however that comes about."""
    for claim in claims.running():
        if claim.slug == slug:      # and after a cell that fails, the next ones would run all the same
            raise claims.refused(claim)
    with tempfile.TemporaryDirectory(prefix=PREFIX) as name:
        home = Path(name)
        (home / "bin").mkdir()
        command = Path(sys.executable).with_name("lab")
        (home / "bin" / "lab").symlink_to(command)
        folder = home / slug
        folder.mkdir()
        (home / "data").mkdir(mode=0o700)
        key = home / "data" / values.key_file().name    # the same values in every rehearsal, on every machine
        key.touch(0o600)
        key.write_text("00" * 32)
        env = os.environ | {
            "VIRTLAB_DATA": str(home / "data"),
            "VIRTLAB_WORKSPACE": str(home),
            "VIRTLAB_LEARNER": "rehearsal",
            "VIRTLAB_STRICT": "1",                      # a failing %lab fails its cell
            "IPYTHONDIR": str(home / "ipython"),        # nothing from the author's own profile
            "PATH": f"{home / 'bin'}:{os.environ['PATH']}",
            "LC_ALL": "C.UTF-8",
            "VIRTLAB_LANG": "en",                       # the language of the stored outputs
            "TERM": "dumb",
            "NO_COLOR": "1",
        }
        try:
            yield Stage(home, folder, env)
        finally:
            if (home / "data/state").exists():          # nothing was started otherwise
                subprocess.run([command, "finish", slug], env=env, cwd=home, check=False, timeout=300,
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def execute(source: Path, timeout: int = 900) -> None:
    """Run every cell of a guide and write its outputs back into it."""
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    guide = nbformat.read(source, as_version=4)
    with stage(source.stem) as here:
        nbformat.write(guide, here.folder / source.name)
        client = NotebookClient(guide, timeout=timeout, kernel_name="python3", record_timing=False,
                                resources={"metadata": {"path": str(here.folder)}})
        try:
            client.execute(env=here.env, transport_encryption="auto")
        except CellExecutionError as error:
            raise LabError(f"{source.name}: a cell failed and nothing was written.\n{error}",
                           do="Mend the cell and execute the guide again.") from None
        for cell in guide.cells:
            tidy(cell, str(here.home))
    guide.metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
                      "language_info": {"name": "python"}}
    nbformat.write(guide, source)


def tidy(cell: Any, home: str) -> None:
    """Take the rehearsal's own folder out of a cell's outputs, and what changes with every run."""
    cell.metadata.pop("execution", None)
    for output in cell.get("outputs", []):
        if "text" in output:
            output["text"] = output["text"].replace(home, LEARNER)
        for mime, value in output.get("data", {}).items():
            if isinstance(value, str):
                output["data"][mime] = value.replace(home, LEARNER)
