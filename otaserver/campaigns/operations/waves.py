"""Waves: opened, refilled, matured and judged by the engine; decided by a person where the plan or the results ask."""

from collections.abc import Collection, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Count, Exists, OuterRef, Q

from otaserver.campaigns.models import Assignment, Attempt, Campaign, Decision, Report, Wave
from otaserver.campaigns.operations import checks, decisions, rollbacks, stops
from otaserver.campaigns.operations.decisions import ENGINE, draft
from otaserver.campaigns.queries import counts, gates
from otaserver.campaigns.queries.rollbacks import unknown as unknown_in
from otaserver.campaigns.rules import waves as rules
from otaserver.campaigns.states import (
    ACTIVE_STATES,
    NEUTRAL_STATES,
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
# Those that have a result, or may still come to one.
_COUNTING = _PENDING | _RESULTS | {AssignmentState.SOAKING}


def advance_waves(campaign: Campaign, *, at: datetime) -> list[Decision]:
    """Take a running campaign's waves as far as they go now, the campaign's end included; return what was decided."""
    drafts: list[Decision] = []
    while True:
        current = campaign.waves.filter(state__in=_UNDER_WAY).first()
        if current is not None:
            drafts += _advance_wave(campaign, current, at=at)
            if current.state != WaveState.PASSED:
                return drafts
        following = campaign.waves.filter(state=WaveState.WAITING).first()
        if following is None:
            return drafts + _complete(campaign, at=at)
        drafts += _open(campaign, following, at=at)


def _open(campaign: Campaign, wave: Wave, *, at: datetime) -> list[Decision]:
    # The last one takes everybody who is left: those too who joined after the start.
    is_last = not campaign.waves.filter(number__gt=wave.number).exists()
    taken = _take(campaign, wave, None if is_last else wave.places)
    wave.move_to(WaveState.OPEN, opened_at=at)
    sentence = f"Wave {wave.number} is open to {decisions.vehicles(taken)}."
    inputs = {"places": wave.places, "vehicles": taken}
    opened = draft(campaign, "wave.opened", sentence, by=ENGINE, at=at, wave=wave, **inputs)
    if taken:
        return [opened]
    # Of a small fleet some waves get nobody: there is nothing to learn in them, and nothing to ask a person.
    return [opened, _pass(campaign, wave, "There is no vehicle for this wave.", at=at, basis="nobody", **inputs)]


def _take(campaign: Campaign, wave: Wave, count: int | None) -> int:
    left = campaign.assignments.filter(state=AssignmentState.WAITING, wave=None)
    if count is None:
        return left.update(wave=wave)
    first = left.order_by("rank", "pk").values("pk")[:count]
    return Assignment.objects.filter(pk__in=first).update(wave=wave)


def _advance_wave(campaign: Campaign, wave: Wave, *, at: datetime) -> list[Decision]:
    if wave.state == WaveState.UNDECIDED:
        return []
    by_state = counts.wave_counts(wave)
    left = campaign.assignments.filter(state=AssignmentState.WAITING, wave=None).count()
    tried = {"places": wave.places, "counting": _sum(by_state, _COUNTING), "in_vain": _tried_in_vain(wave)}
    wanted = rules.refill(**tried, left=left)
    if wanted:
        _take(campaign, wave, wanted)
        if wave.state == WaveState.MATURING:
            wave.move_to(WaveState.OPEN)
        sentence = f"In place of neutral ends the wave takes {decisions.vehicles(wanted)} more."
        inputs = {"vehicles": wanted, "left": left, **tried}
        return [draft(campaign, "wave.refilled", sentence, by=ENGINE, at=at, wave=wave, **inputs)]
    has_passed = campaign.gate_states.filter(stratum="", has_passed=True).exists()
    evidence = _own_evidence(campaign, wave) if has_passed and left else None
    if evidence is not None and evidence["judged"] >= evidence["needed"]:
        basis = {"basis": "evidence", "has_passed": True, "left": left, **evidence}
        return [_pass(campaign, wave, "The test has passed, on results of this wave too.", at=at, **basis)]
    return _judge(campaign, wave, by_state, left, has_passed, at=at) if _follow_members(wave, by_state) else []


def _tried_in_vain(wave: Wave) -> int:
    # A call or a report since an attempt was opened: the vehicle may have met the release. One that only called after
    # it had lapsed looks the same, and errs on the side of asking.
    heard = Q(opened_at__lte=OuterRef("vehicle__last_contact_at")) | Exists(
        Report.objects.filter(attempt=OuterRef("pk"))
    )
    tries = Attempt.objects.filter(heard, assignment=OuterRef("pk"))
    return wave.assignments.filter(Exists(tries), state__in=NEUTRAL_STATES).count()


def _sum(by_state: Mapping[str, int], states: Collection[str]) -> int:
    return sum(by_state.get(state, 0) for state in states)


def _own_evidence(campaign: Campaign, wave: Wave) -> dict[str, int]:
    """Return how many results the wave itself brought, and how many a clean test needs.

    Once the test has passed it says so for good; without this, all later waves would pass the moment they open. And
    without the early pass one vehicle that is away for weeks would hold up all others.
    """
    pool = campaign.gate_states.get(stratum="")
    needed = gates.gate_tests(campaign, [pool])[""].clean_results_to_pass
    return {"judged": wave.assignments.filter(state__in=_RESULTS, is_judged=True).count(), "needed": needed}


def _follow_members(wave: Wave, by_state: Mapping[str, int]) -> bool:
    """Move the wave to where its vehicles are, and return whether all are settled and their outcomes read."""
    if _sum(by_state, _PENDING):
        if wave.state == WaveState.MATURING:
            wave.move_to(WaveState.OPEN)
        return False
    unread = wave.assignments.filter(Q(state=AssignmentState.SOAKING) | Q(state__in=_RESULTS, is_judged=False))
    if unread.exists():
        if wave.state == WaveState.OPEN:
            wave.move_to(WaveState.MATURING)
        return False
    return True


def _may_grow(campaign: Campaign) -> bool:
    # A vehicle that still installs the release being rolled back will have to be taken back too.
    first = campaign.rolls_back_id
    return first is not None and Assignment.objects.filter(campaign=first, state__in=ACTIVE_STATES).exists()


def _judge(
    campaign: Campaign, wave: Wave, by_state: Mapping[str, int], left: int, has_passed: bool, *, at: datetime
) -> list[Decision]:
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
        unfilled=max(wave.places - _sum(by_state, _RESULTS), 0) if left else 0,
    )
    verdict = rules.judge_wave(
        results,
        has_passed=has_passed,
        rule=WaveRule(campaign.wave_rule),
        max_failed=wave.max_failed,
        failure_budget=campaign.failure_budget,
    )
    inputs = {
        "basis": "results",
        "has_passed": has_passed,
        "rule": str(campaign.wave_rule),
        "max_failed": wave.max_failed,
        "failure_budget": campaign.failure_budget,
        **asdict(results),
    }
    if verdict.state == WaveState.PASSED:
        return [_pass(campaign, wave, verdict.sentence, at=at, **inputs)]
    wave.move_to(WaveState.UNDECIDED)
    return [draft(campaign, "wave.undecided", verdict.sentence, by=ENGINE, at=at, wave=wave, **inputs)]


def _pass(campaign: Campaign, wave: Wave, sentence: str, *, at: datetime, **inputs: Any) -> Decision:
    wave.move_to(WaveState.PASSED, finished_at=at)
    return draft(campaign, "wave.passed", sentence, by=ENGINE, at=at, wave=wave, **inputs)


def _complete(campaign: Campaign, *, at: datetime) -> list[Decision]:
    unsettled = campaign.assignments.filter(state__in=_PENDING | {AssignmentState.SOAKING})
    if unsettled.exists() or _may_grow(campaign):
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
    """Decide, as a person, a wave that the test and the plan left undecided; one that failed halts the campaign.

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
    wave.move_to(WaveState.PASSED if passed else WaveState.FAILED, finished_at=at)
    kind = "wave.passed" if passed else "wave.failed"
    decided = draft(campaign, kind, reason, by=by, at=at, wave=wave)
    if not passed:
        decided.inputs["withdrawn"] = stops.halt(campaign, reason=reason, at=at)
    decisions.record(campaign, [decided])
