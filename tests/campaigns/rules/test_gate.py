import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otaserver.campaigns.rules import gate
from otaserver.campaigns.rules.gate import GatePlan, Outcome, Standing
from otaserver.campaigns.states import GateVerdict

PLAN = GatePlan(acceptable_rate=0.005, unacceptable_rate=0.02, alpha=0.01, beta=0.05)
GOOD, BAD, NEUTRAL, OPEN = Outcome.SUCCESS, Outcome.FAILURE, Outcome.NEUTRAL, Outcome.UNSETTLED


def make_tests(*strata, planned=1000):
    return {
        stratum: gate.make_test(PLAN, share=gate.alpha_share(stratum, len(strata)), planned_results=planned)
        for stratum in ("", *strata)
    }


def read(tests, *outcomes, start=None):
    start = start or dict.fromkeys(tests, Standing())
    return gate.fold(tests, start, [(o if isinstance(o, tuple) else ("", o)) for o in outcomes])


@pytest.mark.parametrize("strata", [(), ("a", "b"), tuple("abcdefgh")])
def test_four_failures_in_a_row_halt_the_pool_and_three_do_not(strata):
    tests = make_tests(*strata)

    assert read(tests, BAD, BAD, BAD).halted is None
    assert read(tests, BAD, BAD, BAD, BAD).halted == ""


@pytest.mark.parametrize("strata", [(), ("a", "b"), tuple("abcdefgh")])
def test_197_clean_results_pass_and_196_do_not(strata):
    tests = make_tests(*strata)

    assert not read(tests, *[GOOD] * 196).standings[""].has_passed
    assert read(tests, *[GOOD] * 197).standings[""].has_passed
    assert tests[""].clean_results_to_pass == 197


@pytest.mark.parametrize("strata", range(12))
def test_all_tests_and_guards_of_a_campaign_together_keep_to_its_alpha(strata):
    names = [""] + [f"s{i}" for i in range(strata)] if strata > 1 else [""]
    planned = 5000

    spent = 0.0
    for name in names:
        test = gate.make_test(PLAN, share=gate.alpha_share(name, strata), planned_results=planned)
        spent += (1 - PLAN.beta) / math.exp(test.halt_limit) + planned / math.exp(test.guard_limit)

    assert spent == pytest.approx(PLAN.alpha)


def test_after_a_pass_the_guard_halts_within_a_dozen_failures_in_a_row_however_many_succeeded():
    tests = make_tests(planned=20_000)
    passed = read(tests, *[GOOD] * 5000)

    assert passed.standings[""].guard_statistic == 0
    halted = read(tests, *[BAD] * 20, start=passed.standings)

    assert (halted.halted, halted.read) == ("", 12)


def test_what_a_test_says_carries_its_statistic_and_limit():
    test = make_tests()[""]

    undecided = gate.judge(test, Standing(failures=1, statistic=1.0))
    passed = gate.judge(test, Standing(has_passed=True, guard_statistic=1.0))

    assert (undecided.verdict, undecided.statistic, undecided.limit) == (GateVerdict.UNDECIDED, 1.0, test.halt_limit)
    assert (passed.verdict, passed.limit, passed.is_guard) == (GateVerdict.PASS, test.guard_limit, True)


def test_neutral_outcomes_count_neither_way():
    tests = make_tests()

    folding = read(tests, NEUTRAL, GOOD, NEUTRAL)

    assert folding.standings == read(tests, GOOD).standings
    assert folding.read == 3


def test_an_unsettled_outcome_blocks_those_behind_it():
    tests = make_tests()

    folding = read(tests, GOOD, OPEN, BAD, BAD, BAD, BAD)

    assert (folding.read, folding.halted) == (1, None)
    assert folding.standings[""] == Standing(successes=1, statistic=tests[""].success_step)


def test_reading_stops_at_the_outcome_that_halts():
    folding = read(make_tests(), BAD, BAD, BAD, BAD, GOOD, GOOD)

    assert (folding.read, folding.standings[""].successes) == (4, 0)


def test_a_bad_hardware_revision_cannot_hide_among_good_ones():
    tests = make_tests("a", "b")
    mixed = [("a", BAD) if i % 100 == 0 else ("b", GOOD) for i in range(500)]

    folding = read(tests, *mixed)

    assert folding.halted == "a"
    assert read(make_tests(), *[outcome for _, outcome in mixed]).halted is None


