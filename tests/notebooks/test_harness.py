"""The harness itself: it must be able to say no."""

from pathlib import Path

import harness

FIXTURES = Path(__file__).with_name("fixtures")


def test_a_true_guide_passes() -> None:
    source = FIXTURES / "true.ipynb"
    assert not list(harness.faults(source))
    done = harness.run_again(source)
    assert done.returncode == 0, done.stdout


def test_a_changed_output_fails() -> None:
    done = harness.run_again(FIXTURES / "changed.ipynb")
    assert done.returncode == 1
    assert "Cell outputs differ" in done.stdout


def test_outputs_taken_out_fail() -> None:
    done = harness.run_again(FIXTURES / "stripped.ipynb")
    assert done.returncode == 1
    assert "Cell outputs differ" in done.stdout


def test_a_cell_nobody_ran_fails() -> None:
    source = FIXTURES / "unexecuted.ipynb"
    assert harness.run_again(source).returncode == 0        # which is why we look ourselves
    assert [fault.partition(":")[0] for fault in harness.faults(source)] == ["cell 2"]


def test_an_error_nobody_meant_fails() -> None:
    assert [fault.partition(":")[0] for fault in harness.faults(FIXTURES / "error.ipynb")] == ["cell 1"]
