"""Time limits follow the machine."""

import time

import pytest

from virtlab import checks, patience


@pytest.fixture
def loop(monkeypatch):
    """Make the measured loop take so many seconds."""
    patience.times.cache_clear()
    yield lambda took: monkeypatch.setattr(patience, "_once", lambda: took)
    patience.times.cache_clear()


def test_what_is_measured(loop):
    began = time.perf_counter()
    assert 1 <= patience.times() <= patience.MOST
    first, began = time.perf_counter() - began, time.perf_counter()
    patience.times()
    assert time.perf_counter() - began < first / 10  # measured once


@pytest.mark.parametrize(("took", "times"), [(0.0001, 1), (0.0014, 1), (0.004, 4), (0.9, 10)])
def test_never_less_than_written_never_more_than_somebody_waits(loop, took, times):
    loop(took)
    assert patience.seconds(5) == 5 * times


@pytest.mark.parametrize(("took", "state"), [(0.0005, "unknown"), (0.01, "pass")])
def test_a_check_may_take_longer_where_everything_does(loop, took, state):
    loop(took)

    @checks.check("Slow", task="one", seconds=0.1)
    def slow(seat, lab):
        time.sleep(0.4)

    (result,) = checks.run([slow], None, None)
    assert result.state == state
    if state == "unknown":
        assert result.message == "No answer within 0.1 seconds."
