"""Reading matured vehicles' health into the tests of a campaign's signals."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from django.db.models import Max

from otaserver.campaigns.models import Campaign, Decision, SignalState
from otaserver.campaigns.operations import comparisons
from otaserver.campaigns.operations.decisions import ENGINE, draft
from otaserver.campaigns.queries import signals as queries
from otaserver.campaigns.rules import comparisons as comparison_rules
from otaserver.campaigns.rules import eprocess, gate, signals
from otaserver.campaigns.rules.readings import NO_HEALTH, HealthSeen
from otaserver.campaigns.states import CampaignKind, GateVerdict, Verdict
from otaserver.fleet.models import Vehicle


@dataclass(frozen=True)
class HealthResult:
    """What the signals say: how many of the vehicles were read, what was decided, halts apart, and what was seen."""

    read: int
    decisions: Sequence[Decision] = ()
    halts: Sequence[Decision] = ()
    seen: HealthSeen = NO_HEALTH


def plan_signals(campaign: Campaign, *, fitting: int, held_out: int) -> None:
    """Plan the tests of the signals that the campaign's release states, and each one's part of its alpha.

    A roll-back has none: its way leads to software that is known, and must not wait for vehicles that tell nothing.
    """
    stated = list(campaign.release.signals.all())
    if not stated or campaign.kind == CampaignKind.ROLLBACK:
        return
    campaign.gate_states.update(outcome_share=signals.outcome_share(len(stated)))
    SignalState.objects.bulk_create(
        SignalState(
            campaign=campaign,
            signal=signal,
            planned_results=fitting,
            alpha_share=signals.signal_share(len(stated), has_control=held_out > 0),
            treated_per_block=eprocess.treated_per_block(treated=fitting, control=held_out),
        )
        for signal in stated
    )
    held = campaign.assignments.filter(verdict=Verdict.CONTROL).values("vehicle")
    Vehicle.objects.filter(pk__in=held).update(is_health_wanted=True)


def ask_held_out(campaign: Campaign, *, among: Collection[int]) -> None:
    """Let those of these vehicles (rows' ids) that are held out be asked for the campaign's signals, if it has any."""
    if campaign.signal_states.exists():
        held = campaign.assignments.filter(verdict=Verdict.CONTROL, vehicle__in=among).values("vehicle")
        Vehicle.objects.filter(pk__in=held).update(is_health_wanted=True)


def read_health(campaign: Campaign, judged: Sequence[tuple[int, gate.Outcome]], *, at: datetime) -> HealthResult:
    """Read the signals of vehicles whose outcomes the gate reads, in the same order, each once.

    Stops after a vehicle with which a test halts: the rest is to be left unread by the gate too.
    """
    states = {state.signal.name: state for state in campaign.signal_states.select_related("signal", "campaign")}
    matured = [(index, pk) for index, (pk, outcome) in enumerate(judged) if outcome is not gate.Outcome.NEUTRAL]
    if not states or not matured:
        return HealthResult(len(judged))
    health = _health_of([pk for _, pk in matured], states)
    tests = {name: queries.test_of(state) for name, state in states.items()}
    before = {name: queries.standing_of(state) for name, state in states.items()}
    folding = signals.fold(tests, before, [health[pk] for _, pk in matured])
    decisions, halts = [], []
    for name, standing in folding.standings.items():
        _store(states[name], standing, missing=folding.missing[name])
        if standing.has_passed and not before[name].has_passed:
            decisions.append(_passed(states[name], tests[name], before[name], standing, at=at))
    if folding.halted is not None:
        name = folding.halted
        halts.append(_halted(states[name], tests[name], before[name], folding.standings[name], at=at))
    seen = matured[: folding.read]
    controls: dict[str, Sequence[bool | None]] = {}
    for name, state in states.items():
        compared = comparisons.compare(state, [(pk, health[pk][name]) for _, pk in seen if name in health[pk]], at=at)
        controls |= {name: compared.controls} if compared.controls else {}
        halts += [compared.halt] if compared.halt is not None else []
    read = len(judged) if folding.halted is None else seen[-1][0] + 1
    return HealthResult(read, decisions, halts, HealthSeen([health[pk] for _, pk in seen], sorted(states), controls))


def readable(campaign: Campaign, rows: Sequence[tuple[int, str, gate.Outcome]], places: Sequence[int]) -> Sequence[int]:
    """Return the places of the outcomes to read now, where `places` are those that the gate would (`gate.readable`).

    More of them where what vehicles behind an unsettled one report makes a halt certain.
    """
    # Beyond an unsettled one the gate reads but what halts.
    is_halted = bool(places) and places[-1] >= len(places)
    if is_halted or len(places) == len(rows):
        return places
    states = {state.signal.name: state for state in campaign.signal_states.select_related("signal", "campaign")}
    if not states:
        return places
    mature = [
        (place, pk, outcome) for place, (pk, _, outcome) in enumerate(rows) if outcome is not gate.Outcome.NEUTRAL
    ]
    health = _health_of([pk for _, pk, outcome in mature if outcome is not gate.Outcome.UNSETTLED], states)
    tests = {name: queries.test_of(state) for name, state in states.items()}
    standings = {name: queries.standing_of(state) for name, state in states.items()}
    certain = signals.certain_halt(tests, standings, [health.get(pk) for _, pk, _ in mature])
    if certain is None or mature[certain - 1][0] < len(places):
        return places
    return gate.settled([(stratum, outcome) for _, stratum, outcome in rows[: mature[certain - 1][0] + 1]])


def _health_of(assignments: list[int], states: Mapping[str, SignalState]) -> dict[int, dict[str, bool]]:
    """Return of each assignment which signals were reported, and whether the worst value was above the limit."""
    health: dict[int, dict[str, bool]] = {pk: {} for pk in assignments}
    worst = (
        queries.readings_of(assignments, list(states)).values_list("assignment", "name").annotate(worst=Max("value"))
    )
    for pk, name, value in worst:
        health[pk][name] = value > states[name].signal.limit
    return health


def _store(state: SignalState, standing: gate.Standing, *, missing: int) -> None:
    state.missing += missing
    SignalState.objects.filter(pk=state.pk).update(
        successes=standing.successes,
        failures=standing.failures,
        missing=state.missing,
        statistic=standing.statistic,
        has_passed=standing.has_passed,
        guard_statistic=standing.guard_statistic,
    )


def _inputs_of(state: SignalState, before: gate.Standing) -> dict[str, Any]:
    """Return what a decision of a signal's test rests on: its parameters, and where it stood."""
    return {
        "signal": state.signal.name,
        "signal_limit": state.signal.limit,
        "missing": state.missing,
        "plan": asdict(queries.plan_of(state)),
        "alpha_share": state.alpha_share,
        "planned_results": state.planned_results,
        "before": before._asdict(),
    }


def _passed(
    state: SignalState, test: gate.GateTest, before: gate.Standing, standing: gate.Standing, *, at: datetime
) -> Decision:
    return draft(
        state.campaign,
        "gate.passed",
        f"The test of the signal {state.signal.name} has passed; from here on it is guarded.",
        by=ENGINE,
        at=at,
        successes=standing.successes,
        failures=standing.failures,
        statistic=standing.statistic,
        limit=test.pass_limit,
        **_inputs_of(state, before),
    )


def _halted(
    state: SignalState, test: gate.GateTest, before: gate.Standing, standing: gate.Standing, *, at: datetime
) -> Decision:
    reading = gate.judge(test, standing)
    name, found = state.signal.name, f"{standing.failures} of {standing.successes + standing.failures}"
    return draft(
        state.campaign,
        "gate.halted",
        f"Too many vehicles report {name} above {state.signal.limit:g}: {found}.",
        by=ENGINE,
        at=at,
        successes=standing.successes,
        failures=standing.failures,
        statistic=reading.statistic,
        limit=reading.limit,
        is_guard=reading.is_guard,
        **_inputs_of(state, before),
    )


def begin_anew(campaign: Campaign) -> dict[str, list[str]]:
    """Let the tests of signals that halted a campaign start from nothing: a person with a reason resumed it.

    Returns the names of those, and of those whose comparison did; nothing for a campaign without signals.
    """
    tests, compared = [], []
    states = list(campaign.signal_states.select_related("signal", "campaign").order_by("signal__name"))
    for state in states:
        standing, comparison = queries.standing_of(state), queries.comparison_of(state)
        if gate.judge(queries.test_of(state), standing).verdict == GateVerdict.HALT:
            _store(state, gate.begin_anew(standing), missing=0)
            tests.append(state.signal.name)
        if state.treated_per_block and comparison_rules.has_halted(queries.comparison_test(state), comparison):
            comparisons.store(state, comparison_rules.begin_anew(comparison))
            compared.append(state.signal.name)
    return {"signals_began_anew": tests, "comparisons_began_anew": compared} if states else {}
