"""Health signals: what is asked of a vehicle, what a wave's vehicles reported, and where the tests stand."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, F, Q, QuerySet

from otaserver.campaigns.models import Assignment, Campaign, HealthReading, SignalState, Wave
from otaserver.campaigns.rules import eprocess, gate, signals
from otaserver.campaigns.rules.comparisons import Comparison, ComparisonTest
from otaserver.campaigns.states import AssignmentState, CampaignState, GateVerdict, Verdict
from otaserver.fleet.models import Vehicle

_RESULTS = [AssignmentState.SUCCEEDED, AssignmentState.FAILED]


@dataclass(frozen=True)
class ComparisonView:
    """The updated vehicles against those held out: how many of each were compared, how many were bad, what it says."""

    treated: int
    treated_bad: int
    control: int
    control_bad: int
    verdict: GateVerdict
    log_evidence: float
    limit: float


@dataclass(frozen=True)
class SignalView:
    """The test of one signal for display. `missing` are matured vehicles that reported nothing of it."""

    name: str
    signal_limit: float
    good: int
    bad: int
    missing: int
    verdict: GateVerdict
    statistic: float
    limit: float
    is_guard: bool
    pass_limit: float
    comparison: ComparisonView | None


def telling(vehicle: Vehicle) -> QuerySet[Assignment]:
    """Return the assignments that a vehicle's health speaks of: those that soak, and those for which it is held out.

    A vehicle is held out as long as its campaign is under way.
    """
    under_way = [CampaignState.RUNNING, CampaignState.PAUSED]
    held_out = Q(verdict=Verdict.CONTROL, campaign__state__in=under_way)
    return Assignment.objects.filter(Q(state=AssignmentState.SOAKING) | held_out, vehicle=vehicle)


def wanted_of(vehicle: Vehicle) -> list[str]:
    """Return the names of the signals that a vehicle is asked for now, in one query."""
    asked = SignalState.objects.filter(campaign__in=telling(vehicle).values("campaign"))
    return list(asked.order_by("signal__name").values_list("signal__name", flat=True).distinct())


def test_of(state: SignalState) -> gate.GateTest:
    """Return the test of a signal against its own rates, with its part of the campaign's alpha."""
    return gate.make_test(plan_of(state), share=state.alpha_share, planned_results=state.planned_results)


def plan_of(state: SignalState) -> gate.GatePlan:
    """Return what a signal's test against its own rates is made by."""
    return gate.GatePlan(
        acceptable_rate=state.signal.acceptable_rate,
        unacceptable_rate=state.signal.unacceptable_rate,
        alpha=state.campaign.alpha,
        beta=state.campaign.beta,
    )


def standing_of(state: SignalState) -> gate.Standing:
    """Return where a signal's test stands, in the form that the rules judge."""
    return gate.Standing(state.successes, state.failures, state.statistic, state.has_passed, state.guard_statistic)


def comparison_of(state: SignalState) -> Comparison:
    """Return where a signal's comparison stands, in the form that the rules judge."""
    evidence = eprocess.Evidence(
        state.treated_good, state.treated_bad, state.control_good, state.control_bad, state.log_evidence
    )
    return Comparison(evidence, state.pending_good, state.pending_bad)


def comparison_test(state: SignalState) -> ComparisonTest:
    """Return the test of a signal against the vehicles held out, with its part of the campaign's alpha."""
    return ComparisonTest(
        acceptable_rate=state.signal.acceptable_rate,
        unacceptable_rate=state.signal.unacceptable_rate,
        alpha=state.campaign.alpha * state.alpha_share,
        treated_per_block=state.treated_per_block,
    )


def signal_views(campaign: Campaign) -> list[SignalView]:
    """Return a campaign's signals for display, in one query; there are none before it starts."""
    states = campaign.signal_states.select_related("signal", "campaign").order_by("signal__name")
    return [_view(state) for state in states]


def _view(state: SignalState) -> SignalView:
    test = test_of(state)
    reading = gate.judge(test, standing_of(state))
    return SignalView(
        name=state.signal.name,
        signal_limit=state.signal.limit,
        good=state.successes,
        bad=state.failures,
        missing=state.missing,
        verdict=reading.verdict,
        statistic=reading.statistic,
        limit=reading.limit,
        is_guard=reading.is_guard,
        pass_limit=test.pass_limit,
        comparison=_comparison(state) if state.treated_per_block else None,
    )


def _comparison(state: SignalState) -> ComparisonView:
    limit = comparison_test(state).limit
    return ComparisonView(
        treated=state.treated_good + state.treated_bad,
        treated_bad=state.treated_bad,
        control=state.control_good + state.control_bad,
        control_bad=state.control_bad,
        # It never passes: that no difference was found proves no equality.
        verdict=GateVerdict.HALT if state.log_evidence >= limit else GateVerdict.UNDECIDED,
        log_evidence=state.log_evidence,
        limit=limit,
    )


def why_not_judged(campaign: Campaign, wave: Wave) -> str | None:
    """Return why a wave may not pass by itself because too few vehicles reported a signal, or None."""
    states = {state.signal.name: state for state in campaign.signal_states.select_related("signal")}
    if not states:
        return None
    names = list(states)
    matured = wave.assignments.filter(is_judged=True, state__in=_RESULTS)
    rows = readings_of(matured.values("pk"), names).values_list("name").annotate(Count("assignment", distinct=True))
    reported = dict.fromkeys(names, 0) | dict(rows)
    return signals.lacking(reported, matured=matured.count()) or signals.uncompared(
        {
            name: (
                (state.successes + state.failures) // state.treated_per_block,
                state.control_good + state.control_bad,
            )
            for name, state in states.items()
            if state.treated_per_block
        }
    )


def readings_of(assignments: Iterable[Any], names: Sequence[str]) -> QuerySet[HealthReading]:
    """Return what vehicles reported of signals in the soak that counts: one that installs again begins another."""
    return HealthReading.objects.filter(
        assignment__in=assignments, name__in=names, at__gte=F("assignment__installing_at")
    ).order_by()
