"""The gate's operating characteristics, as they stand in docs/gates.md, and the bounds that they keep to."""

from dataclasses import replace
from statistics import mean

import pytest

from otaserver.campaigns.rules import gate, signals
from otaserver.campaigns.rules.gate import GatePlan
from tests.campaigns import operating_characteristics as simulated
from tests.campaigns.operating_characteristics import SCENARIOS, at_least, at_most
from tests.campaigns.simulated_campaigns import PLAN

# One worker makes the table once.
pytestmark = [pytest.mark.long, pytest.mark.xdist_group("operating_characteristics")]


@pytest.fixture(scope="module")
def rows():
    return {name: simulated.simulate(scenario) for name, scenario in SCENARIOS.items()}


def halts_at_most(row):
    return at_most(row.halts, len(row.results))


def misses_at_most(row):
    return at_most(row.misses, len(row.results))


def test_the_table_in_the_docs_is_what_the_simulation_gives(rows):
    text = simulated.PAGE.read_text()

    assert simulated.in_page(text) == simulated.table(list(rows.values()))


def test_the_plan_is_the_servers_default():
    assert GatePlan(acceptable_rate=0.005, unacceptable_rate=0.02, alpha=0.01, beta=0.05) == PLAN


def test_false_halts_at_the_acceptable_rate_keep_to_alpha(rows):
    assert halts_at_most(rows["acceptable"]) <= PLAN.alpha
    assert halts_at_most(rows["acceptable_strata"]) <= PLAN.alpha


def test_missed_halts_at_the_unacceptable_rate_keep_to_beta(rows):
    row = rows["unacceptable"]

    assert misses_at_most(row) <= PLAN.beta
    # The test by itself: no more of them pass, as far as this many campaigns can tell. The guard finds those.
    assert at_least(row.passes, len(row.results)) <= PLAN.beta


@pytest.mark.parametrize(("name", "broken"), [("five", 16), ("twenty", 17), ("twenty_limited", 14)])
def test_bad_releases_are_always_halted_after_a_few_broken_vehicles(rows, name, broken):
    assert rows[name].misses == 0
    assert mean(rows[name].broken) <= broken


@pytest.mark.parametrize("name", ["turns_bad", "turns_bad_limited"])
def test_a_release_that_turns_bad_after_the_pass_is_always_halted(rows, name):
    assert rows[name].misses == 0
    assert rows[name].passes == len(rows[name].results)


def test_fewer_in_flight_break_fewer_when_a_release_turns_bad(rows):
    assert mean(rows["turns_bad_limited"].broken) < mean(rows["turns_bad"].broken) / 3


def test_a_fault_in_a_stratum_of_five_percent_is_found_there(rows):
    row = rows["rare"]

    assert row.misses == 0
    assert at_least(row.halted_by("rare"), len(row.results)) > 0.9


def test_fed_as_they_arrive_false_halts_would_break_alpha():
    # What the bound is there to find: failures are heard of hours before the successes beside them.
    scenario = SCENARIOS["acceptable"]
    wrong = replace(scenario, campaigns=300, setting=replace(scenario.setting, is_fed_as_they_arrive=True))

    row = simulated.simulate(wrong)

    assert at_least(row.halts, len(row.results)) > PLAN.alpha


@pytest.mark.parametrize(
    ("count", "tries", "low", "high"),
    [(0, 100, 0, 1 - 0.01**0.01), (1, 2, 1 - 0.99**0.5, 0.99**0.5), (3, 3, 0.01 ** (1 / 3), 1)],
)
def test_bounds_are_clopper_and_pearsons(count, tries, low, high):
    assert at_least(count, tries) == pytest.approx(low, abs=1e-9)
    assert at_most(count, tries) == pytest.approx(high, abs=1e-9)


@pytest.mark.parametrize(("rate", "about"), [(0.02, 197), (0.05, 65), (0.01, 594)])
def test_the_docs_name_how_many_good_results_pass(rate, about):
    test = gate.make_test(replace(PLAN, unacceptable_rate=rate), share=1.0, planned_results=1000)

    assert test.clean_results_to_pass == about


@pytest.mark.parametrize(("strata", "failures"), [(0, 4), (2, 5)])
def test_beside_signals_four_failures_in_a_row_halt_and_five_with_strata(strata, failures):
    share = signals.outcome_share(3) * gate.alpha_share("", strata)
    test = gate.make_test(PLAN, share=share, planned_results=1000)

    folded = gate.fold({"": test}, {"": gate.Standing()}, [("", gate.Outcome.FAILURE)] * 9)

    assert (folded.halted, folded.read) == ("", failures)
