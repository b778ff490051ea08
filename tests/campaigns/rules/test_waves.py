from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otaserver.campaigns.rules import waves
from otaserver.campaigns.rules.waves import Size, WaveResults
from otaserver.campaigns.states import WaveRule, WaveState


def percents(*values):
    return [Decimal(str(value)) for value in values]


def places(total, ends):
    return waves.planned_places([Size(percent) for percent in ends], bulk=total, grouped={})


@pytest.mark.parametrize(
    ("total", "ends", "expected"),
    [
        (100, (5, 25, 100), [5, 20, 75]),
        (3, (5, 25, 100), [1, 0, 2]),
        (1, (0.001, 100), [1, 0]),
        (1000, (0.1, 1, 100), [1, 9, 990]),
        (7, (100,), [7]),
    ],
)
def test_waves_take_their_share_of_the_vehicles(total, ends, expected):
    assert places(total, percents(*ends)) == expected


@given(st.integers(1, 10**6), st.sets(st.integers(1, 99), max_size=10))
def test_waves_take_every_vehicle_once(total, ends):
    taken = places(total, percents(*sorted(ends), 100))

    assert sum(taken) == total
    assert taken[0] >= 1
    assert min(taken) >= 0


@pytest.mark.parametrize(
    ("counting", "in_vain", "left", "expected"),
    [
        (5, 0, 9, 0),
        (3, 2, 9, 2),
        (3, 2, 1, 1),
        (7, 0, 9, 0),
        (0, 0, 0, 0),
        (0, 5, 9, 5),
        (1, 5, 9, 4),
        (4, 5, 9, 1),
        (1, 7, 9, 2),
        (4, 6, 9, 0),
        (0, 10, 9, 0),
        (0, 12, 9, 0),
        (0, 0, 9, 5),
    ],
)
def test_neutral_ends_are_refilled_from_those_who_had_no_turn_up_to_twice_the_places(counting, in_vain, left, expected):
    assert waves.refill(places=5, counting=counting, in_vain=in_vain, left=left) == expected


@given(st.integers(1, 50), st.integers(0, 500), st.lists(st.integers(0, 50)))
def test_a_wave_never_tries_more_than_twice_its_places(places, left, ends):
    counting, in_vain = min(places, left), 0
    left -= counting
    for end in ends:
        ended = min(end, counting)
        counting, in_vain = counting - ended, in_vain + ended
        taken = waves.refill(places=places, counting=counting, in_vain=in_vain, left=left)
        counting, left = counting + taken, left - taken

        assert counting <= places
        assert counting + in_vain <= 2 * places
        # Short only where it may not, or cannot, try more.
        assert counting == places or left == 0 or counting + in_vain == 2 * places


@pytest.mark.parametrize(
    ("planned", "left", "expected"),
    [([], 9, 0), ([5], 9, 9), ([5, 9], 9, 5), ([5, 9], 3, 3), ([0, 0, 4, 9], 9, 4), ([0, 0], 7, 7), ([3, 0], 0, 0)],
)
def test_the_next_wave_is_the_next_that_has_places(planned, left, expected):
    assert waves.next_places(planned, left=left) == expected


@given(st.integers(1, 200), st.sets(st.integers(1, 99), max_size=10))
def test_while_all_succeed_no_wave_of_any_plan_asks_a_person(total, ends):
    planned = places(total, percents(*sorted(ends), 100))

    for number, own in enumerate(planned):
        done = sum(planned[: number + 1])
        following = waves.next_places(planned[number + 1 :], left=total - done)
        results = {"wave_results": own, "campaign_results": done, "next_places": following}
        assert own == 0 or judge(**results) == WaveState.PASSED


@pytest.mark.parametrize(
    ("max_in_flight", "in_flight", "expected"), [(None, 999, 50), (10, 4, 6), (10, 12, 0), (100, 0, 50)]
)
def test_no_more_are_offered_than_may_be_in_flight(max_in_flight, in_flight, expected):
    assert waves.room(max_in_flight=max_in_flight, in_flight=in_flight, chunk=50) == expected


@pytest.mark.parametrize(("clean", "highest"), [(50, 0.071), (100, 0.037), (300, 0.0126), (1000, 0.0038)])
def test_no_failure_in_some_results_still_allows_for_some(clean, highest):
    lowest, found = waves.wilson(0, clean)

    assert lowest == pytest.approx(0)
    assert found == pytest.approx(highest, abs=5e-4)


def test_without_results_every_rate_is_possible():
    assert waves.wilson(0, 0) == (0.0, 1.0)


