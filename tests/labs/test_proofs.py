"""Every lab's checks fail unsolved, pass solved, fail again when broken; and its finish leaves nothing."""

import json
import subprocess

import pytest

from virtlab import catalogue, paths

pytestmark = pytest.mark.host

LABS = [lab.slug for lab in catalogue.every()]


@pytest.mark.parametrize("slug", LABS)
def test_a_lab_is_proven(slug):
    done = subprocess.run(
        [paths.ROOT / "lab", "prove", slug, "--json"], stdin=subprocess.DEVNULL, capture_output=True,
        text=True, timeout=900, check=False,
    )  # fmt: skip
    assert done.returncode == 0, _story(done)


def _story(done):
    try:
        said = json.loads(done.stdout)
        bad = [one for one in said["checks"] if not one["proven"]]
        return "\n".join(map(str, [*bad, *said["left"], *said["problems"]]))
    except (ValueError, KeyError):
        return done.stdout + done.stderr
