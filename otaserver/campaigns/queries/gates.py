from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from otaserver.campaigns.models import Campaign, GateState
from otaserver.campaigns.rules import gate, waves
from otaserver.campaigns.rules.late_strata import alpha_share
from otaserver.campaigns.states import GateVerdict

Tests = Mapping[str, gate.GateTest]


@dataclass(frozen=True)
class StratumView:
    """One test for display: of the pool (empty) or a stratum, with the Wilson 95 % interval of its failure rate."""

    stratum: str
    successes: int
    failures: int
    verdict: GateVerdict
    statistic: float
    limit: float
    is_guard: bool
    pass_limit: float
    clean_results_to_pass: int
    lowest_rate: float
    highest_rate: float


@dataclass(frozen=True)
class GateView:
    """A campaign's gate for display; the pool comes first. There is none before the campaign starts."""

    tests: Sequence[StratumView]

    @property
    def verdict(self) -> GateVerdict:
        """Return what the gate says: halt if any test does, else what the pool says."""
        if any(test.verdict == GateVerdict.HALT for test in self.tests):
            return GateVerdict.HALT
        return self.tests[0].verdict if self.tests else GateVerdict.UNDECIDED


def gate_plan(campaign: Campaign) -> gate.GatePlan:
    """Return what a campaign asks of its gate."""
    return gate.GatePlan(
        acceptable_rate=campaign.acceptable_rate,
        unacceptable_rate=campaign.unacceptable_rate,
        alpha=campaign.alpha,
        beta=campaign.beta,
    )


def gate_tests(campaign: Campaign, states: Sequence[GateState]) -> Tests:
    """Return the tests of a campaign, by stratum; all together they keep to its alpha."""
    plan, known, takes_in = gate_plan(campaign), known_strata(states), tests_late_strata(campaign)
    return {
        state.stratum: gate.make_test(
            plan,
            share=state.outcome_share
            * alpha_share(state.stratum, known=known, place=state.late_place, takes_in=takes_in),
            planned_results=state.planned_results,
        )
        for state in states
    }


def known_strata(states: Iterable[GateState]) -> int:
    """Return how many strata are tested that the campaign began with."""
    return sum(state.stratum != "" and state.late_place == 0 for state in states)


def tests_late_strata(campaign: Campaign) -> bool:
    """Return whether strata that come after a campaign's start get tests of their own."""
    return campaign.is_dynamic and campaign.is_stratified


def standing_of(state: GateState) -> gate.Standing:
    """Return where a test stands, in the form that the rules judge."""
    return gate.Standing(
        successes=state.successes,
        failures=state.failures,
        statistic=state.statistic,
        has_passed=state.has_passed,
        guard_statistic=state.guard_statistic,
    )


def gate_view(campaign: Campaign) -> GateView:
    """Return a campaign's gate for display, in one query."""
    states = list(campaign.gate_states.order_by("stratum"))
    tests = gate_tests(campaign, states)
    return GateView([_test_view(state, tests[state.stratum]) for state in states])


def _test_view(state: GateState, test: gate.GateTest) -> StratumView:
    reading = gate.judge(test, standing_of(state))
    lowest, highest = waves.wilson(state.failures, state.successes + state.failures)
    return StratumView(
        stratum=state.stratum,
        successes=state.successes,
        failures=state.failures,
        verdict=reading.verdict,
        statistic=reading.statistic,
        limit=reading.limit,
        is_guard=reading.is_guard,
        pass_limit=test.pass_limit,
        clean_results_to_pass=test.clean_results_to_pass,
        lowest_rate=lowest,
        highest_rate=highest,
    )