def judge(results=None, *, has_passed=False, rule=WaveRule.PROCEED, max_failed=0, failure_budget=None, **changes):
    values = {
        "wave_failures": 0,
        "wave_results": 10,
        "campaign_failures": 0,
        "campaign_results": 10,
        "next_places": 40,
    }
    return waves.judge_wave(
        WaveResults(**(values | changes)),
        has_passed=has_passed,
        rule=rule,
        max_failed=max_failed,
        failure_budget=failure_budget,
    ).state


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ({}, WaveState.PASSED),
        ({"rule": WaveRule.ASK}, WaveState.UNDECIDED),
        ({"rule": WaveRule.ASK, "has_passed": True}, WaveState.PASSED),
        # Nobody is left to go on to: there is nothing to ask.
        ({"rule": WaveRule.ASK, "next_places": 0}, WaveState.PASSED),
        ({"rule": WaveRule.ASK, "next_places": 0, "wave_failures": 9}, WaveState.UNDECIDED),
        ({"wave_failures": 1}, WaveState.UNDECIDED),
        ({"wave_failures": 1, "max_failed": 1}, WaveState.PASSED),
        ({"wave_failures": 2, "max_failed": 1}, WaveState.UNDECIDED),
        ({"wave_failures": 2, "max_failed": 1, "has_passed": True}, WaveState.PASSED),
        ({"wave_results": 0}, WaveState.UNDECIDED),
        ({"wave_results": 0, "next_places": 0}, WaveState.PASSED),
        ({"unfilled": 1}, WaveState.UNDECIDED),
        ({"unfilled": 1, "has_passed": True}, WaveState.UNDECIDED),
        # Up to 28 % may fail after ten clean results: 12 of the 40 that come next.
        ({"failure_budget": 12}, WaveState.PASSED),
        ({"failure_budget": 11}, WaveState.UNDECIDED),
        ({"failure_budget": 0, "has_passed": True}, WaveState.PASSED),
        ({"failure_budget": 2, "campaign_failures": 3, "has_passed": True}, WaveState.UNDECIDED),
        ({"failure_budget": 3, "campaign_failures": 3, "next_places": 0}, WaveState.PASSED),
    ],
)
def test_a_wave_proceeds_only_where_its_results_vouch_for_the_next(case, expected):
    assert judge(**case) == expected


MIXED = [Size(group="engineering"), Size(count=10), Size(percent=Decimal(5)), Size(percent=Decimal(100))]


def test_percents_count_the_bulk_and_what_waves_by_number_have_taken_of_it():
    assert waves.planned_places(MIXED, bulk=1000, grouped={1: 7}) == [7, 10, 40, 950]
    assert waves.planned_places(MIXED, bulk=4, grouped={}) == [0, 4, 0, 0]


@given(st.integers(0, 10_000), st.integers(1, 20_000), st.integers(1, 100))
def test_whatever_the_sizes_every_vehicle_has_a_turn_once(bulk, count, percent):
    sizes = [Size(count=count), Size(percent=Decimal(percent)), Size(count=count), Size(percent=Decimal(100))]

    planned = waves.planned_places(sizes, bulk=bulk, grouped={})

    assert (sum(planned), min(planned) >= 0) == (bulk, True)


@pytest.mark.parametrize(
    ("sizes", "bulk", "problem"),
    [
        (MIXED, 1000, None),
        (MIXED, 100, "Wave 3 ends at 5 %, 5 of 100 vehicles, and 10 had their turn before it."),
        (MIXED, 8, "Wave 2 is to take 10 vehicles, and 8 are left of 8."),
        ([Size(percent=Decimal(1)), Size(percent=Decimal(2)), Size(percent=Decimal(100))], 3, None),
    ],
)
def test_waves_that_do_not_add_up_in_this_fleet_are_told_with_the_numbers(sizes, bulk, problem):
    planned = waves.planned_places(sizes, bulk=bulk, grouped={1: 5})

    assert waves.swallowed(sizes, planned, bulk=bulk) == problem


def test_a_wave_for_a_group_of_which_nobody_takes_part_does_not_add_up():
    sizes = [Size(percent=Decimal(1)), Size(group="engineering"), Size(percent=Decimal(100))]
    planned = waves.planned_places(sizes, bulk=0, grouped={})

    assert waves.swallowed(sizes, planned, bulk=0) == (
        "Wave 2 is for group engineering, and none of it takes part: a member counts that is in the campaign's group, "
        "fits the release and is in no earlier wave's group."
    )
    assert waves.unmanned(sizes, waves.planned_places(sizes, bulk=0, grouped={2: 1})) is None


@pytest.mark.parametrize(
    ("group", "is_anyone_left", "state"),
    [("a", True, "undecided"), ("a", False, "passed"), (None, True, "passed"), (None, False, "passed")],
)
def test_a_wave_that_opens_to_nobody_asks_only_where_it_was_for_a_group_and_others_would_follow(
    group, is_anyone_left, state
):
    assert waves.judge_empty(group=group, is_anyone_left=is_anyone_left).state == state


@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 40), st.integers(0, 40))
def test_unless_tries_may_be_exhausted_it_does_not_matter_how_many_were_in_vain(places, missing, replaced, left):
    if waves.may_exhaust_tries(places=places, missing=missing, replaced=replaced):
        return

    found = {
        waves.refill(places=places, counting=places - missing, in_vain=in_vain, left=left)
        for in_vain in range(replaced + missing + 1)
    }

    assert len(found) == 1
