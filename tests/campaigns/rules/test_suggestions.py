from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otaserver.campaigns.rules import gate, plans, suggestions, waves
from otaserver.campaigns.rules.waves import Size, WaveResults
from otaserver.campaigns.states import WaveRule, WaveState

TEST = gate.make_test(gate.GatePlan(0.005, 0.02, 0.01, 0.05), share=1.0, planned_results=1_000_000)


def places_of(found, fleet):
    return waves.planned_places(found.sizes, bulk=fleet, grouped={})


def test_a_plan_grows_from_the_budget_to_the_fleet_and_says_why():
    found = suggestions.suggest(TEST, fleet=100_000, failure_budget=20, growth=4)

    assert [size.count for size in found.sizes] == [20, 80, 320, 1280, 5120, 20480, None]
    assert found.sizes[-1] == Size(percent=Decimal(100))
    assert list(found.reasons) == [
        "The first wave is 20 vehicles: even if all of them break, the budget of 20 holds.",
        "Each next wave is up to 4 times the one before; until the test has passed, no larger than 20 failures allow "
        "at the upper end of the failure rate (Wilson, 95 %) after clean results.",
        "If all goes well, wave 3 ends with 420 results, and 197 in a row pass the test: "
        "from there on the guard watches.",
        "The last wave takes all who are left, of 100000 vehicles that fit now.",
    ]


def test_a_small_fleet_is_told_that_its_test_will_not_pass():
    found = suggestions.suggest(TEST, fleet=30, failure_budget=5, growth=3)

    assert places_of(found, 30) == [5, 11, 14]
    assert "before the last wave there are at most 16" in found.reasons[2]


@given(st.integers(1, 2_000_000), st.integers(1, 500), st.integers(3, 5))
def test_every_suggested_plan_is_a_plan_in_which_good_releases_ask_nobody(fleet, budget, growth):
    found = suggestions.suggest(TEST, fleet=fleet, failure_budget=budget, growth=growth)

    places = places_of(found, fleet)
    assert plans.sizes_problem(found.sizes) is None
    assert waves.swallowed(found.sizes, places, bulk=fleet) is None
    assert (sum(places), min(places) >= 1, places[0] <= budget) == (fleet, True, True)
    for number, own in enumerate(places, start=1):
        done = sum(places[:number])
        verdict = waves.judge_wave(
            WaveResults(0, own, 0, done, waves.next_places(places[number:], left=fleet - done)),
            has_passed=done >= TEST.clean_results_to_pass,
            rule=WaveRule.PROCEED,
            max_failed=0,
            failure_budget=budget,
        )
        assert verdict.state == WaveState.PASSED


@pytest.mark.parametrize(
    ("inputs", "problem"),
    [
        ({}, None),
        ({"fleet": 0}, "No vehicle of the group fits"),
        ({"failure_budget": 0}, "at least 1 vehicle, not 0"),
        ({"growth": 2}, "3 to 5, not 2"),
        ({"growth": 6}, "3 to 5, not 6"),
    ],
)
def test_what_gives_no_plan_is_refused_with_the_value(inputs, problem):
    found = suggestions.inputs_problem(**{"fleet": 9, "failure_budget": 3, "growth": 4} | inputs)

    assert found is None if problem is None else problem in found
