"""docs/instructors.md shows what the commands beside it really print."""

import re
import subprocess
import sys

from virtlab import paths

DOCUMENT = (paths.ROOT / "docs/instructors.md").read_text()


def bench(*words: str) -> list[str]:
    command = [sys.executable, paths.ROOT / "bench/class.py", *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def test_the_sizing_table() -> None:
    assert "\n".join(bench("--sizing")) in DOCUMENT


def test_the_simulation() -> None:
    """All but the last column, which is the time of a decision."""
    head, rule, *rows = bench()
    assert f"{head}\n{rule}\n" in DOCUMENT
    assert len(rows) == 12
    missing = [row for row in rows if row.rpartition(" | ")[0] not in DOCUMENT]
    assert missing == []


def test_commands_in_it_have_these_options() -> None:
    text = (paths.ROOT / "docs/commands.md").read_text()
    for verb, options in re.findall(r"^\./lab classroom (\w+) (.*?)(?:#|$)", DOCUMENT, re.M):
        section = text.partition(f"### `lab classroom {verb}`")[2].partition("\n### ")[0]
        assert section
        assert [one for one in re.findall(r"--\w+", options) if one not in section] == []
