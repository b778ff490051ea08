"""Reading outcomes into the gate, and finding what halts a campaign."""

from datetime import datetime, timedelta

from otaserver.campaigns.models import Assignment, Campaign, Decision, GateState
from otaserver.campaigns.operations import readings, signals
from otaserver.campaigns.operations.decisions import ENGINE, draft
from otaserver.campaigns.queries import bundles, counts, gates
from otaserver.campaigns.rules import gate, limits
from otaserver.campaigns.rules.gate import Outcome
from otaserver.campaigns.states import IN_FLIGHT_STATES, AssignmentState, GateVerdict

READ_CHUNK = 5000
_OUTCOMES = {AssignmentState.SUCCEEDED: Outcome.SUCCESS, AssignmentState.FAILED: Outcome.FAILURE}


def reason_to_halt(campaign: Campaign, *, only_grave: bool = False, at: datetime) -> Decision | None:
    """Return the halt that a limit demands now, whatever is mature, or None.

    `only_grave`: one that speaks against orders too that an earlier halt let go on (`limits.GRAVE_LIMITS`).
    """
    unpublished = bundles.release_view(campaign.release).unpublished
    if unpublished:
        sentence = f"Not to be installed any more: {', '.join(unpublished)}."
        return draft(campaign, "limit.halted", sentence, by=ENGINE, at=at, unpublished=unpublished)
    halt_codes = frozenset(campaign.halt_codes) | frozenset(campaign.release.halt_codes)
    max_failed = None if only_grave else campaign.max_failed
    allowed = limits.Limits(max_failed, campaign.max_verification_failed, halt_codes)
    # Most ticks need not count: they ask whether there is one more than a limit allows.
    if not counts.exceeds(campaign, allowed):
        return None
    failures = counts.failures_by_code(campaign)
    reporters = counts.reporters_by_code(campaign, halt_codes)
    breach = limits.first_breach(allowed, failures, reporters)
    if breach is None:
        return None
    return draft(
        campaign,
        "limit.halted",
        breach.sentence,
        by=ENGINE,
        at=at,
        limit=breach.limit,
        found=breach.found,
        allowed=breach.allowed,
        failures=failures,
        reporters=reporters,
        limits={
            "max_failed": max_failed,
            "max_verification_failed": campaign.max_verification_failed,
            "halt_codes": sorted(halt_codes),
        },
    )


def read_outcomes(campaign: Campaign, *, at: datetime) -> tuple[list[Decision], Decision | None]:
    """Read the outcomes that have matured into the gate, each once, in the order of installation start.

    Returns what the gate decided, and the halt among it, if there is one.
    """
    rows = list(
        campaign.assignments.filter(is_judged=False, installing_at__lte=at - timedelta(seconds=campaign.soak_seconds))
        .order_by("installing_at", "pk")
        .values_list("pk", "stratum", "state")[:READ_CHUNK]
    )
    if not rows:
        return [], None
    states = {state.stratum: state for state in campaign.gate_states.all()}
    tests = gates.gate_tests(campaign, list(states.values()))
    before = {stratum: gates.standing_of(state) for stratum, state in states.items()}
    mature = [(pk, stratum, _outcome(state)) for pk, stratum, state in rows]
    places = gate.readable(tests, before, [(stratum, outcome) for _, stratum, outcome in mature])
    chosen = [mature[place] for place in signals.readable(campaign, mature, places)]
    outcomes = [(stratum, outcome) for _, stratum, outcome in chosen]
    folding = gate.fold(tests, before, outcomes)
    health = signals.read_health(campaign, [(pk, outcome) for pk, _, outcome in chosen[: folding.read]], at=at)
    if health.read < folding.read:
        # A signal halts first: what comes behind it stays unread.
        folding = gate.fold(tests, before, outcomes[: health.read])
    seen = readings.reference(readings.keep(campaign, outcomes[: folding.read], health.seen, at=at))
    Assignment.objects.filter(pk__in=[pk for pk, _, _ in chosen[: folding.read]]).update(is_judged=True)
    decisions, halts = list(health.decisions), list(health.halts)
    for stratum, standing in folding.standings.items():
        if standing != before[stratum]:
            _store(states[stratum], standing)
        if standing.has_passed and not before[stratum].has_passed:
            passed = _passed(campaign, stratum, tests[stratum], standing, at=at)
            passed.inputs |= readings.inputs_of(campaign, states, stratum, before[stratum])
            decisions.append(passed)
    if folding.halted is not None:
        halted = _halted(campaign, folding.halted, tests[folding.halted], folding.standings[folding.halted], at=at)
        halted.inputs |= readings.inputs_of(campaign, states, folding.halted, before[folding.halted])
        halts.insert(0, halted)
    for decision in (*decisions, *halts):
        decision.inputs |= seen
    # One carries the halt out; what else halts at the same time is on record beside it.
    return decisions + halts[1:], halts[0] if halts else None


def _outcome(state: str) -> Outcome:
    if state in IN_FLIGHT_STATES:
        return Outcome.UNSETTLED
    return _OUTCOMES.get(AssignmentState(state), Outcome.NEUTRAL)


def _label(stratum: str) -> str:
    return f"hardware {stratum}" if stratum else "the campaign as a whole"


def _store(state: GateState, standing: gate.Standing) -> None:
    GateState.objects.filter(pk=state.pk).update(
        successes=standing.successes,
        failures=standing.failures,
        statistic=standing.statistic,
        has_passed=standing.has_passed,
        guard_statistic=standing.guard_statistic,
    )


def _passed(
    campaign: Campaign, stratum: str, test: gate.GateTest, standing: gate.Standing, *, at: datetime
) -> Decision:
    return draft(
        campaign,
        "gate.passed",
        f"The test of {_label(stratum)} has passed; from here on it is guarded.",
        by=ENGINE,
        at=at,
        stratum=stratum,
        successes=standing.successes,
        failures=standing.failures,
        statistic=standing.statistic,
        limit=test.pass_limit,
    )


def _halted(
    campaign: Campaign, stratum: str, test: gate.GateTest, standing: gate.Standing, *, at: datetime
) -> Decision:
    reading = gate.judge(test, standing)
    return draft(
        campaign,
        "gate.halted",
        f"The evidence says that {_label(stratum)} fails too often.",
        by=ENGINE,
        at=at,
        stratum=stratum,
        successes=standing.successes,
        failures=standing.failures,
        statistic=reading.statistic,
        limit=reading.limit,
        is_guard=reading.is_guard,
    )


def begin_anew(campaign: Campaign) -> dict[str, list[str]]:
    """Let the tests that halted a campaign start from nothing: a person with a reason resumed it.

    Returns which, for the decision to resume.
    """
    anew = []
    states = list(campaign.gate_states.all())
    tests = gates.gate_tests(campaign, states)
    for state in states:
        standing = gates.standing_of(state)
        if gate.judge(tests[state.stratum], standing).verdict == GateVerdict.HALT:
            _store(state, gate.begin_anew(standing))
            anew.append(state.stratum)
    return {"began_anew": sorted(anew), **signals.begin_anew(campaign)}
