"""A learner of a test's own: a lab started once for all answers, and bash for what the learner types."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from virtlab import checks, lifecycle
from virtlab.catalogue import Lab
from virtlab.seat import Seat

Verdicts = dict[str, tuple[str, str]]  # by check: the state, and what was said


@contextmanager
def started(number: str, folders: pytest.TempPathFactory, *, solved: bool = False) -> Iterator[Lab]:
    """The lab, with data and a workspace that nobody else uses."""
    folder = folders.mktemp("learner")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VIRTLAB_DATA", str(folder / "data"))
        patch.setenv("VIRTLAB_WORKSPACE", str(folder / "work"))
        patch.setenv("DOCKER_CONFIG", str(folder / "docker"))
        lab = lifecycle.start(number).lab
        try:
            if solved:
                lifecycle.solve(number)
            yield lab
        finally:
            lifecycle.finish(number)


def bash(lab: Lab, script: str) -> None:
    """In the learner's folder, with the lab's values and each image under its name: `docker run $nginx`."""
    words = lab.host.base_images.images | {"address": lab.host.registry.address} | lab.environment()
    done = subprocess.run(
        ["bash", "-euc", script], cwd=lab.work, env=os.environ | words, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def verdicts(lab: Lab, task: str = "") -> Verdicts:
    """What all checks say, or those of one task."""
    asked = [one for one in lab.checks if task in ("", one.task)]
    return {one.id: (str(one.state), one.message) for one in checks.run(asked, Seat(), lab)}
