"""What windows, blackouts, pace, conditions and the end have to do with where vehicles stand, in sentences."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from django.db.models import Max, prefetch_related_objects

from otaserver.campaigns.models import Assignment, Blackout, Campaign, Report
from otaserver.campaigns.queries import blackouts, schedules
from otaserver.campaigns.rules import explanations as rules
from otaserver.campaigns.rules import preconditions, windows
from otaserver.campaigns.rules.explanations import HoldUp
from otaserver.campaigns.states import STOPPABLE_STATES, AssignmentState, ReportPhase
from otaserver.fleet.rules import zone_of

MEASUREMENTS_SHOWN = 10


def timing_reasons(assignments: Sequence[Assignment], *, at: datetime) -> dict[int, HoldUp]:
    """Return, for those that something of this holds up now, what it is, by the assignment's id; of one tenant.

    Some queries for all of them together, and one for each campaign with a pace, or with unmet conditions.
    """
    pending = [each for each in assignments if each.state in STOPPABLE_STATES | {AssignmentState.WAITING}]
    if not pending:
        return {}
    prefetch_related_objects([each.campaign for each in pending], "windows")
    standing = list(blackouts.in_force(pending[0].campaign.tenant, at=at))
    barred = blackouts.by_vehicle(standing, {each.vehicle_id for each in pending})
    found: dict[int, HoldUp] = {}
    for campaign in {each.campaign_id: each.campaign for each in pending}.values():
        own = [each for each in pending if each.campaign_id == campaign.pk]
        found |= _in_campaign(campaign, own, barred, at=at)
    return found


def _in_campaign(
    campaign: Campaign, own: Sequence[Assignment], barred: Mapping[int, Sequence[Blackout]], *, at: datetime
) -> dict[int, HoldUp]:
    listed = schedules.windows_of(campaign)
    lacking = _lacking(campaign, own)
    is_paced_out = schedules.allowance(campaign, at=at).is_used_up
    reasons = {
        each.pk: _reason(each, barred[each.vehicle_id], listed, lacking, is_paced_out=is_paced_out, at=at)
        for each in own
    }
    return {pk: reason for pk, reason in reasons.items() if reason is not None}


def _reason(
    assignment: Assignment,
    barred: Sequence[Blackout],
    listed: Sequence[windows.Window],
    lacking: Mapping[int, str],
    *,
    is_paced_out: bool,
    at: datetime,
) -> HoldUp | None:
    campaign = assignment.campaign
    if barred:
        # The one that lasts longest is the one that counts.
        return _barred(max(barred, key=lambda blackout: blackouts.interval(blackout).end))
    is_waiting = assignment.state == AssignmentState.WAITING
    if listed and (not is_waiting or not campaign.downloads_early):
        shut = _shut(assignment, listed, at=at)
        if shut is not None:
            return shut
    if assignment.pk in lacking:
        demanded = " and ".join(preconditions.sentence(each) for each in campaign.preconditions)
        return HoldUp(rules.PRECONDITION, lacking[assignment.pk], demanded, lacking[assignment.pk])
    if is_waiting and is_paced_out:
        sentence = f"the pace of {_pace(campaign)} is used up for the moment"
        return HoldUp(rules.PACE, sentence, _pace(campaign), "used up")
    return None


def _barred(blackout: Blackout) -> HoldUp:
    ends_at = blackout.ends_at
    until = f"until {ends_at:%Y-%m-%d %H:%M} UTC" if ends_at else "until it is lifted"
    said = f"{blackout.name}: {blackout.reason.rstrip('.')}"
    sentence = f"blackout {blackout.name} is in force {until}: {blackout.reason.rstrip('.')}"
    return HoldUp(rules.BLACKOUT, sentence, said, until)


def _shut(assignment: Assignment, listed: Sequence[windows.Window], *, at: datetime) -> HoldUp | None:
    name, ends_at = assignment.vehicle.time_zone, assignment.campaign.ends_at
    zone = zone_of(name)
    if zone is None:
        sentence = f"its time zone {name!r} is unknown, so that no window opens"
        return HoldUp(rules.ZONE_UNKNOWN, sentence, "a time zone of the IANA list", name)
    if windows.is_open(listed, zone, at):
        return None
    now = f"{at.astimezone(zone):%Y-%m-%d %H:%M} ({name})"
    opening = windows.next_opening(listed, zone, at)
    if opening is None or (ends_at is not None and opening.start >= ends_at):
        sentence = "no window opens any more before the campaign ends"
        return HoldUp(rules.NO_WINDOW, sentence, f"{ends_at:%Y-%m-%d %H:%M} UTC" if ends_at else "no window", now)
    next_one = f"{opening.start.astimezone(zone):%Y-%m-%d %H:%M} ({name})"
    return HoldUp(rules.WINDOW, f"the next window opens at {next_one}", next_one, now)


def _lacking(campaign: Campaign, own: Sequence[Assignment]) -> dict[int, str]:
    """Return what vehicles that hold for a precondition measured last, against what it must be."""
    held = [each.pk for each in own if each.state == AssignmentState.HELD and each.code == "precondition"]
    if not held or not campaign.preconditions:
        return {}
    said = Report.objects.filter(attempt__assignment__in=held, phase=ReportPhase.HELD, code="precondition")
    latest = said.order_by().values("attempt__assignment").annotate(last=Max("pk")).values("last")
    rows = Report.objects.filter(pk__in=latest).values_list("attempt__assignment", "measured")
    found = {pk: "; ".join(preconditions.unmet(campaign.preconditions, measured)) for pk, measured in rows}
    return {pk: sentence for pk, sentence in found.items() if sentence}


def _pace(campaign: Campaign) -> str:
    parts = []
    if campaign.offers_per_minute is not None:
        parts.append(f"{campaign.offers_per_minute} offers a minute")
    if campaign.bytes_per_hour is not None:
        parts.append(f"{campaign.bytes_per_hour} bytes an hour")
    return " and ".join(parts)


def measurements(assignments: Sequence[Assignment]) -> dict[UUID, list[Report]]:
    """Return by attempt what vehicles measured when they held back or refused, the last first, in one query."""
    said = Report.objects.filter(attempt__assignment__in=[each.pk for each in assignments]).exclude(measured={})
    found: dict[UUID, list[Report]] = {}
    for report in said.order_by("-received_at", "-pk"):
        kept = found.setdefault(report.attempt_id, [])
        if len(kept) < MEASUREMENTS_SHOWN:
            kept.append(report)
    return found
