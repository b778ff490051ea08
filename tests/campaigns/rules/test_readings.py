from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otaserver.campaigns.rules import readings
from otaserver.campaigns.rules.gate import Outcome

READ = st.lists(
    st.tuples(st.sampled_from(["", "a", "b"]), st.sampled_from([Outcome.SUCCESS, Outcome.FAILURE, Outcome.NEUTRAL]))
)


@settings(deadline=None, database=None)
@given(READ)
def test_what_was_packed_is_unpacked_in_the_same_order(outcomes):
    strata, runs = readings.pack(outcomes)

    assert list(readings.unpack(strata, runs)) == outcomes
    assert all(one[:2] != two[:2] for one, two in pairwise(runs))


def test_a_thousand_equal_outcomes_are_one_run():
    assert readings.pack([("a", Outcome.SUCCESS)] * 1000) == (["a"], [[0, "S", 1000]])


@pytest.mark.parametrize(
    ("previous", "number", "strata", "runs"),
    [
        ("1", 1, ["a"], [[0, "S", 2]]),
        ("0", 2, ["a"], [[0, "S", 2]]),
        ("0", 1, ["b"], [[0, "S", 2]]),
        ("0", 1, ["a"], []),
    ],
)
def test_a_digest_is_over_all_of_a_reading_and_the_one_before(previous, number, strata, runs):
    assert readings.digest(previous, number, strata, runs) != readings.digest("0", 1, ["a"], [[0, "S", 2]])


@pytest.mark.parametrize("runs", [[[1, "S", 1]], [[0, "X", 1]], [[0, "S", "x"]], [[0, "S"]], [3]])
def test_what_was_never_packed_is_refused(runs):
    with pytest.raises((ValueError, KeyError, IndexError, TypeError)):
        list(readings.unpack(["a"], runs))
