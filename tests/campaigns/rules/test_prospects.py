import pytest

from otaserver.campaigns.rules.prospects import Tally, prospect

RUNS = [
    [(0.0, "length", 100), (30.0, "failed", 2), (90.0, "succeeded", 4)],
    [(0.0, "length", 100), (90.0, "succeeded", 6), (90.0, "neutral", 1)],
]


def test_the_mean_of_the_runs_holds_each_moment_in_its_bar():
    found = prospect(RUNS, most=4)

    assert found.bar_seconds == 23
    assert found.bars == [Tally(length=100), Tally(failed=1), Tally(), Tally(succeeded=5, neutral=0.5)]
    assert found.in_the_end == Tally(5, 1, 0.5, 100)


def test_what_is_reached_grows_evenly_within_a_bar_and_no_more_after_the_last():
    found = prospect(RUNS, most=4)

    assert found.by(-1) == found.by(0) == Tally()
    assert found.by(11.5) == Tally(length=50)
    assert found.by(46) == Tally(failed=1, length=100)
    assert found.by(10**9) == found.in_the_end
    assert found.by(10**9).ended == 6.5


def test_runs_in_which_nothing_happens_are_one_empty_bar():
    assert prospect([[]]).bars == [Tally()]


@pytest.mark.parametrize("last", [0, 1, 58, 59, 60, 61, 3600, 86400.5])
def test_there_are_never_more_bars_than_wanted(last):
    found = prospect([[(last, "failed", 1)]], most=60)

    assert len(found.bars) <= 60
    assert found.in_the_end == Tally(failed=1)
