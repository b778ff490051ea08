"""Waves: opened, refilled, matured and judged by the engine; decided by a person where the plan or the results ask."""

from collections.abc import Collection, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Count, Q

from otaserver.campaigns.models import Assignment, Campaign, Decision, Wave
from otaserver.campaigns.operations import checks, decisions, halts, joining, precedence, rollbacks, turns
from otaserver.campaigns.operations.decisions import ENGINE, draft
from otaserver.campaigns.queries import counts, gates
from otaserver.campaigns.queries.rollbacks import unknown as unknown_in
from otaserver.campaigns.queries.signals import why_not_judged
from otaserver.campaigns.rules import waves as rules
from otaserver.campaigns.states import (
    ACTIVE_STATES,
    AssignmentState,
    CampaignKind,
    CampaignState,
    WaveRule,
    WaveState,
)
from otaserver.statemachine import InvalidTransitionError

_UNDER_WAY = [WaveState.OPEN, WaveState.MATURING, WaveState.UNDECIDED]
_PENDING = ACTIVE_STATES | {AssignmentState.WAITING}
_RESULTS = frozenset({AssignmentState.SUCCEEDED, AssignmentState.FAILED})


def advance_waves(campaign: Campaign, *, is_looking: bool, at: datetime) -> list[Decision]:
    """Take a running campaign's waves as far as they go now, the campaign's end included; return what was decided.

    A roll-back ends with a tick alone that has looked (`looks`) for further vehicles to bring back.
    """
    drafts: list[Decision] = []
    while True:
        current = campaign.waves.filter(state__in=_UNDER_WAY).first()
        if current is not None:
            drafts += _advance_wave(campaign, current, at=at)
            if current.state != WaveState.PASSED:
                return drafts
        following = campaign.waves.filter(state=WaveState.WAITING).first()
        if following is None:
            may_end = is_looking or campaign.kind != CampaignKind.ROLLBACK
            return drafts + (_complete(campaign, at=at) if may_end else [])
        drafts += _open(campaign, following, at=at)


def _open(campaign: Campaign, wave: Wave, *, at: datetime) -> list[Decision]:
    opening = turns.begin(campaign, wave)
    wave.move_to(WaveState.OPEN, opened_at=at)
    sentence = f"Wave {wave.number} is open to {decisions.vehicles(opening.vehicles)}."
    opened = draft(campaign, "wave.opened", sentence, by=ENGINE, at=at, wave=wave, **asdict(opening))
    if opening.vehicles:
        return [opened]
    group = wave.group.name if wave.group is not None else None
    is_anyone_left = turns.has_any(turns.without_turn(campaign))
    nobody = {"basis": "nobody", "places": wave.places, "group": group, "is_anyone_left": is_anyone_left}
    return [opened, _decide(campaign, wave, rules.judge_empty(group=group, is_anyone_left=is_anyone_left), nobody, at)]


def _advance_wave(campaign: Campaign, wave: Wave, *, at: datetime) -> list[Decision]:
    if wave.state == WaveState.UNDECIDED:
        return []
    turns.fill(campaign, wave)
    refill = turns.refill(campaign, wave)
    if refill is not None:
        if wave.state == WaveState.MATURING:
            wave.move_to(WaveState.OPEN)
        sentence = f"In place of neutral ends the wave takes {decisions.vehicles(refill.vehicles)} more."
        return [draft(campaign, "wave.refilled", sentence, by=ENGINE, at=at, wave=wave, **asdict(refill))]
    has_passed = campaign.gate_states.filter(stratum="", has_passed=True).exists()
    evidence = _own_evidence(campaign, wave) if has_passed and turns.has_any(turns.without_turn(campaign)) else None
    is_enough = evidence is not None and evidence["judged"] >= evidence["needed"] and _is_within_budget(campaign)
    if evidence is not None and is_enough and why_not_judged(campaign, wave) is None:
        basis = {"basis": "evidence", "has_passed": True, "left": True, **evidence}
        return [_pass(campaign, wave, "The test has passed, on results of this wave too.", at=at, **basis)]
    return _judge(campaign, wave, has_passed, at=at) if _follow_members(wave) else []


def _sum(by_state: Mapping[str, int], states: Collection[str]) -> int:
    return sum(by_state.get(state, 0) for state in states)


def _own_evidence(campaign: Campaign, wave: Wave) -> dict[str, int]:
    """Return how many results the wave itself brought, and how many a clean test needs.

    Once the test has passed it says so for good; without this, all later waves would pass the moment they open. And
    without the early pass one vehicle that is away for weeks would hold up all others.
    """
    pool = campaign.gate_states.get(stratum="")
    needed = gates.gate_tests(campaign, [pool])[""].clean_results_to_pass
    return {"judged": wave.assignments.filter(state__in=_RESULTS, is_judged=True)[:needed].count(), "needed": needed}


def _is_within_budget(campaign: Campaign) -> bool:
    if campaign.failure_budget is None:
        return True
    return campaign.assignments.filter(state=AssignmentState.FAILED).count() <= campaign.failure_budget


def _follow_members(wave: Wave) -> bool:
    """Move the wave to where its vehicles are, and return whether all are settled and their outcomes read."""
    if wave.untaken != 0 or wave.assignments.filter(state__in=_PENDING).exists():
        if wave.state == WaveState.MATURING:
            wave.move_to(WaveState.OPEN)
        return False
    # Apart, since each then is answered by the first row of an index.
    if wave.assignments.filter(state=AssignmentState.SOAKING).exists() or _has_unread(wave):
        if wave.state == WaveState.OPEN:
            wave.move_to(WaveState.MATURING)
        return False
    return True


