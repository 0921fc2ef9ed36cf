"""Every guide: all of it was executed, and running it again shows the same."""

from pathlib import Path

import harness
import pytest

from virtlab import paths

GUIDES = sorted(paths.NOTEBOOKS.glob("*.ipynb"))


@pytest.fixture(params=GUIDES, ids=lambda source: source.stem)
def guide(request: pytest.FixtureRequest) -> Path:
    return request.param


def test_every_cell_was_executed(guide: Path) -> None:
    assert not list(harness.faults(guide))


@pytest.mark.host
def test_it_still_shows_what_it_says(guide: Path) -> None:
    done = harness.run_again(guide)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
