from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otaserver.campaigns.rules import readings
from otaserver.campaigns.rules.gate import Outcome
from otaserver.campaigns.rules.readings import HealthSeen, Packed

READ = st.lists(
    st.tuples(st.sampled_from(["", "a", "b"]), st.sampled_from([Outcome.SUCCESS, Outcome.FAILURE, Outcome.NEUTRAL]))
)


@settings(deadline=None, database=None)
@given(READ)
def test_what_was_packed_is_unpacked_in_the_same_order(outcomes):
    packed = readings.pack(outcomes)

    assert list(readings.outcomes_of(packed)) == outcomes
    assert all(one[:2] != two[:2] for one, two in pairwise(packed.runs))


VEHICLES = st.lists(st.dictionaries(st.sampled_from(["boots", "crashes"]), st.booleans()))
CONTROLS = st.dictionaries(st.sampled_from(["boots", "crashes"]), st.lists(st.sampled_from([True, False, None])))


@settings(deadline=None, database=None)
@given(VEHICLES, CONTROLS)
def test_health_that_was_packed_is_unpacked_in_the_same_order(vehicles, controls):
    seen = HealthSeen(vehicles, ["boots", "crashes"], controls)
    packed = readings.pack([], seen)

    assert readings.health_of(packed) == seen
    assert all(one[0] != two[0] for one, two in pairwise(packed.health))


def test_a_thousand_equal_outcomes_are_one_run():
    assert readings.pack([("a", Outcome.SUCCESS)] * 1000) == Packed(["a"], [[0, "S", 1000]])


READING = Packed(["a"], [[0, "S", 2]], ["boots"], [["G", 2]], {"boots": "-B"})


@pytest.mark.parametrize(
    ("previous", "number", "changes"),
    [
        ("1", 1, {}),
        ("0", 2, {}),
        ("0", 1, {"strata": ["b"]}),
        ("0", 1, {"runs": []}),
        ("0", 1, {"signals": ["crashes"]}),
        ("0", 1, {"health": [["B", 2]]}),
        ("0", 1, {"controls": {"boots": "-G"}}),
    ],
)
def test_a_digest_is_over_all_of_a_reading_and_the_one_before(previous, number, changes):
    assert readings.digest(previous, number, replace(READING, **changes)) != readings.digest("0", 1, READING)


@pytest.mark.parametrize("runs", [[[1, "S", 1]], [[0, "X", 1]], [[0, "S", "x"]], [[0, "S"]], [3]])
def test_what_was_never_packed_is_refused(runs):
    with pytest.raises((ValueError, KeyError, IndexError, TypeError)):
        list(readings.outcomes_of(replace(READING, runs=runs)))


@pytest.mark.parametrize(
    "changes",
    [
        {"health": [["GG", 2]]},
        {"health": [["X", 2]]},
        {"health": [["G", "x"]]},
        {"health": [3]},
        {"controls": {"boots": "X"}},
        {"controls": [3]},
    ],
)
def test_health_that_was_never_packed_is_refused(changes):
    with pytest.raises((ValueError, KeyError, TypeError, AttributeError)):
        readings.health_of(replace(READING, **changes))