def _has_unread(wave: Wave) -> bool:
    # Among the few of the campaign that are not read yet, not among all results of the wave.
    unread = Assignment.objects.filter(campaign=wave.campaign_id, is_judged=False, installing_at__isnull=False)
    own = unread.filter(wave=wave, state__in=_RESULTS).order_by("installing_at", "pk")
    return own.values_list("pk", flat=True).first() is not None


def _judge(campaign: Campaign, wave: Wave, has_passed: bool, *, at: datetime) -> list[Decision]:
    # Counting a whole wave is for its end alone: whatever comes of it, this is not repeated.
    by_state, left = counts.wave_counts(wave), turns.without_turn(campaign).count()
    may_refill = turns.has_any(turns.left_for(campaign, wave))
    totals = campaign.assignments.aggregate(
        failures=Count("pk", filter=Q(state=AssignmentState.FAILED)),
        results=Count("pk", filter=Q(state__in=_RESULTS)),
    )
    planned = campaign.waves.filter(number__gt=wave.number).values_list("places", flat=True)
    results = rules.WaveResults(
        wave_failures=by_state.get(AssignmentState.FAILED, 0),
        wave_results=_sum(by_state, _RESULTS),
        campaign_failures=totals["failures"],
        campaign_results=totals["results"],
        next_places=rules.next_places(list(planned), left=left),
        unfilled=max(wave.places - _sum(by_state, _RESULTS), 0) if may_refill else 0,
    )
    verdict = rules.judge_wave(
        results,
        has_passed=has_passed,
        rule=WaveRule(campaign.wave_rule),
        max_failed=wave.max_failed,
        failure_budget=campaign.failure_budget,
    )
    unjudged = why_not_judged(campaign, wave)
    if verdict.state == WaveState.PASSED and unjudged is not None:
        verdict = rules.WaveVerdict(WaveState.UNDECIDED, unjudged)
    inputs = {
        "basis": "results",
        "has_passed": has_passed,
        "rule": str(campaign.wave_rule),
        "max_failed": wave.max_failed,
        "failure_budget": campaign.failure_budget,
        "unjudged": unjudged or "",
        **asdict(results),
    }
    return [_decide(campaign, wave, verdict, inputs, at)]


def _decide(
    campaign: Campaign, wave: Wave, verdict: rules.WaveVerdict, inputs: Mapping[str, Any], at: datetime
) -> Decision:
    if verdict.state == WaveState.PASSED:
        return _pass(campaign, wave, verdict.sentence, at=at, **inputs)
    wave.move_to(WaveState.UNDECIDED)
    return draft(campaign, "wave.undecided", verdict.sentence, by=ENGINE, at=at, wave=wave, **inputs)


def _pass(campaign: Campaign, wave: Wave, sentence: str, *, at: datetime, **inputs: Any) -> Decision:
    wave.move_to(WaveState.PASSED, finished_at=at)
    return draft(campaign, "wave.passed", sentence, by=ENGINE, at=at, wave=wave, **inputs)


def _complete(campaign: Campaign, *, at: datetime) -> list[Decision]:
    if joining.is_open(campaign):
        return []
    unsettled = campaign.assignments.filter(state__in=_PENDING | {AssignmentState.SOAKING})
    if unsettled.exists() or rollbacks.may_grow(campaign) or precedence.awaits_newer(campaign):
        return []
    unknown = 0
    if campaign.kind == CampaignKind.ROLLBACK:
        reason = rollbacks.reason_to_stay_open(campaign, at=at)
        if reason is not None:
            return rollbacks.say_once(campaign, reason, at=at)
        unknown = unknown_in(campaign).count()
    by_state = counts.progress(campaign).by_state
    campaign.move_to(CampaignState.COMPLETED, finished_at=at, reason="")
    sentence = f"All vehicles are settled; {by_state.get(AssignmentState.SUCCEEDED, 0)} succeeded."
    if unknown:
        sentence += f" What {decisions.vehicles(unknown)} run that fell silent while installing is unknown."
    return [draft(campaign, "campaign.completed", sentence, by=ENGINE, at=at, counts=by_state, unknown=unknown)]


@transaction.atomic
def decide_wave(wave: Wave, *, passed: bool, reason: str, by: str, at: datetime) -> None:
    """Decide, as a person, a wave that the test and the plan left undecided.

    One that failed halts the campaign, as its plan says.

    Raises:
        ReasonMissingError: no reason is given.
        InvalidTransitionError: the wave is not undecided, or its campaign is not under way.
    """
    reason = decisions.require_reason(reason)
    campaign = Campaign.objects.select_for_update(of=("self",), no_key=True).get(pk=wave.campaign_id)
    checks.require_state(campaign, CampaignState.RUNNING, CampaignState.PAUSED)
    if wave.state != WaveState.UNDECIDED:
        # An open wave passes or fails too, but not by a person's word.
        raise InvalidTransitionError(f"{wave} is {wave.state}; there is nothing to decide.", state=str(wave.state))
    if passed:
        wave.move_to(WaveState.PASSED, finished_at=at)
        decisions.record(campaign, [draft(campaign, "wave.passed", reason, by=by, at=at, wave=wave)])
        return
    # As any halt: in the way that the plan asks for.
    wave.move_to(WaveState.FAILED, finished_at=at)
    decided = draft(campaign, "wave.failed", reason, by=by, at=at, wave=wave)
    decisions.record(campaign, halts.carry_out(campaign, decided, at=at))
