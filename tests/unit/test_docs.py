"""The documents show what the kit really makes."""

import re
from pathlib import Path

import pytest

from virtlab import doctor, paths, scaffold

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


def test_every_finding_of_the_doctor_is_documented() -> None:
    text = (paths.ROOT / "docs/commands.md").read_text()
    section = text.partition("### `lab doctor`")[2].partition("\n### ")[0]
    known = without_number(re.findall(r"`([a-z0-9._-]+)`", section))
    found = without_number([one.id for one in doctor.examine() if one.group not in ("ports", "labs")])
    assert "cpus" in found
    assert not found - known


def without_number(names: list[str]) -> set[str]:
    """disk.2 is one more of disk."""
    return {re.sub(r"\.\d+$", "", name) for name in names}
