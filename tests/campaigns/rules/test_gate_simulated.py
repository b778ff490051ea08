"""The claims of DESIGN.md about the gate, on simulated campaigns (seeded, so that a failure repeats)."""

import random
from statistics import mean

import pytest

from otaserver.campaigns.rules import gate
from otaserver.campaigns.rules.gate import GatePlan, Outcome, Standing

PLAN = GatePlan(acceptable_rate=0.005, unacceptable_rate=0.02, alpha=0.01, beta=0.05)
VEHICLES = 2000
CAMPAIGNS = 300
TEST = gate.make_test(PLAN, share=1.0, planned_results=VEHICLES)


def outcomes(rng, *rates):
    """The outcomes of a campaign whose true failure rate changes, in equal parts, through these."""
    part = VEHICLES // len(rates)
    return [Outcome.FAILURE if rng.random() < rate else Outcome.SUCCESS for rate in rates for _ in range(part)]


def fold(fed):
    return gate.fold({"": TEST}, {"": Standing()}, [("", outcome) for outcome in fed])


def run(*rates, campaigns=CAMPAIGNS, seed=1):
    rng = random.Random(seed)
    folded = [fold(outcomes(rng, *rates)) for _ in range(campaigns)]
    halted = [folding for folding in folded if folding.halted is not None]
    return len(halted) / campaigns, halted


def broken(halted):
    return mean(folding.standings[""].failures for folding in halted)


def test_of_healthy_campaigns_one_in_a_hundred_halts():
    share, _ = run(0.005)

    assert share <= 0.02


def test_good_campaigns_do_not_halt():
    share, _ = run(0.002, campaigns=100)

    assert share == 0


@pytest.mark.parametrize(("rate", "at_most"), [(0.02, 10), (0.05, 6), (0.2, 4.2)])
def test_bad_releases_halt_after_a_handful_of_broken_vehicles(rate, at_most):
    share, halted = run(rate, campaigns=150)

    # At the unacceptable rate itself, beta of them pass the test, and the guard is left to find them.
    assert share >= 1 - PLAN.beta
    assert broken(halted) <= at_most


def test_a_release_that_turns_bad_half_way_halts_after_about_a_dozen():
    share, halted = run(0.002, 0.2, campaigns=100)

    assert share == 1
    assert 9 <= mean(f.standings[""].failures for f in halted) - 0.002 * VEHICLES / 2 <= 14


def test_fed_as_they_arrive_outcomes_would_halt_most_healthy_campaigns():
    # 1,000 vehicles begin within eight hours; a failure is known after minutes, a success when its soak of eight hours
    # ends. So all failures come first: hence the order of installation start, each outcome at the same age.
    rng = random.Random(2)
    as_arrived = in_order = 0
    for _ in range(CAMPAIGNS):
        started = outcomes(rng, 0.005)[:1000]
        arrived = sorted(started, key=lambda outcome: outcome is Outcome.SUCCESS)
        as_arrived += fold(arrived).halted is not None
        in_order += fold(started).halted is not None

    assert as_arrived / CAMPAIGNS > 0.6
    assert in_order / CAMPAIGNS <= 0.02


def test_a_bad_hardware_revision_is_found_in_its_stratum():
    rng = random.Random(3)
    tests = {
        name: gate.make_test(PLAN, share=gate.alpha_share(name, 2), planned_results=VEHICLES) for name in ("", "a", "b")
    }
    found = 0
    for _ in range(50):
        mixed = [
            ("b", Outcome.FAILURE if rng.random() < 0.2 else Outcome.SUCCESS) if i % 20 == 0 else ("a", Outcome.SUCCESS)
            for i in range(VEHICLES)
        ]
        found += gate.fold(tests, dict.fromkeys(tests, Standing()), mixed).halted == "b"

    assert found == 50