def test_an_outcome_of_a_stratum_without_a_test_counts_in_the_pool():
    tests = make_tests("a", "b")

    assert read(tests, ("new", BAD)).standings[""].failures == 1


def test_folding_in_one_go_and_one_by_one_give_the_same():
    tests = make_tests("a", "b")
    outcomes = [(("a", "b")[i % 2], BAD if i % 150 == 0 else GOOD) for i in range(500)]

    standings = dict.fromkeys(tests, Standing())
    for outcome in outcomes:
        standings = read(tests, outcome, start=standings).standings

    assert standings == read(tests, *outcomes).standings


def test_a_test_that_begins_anew_keeps_its_counts_and_a_passed_one_its_pass():
    halted = Standing(successes=3, failures=4, statistic=5.5)
    guarded = Standing(successes=300, failures=12, statistic=-3.0, has_passed=True, guard_statistic=17.0)

    assert gate.begin_anew(halted) == Standing(successes=3, failures=4)
    assert gate.begin_anew(guarded) == Standing(successes=300, failures=12, statistic=-3.0, has_passed=True)


S, F, N, U = GOOD, BAD, NEUTRAL, OPEN


def read_on(outcomes, standings=None):
    """What is read of the pool's outcomes, and whether that halts."""
    tests, before = {"": TEST}, standings or {"": Standing()}
    pool = [("", outcome) for outcome in outcomes]
    places = list(gate.readable(tests, before, pool))
    return places, gate.fold(tests, before, [pool[place] for place in places]).halted


TEST = gate.make_test(PLAN, share=1.0, planned_results=1000)


def test_all_is_read_where_all_is_settled():
    assert read_on([S, F, N, S]) == ([0, 1, 2, 3], None)


def test_nothing_is_read_beyond_a_vehicle_that_is_unsettled():
    assert read_on([S, U, F, F, F]) == ([0], None)


def test_a_slow_vehicle_does_not_hide_a_halt_that_is_certain():
    assert read_on([U, F, F, F, F]) == ([1, 2, 3, 4], "")
    assert read_on([S, U, N, F, F, S, F, F, F]) == ([0, 2, 3, 4, 5, 6, 7], "")


def test_a_halt_that_so_many_slow_ones_could_still_avert_is_awaited():
    averting = next(count for count in range(1000) if read_on([U] * count + [F] * 4)[1] is None)

    assert averting > 5
    assert read_on([U] * averting + [F] * 5)[1] == ""


def test_the_guard_sees_past_a_slow_vehicle_too():
    passed = {"": Standing(300, 0, TEST.pass_limit, True, 0.0)}
    halts = next(count for count in range(1, 100) if read_on([U] + [F] * count, passed)[1] == "")

    assert read_on([U] + [F] * (halts - 1), passed) == ([], None)
    assert read_on([F] * halts, passed)[1] == ""


@settings(deadline=None, database=None, max_examples=300)
@given(
    st.lists(st.tuples(st.sampled_from(["", "a", "b"]), st.sampled_from([S, F, F, N, U])), max_size=14),
    st.booleans(),
    st.data(),
)
def test_a_halt_that_is_taken_early_would_have_come_whatever_the_slow_ones_came_to(outcomes, has_passed, data):
    tests = dict.fromkeys(("", "a", "b"), TEST)
    before = dict.fromkeys(tests, Standing(statistic=TEST.pass_limit if has_passed else 0.0, has_passed=has_passed))
    places = gate.readable(tests, before, outcomes)
    blocked = next((place for place, (_, outcome) in enumerate(outcomes) if outcome is U), len(outcomes))

    found = gate.fold(tests, before, [outcomes[place] for place in places])
    settled = [
        (stratum, data.draw(st.sampled_from([S, F, N])) if outcome is U else outcome) for stratum, outcome in outcomes
    ]

    assert list(places)[:blocked] == list(range(min(blocked, len(places))))
    if len(places) > blocked or any(place > blocked for place in places):
        assert found.halted is not None
        assert gate.fold(tests, before, settled).halted is not None
