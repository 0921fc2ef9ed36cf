"""The documents show what the kit really makes."""

import re
from pathlib import Path

import pytest

from virtlab import paths, scaffold

BLOCKS = re.findall(r"^```\w+\n# (\S+)\n(.*?)^```", (paths.ROOT / "docs/authors.md").read_text(), re.M | re.S)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    labs = tmp_path_factory.mktemp("project") / "labs"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paths, "LABS", labs)
        patch.setattr(paths, "NOTEBOOKS", labs.parent / "notebooks")
        return scaffold.make("11-my-lab").lab.folder


@pytest.mark.parametrize(("name", "block"), BLOCKS, ids=[name for name, _ in BLOCKS])
def test_the_authors_example_is_what_lab_new_makes(lab: Path, name: str, block: str) -> None:
    assert block in (lab / name).read_text()


def test_the_example_is_there() -> None:
    assert {name for name, _ in BLOCKS} == {"lab.yml", "solve.yml", "checks.py"}
