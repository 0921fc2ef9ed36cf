"""Is what a guide shows still true? Read it for cells nobody ran, then run it again and compare."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat

from virtlab import rehearsal

SANITIZE = Path(__file__).with_name("sanitize.cfg")


def faults(source: Path) -> Iterator[str]:
    """What nbval would let pass: it does not compare a cell that has never run."""
    expected = 0
    for number, cell in enumerate(nbformat.read(source, as_version=4).cells, 1):
        if cell.cell_type != "code":
            continue
        expected += 1
        if cell.execution_count != expected:
            yield (f"cell {number}: run as number {cell.execution_count}, expected {expected}. "
                   f"Execute the guide: .venv/bin/python -m virtlab.guides execute {source.stem}")
        if "raises-exception" in cell.metadata.get("tags", []):
            continue
        for output in cell.outputs:
            if output.output_type == "error":
                yield f"cell {number}: ended in {output.ename}: {output.evalue}"


def run_again(source: Path, seconds: int = 900) -> subprocess.CompletedProcess[str]:
    """nbval, in the surroundings the outputs were made in."""
    with rehearsal.stage(source.stem) as here:
        copy = here.folder / source.name
        copy.write_bytes(source.read_bytes())
        return subprocess.run(
            [sys.executable, "-m", "pytest", "--nbval", "--nbval-sanitize-with", SANITIZE,
             "--nbval-cell-timeout", "600", "--rootdir", here.folder, "-c", "/dev/null",
             "-p", "no:cacheprovider", "--color=no", "-q", copy],
            cwd=here.folder, env=here.env, capture_output=True, text=True, timeout=seconds, check=False)
