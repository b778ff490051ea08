"""Which orders past their due time have time left all the same, and why the others are given up.

A due time is written as a vehicle reports. Whoever calls and has nothing new to say is not silent, and what a blackout
takes from a vehicle it gets back.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from otaserver.campaigns.models import Assignment, Campaign, Report
from otaserver.campaigns.queries import blackouts
from otaserver.campaigns.queries.answers import last_answers
from otaserver.campaigns.queries.orders import consent_terms
from otaserver.campaigns.queries.schedules import Schedules
from otaserver.campaigns.rules import deadlines
from otaserver.campaigns.rules.consent import goes_ahead_at
from otaserver.campaigns.states import AssignmentState, ConsentDecision, ReportPhase

WINDOW = "window"
Why = tuple[str, str]


def timeouts_of(campaign: Campaign) -> deadlines.Timeouts:
    """Return a campaign's patience in the form that the rules judge."""
    return deadlines.Timeouts(
        offer_seconds=campaign.offer_timeout_seconds,
        download_seconds=campaign.download_timeout_seconds,
        install_seconds=campaign.install_timeout_seconds,
        soak_seconds=campaign.soak_seconds,
        grace_hours=campaign.grace_hours,
    )


def prolong(orders: Collection[int], *, at: datetime) -> set[int]:
    """Give those of these orders (assignments that are past their due time, and locked) more time that have some left.

    Return which. One that holds for its window, a condition or its owner has as long from its last call as from a
    report, and no longer in all than `deadlines.due_at` gives one that keeps reporting.
    """
    if not orders:
        return set()
    rows = Assignment.objects.filter(pk__in=orders).select_related("campaign__tenant", "vehicle")
    by_campaign: dict[Campaign, list[Assignment]] = {}
    for row in rows:
        by_campaign.setdefault(row.campaign, []).append(row)
    prolonged = [row for campaign, own in by_campaign.items() for row in _with_time_left(campaign, own, at=at)]
    Assignment.objects.bulk_update(prolonged, ["due_at"])
    return {row.pk for row in prolonged}


def _with_time_left(campaign: Campaign, own: Sequence[Assignment], *, at: datetime) -> Sequence[Assignment]:
    barred_until = _barred_until(campaign, [row.vehicle_id for row in own], at=at)
    left = []
    for row in own:
        due_at = max(
            _heard_until(campaign, row) or at, _asked_until(campaign, row) or at, barred_until.get(row.vehicle_id, at)
        )
        if due_at > at:
            row.due_at = due_at
            left.append(row)
    return left


def _heard_until(campaign: Campaign, row: Assignment) -> datetime | None:
    heard_at = row.vehicle.last_contact_at
    if heard_at is None or row.state == AssignmentState.OFFERED:
        # How long an offer stands does not depend on calls: it was not taken up.
        return None
    return deadlines.due_at(
        row.state, timeouts_of(campaign), at=heard_at, offered_at=row.offered_at, installing_at=None
    )


def _asked_until(campaign: Campaign, row: Assignment) -> datetime | None:
    """Return until when an owner whom the server counts for may still agree, and the vehicle then carry it out."""
    ahead_at = goes_ahead_at(consent_terms(campaign), asked_at=row.asked_at)
    return None if ahead_at is None else ahead_at + timedelta(seconds=campaign.download_timeout_seconds)


def _barred_until(campaign: Campaign, vehicles: Collection[int], *, at: datetime) -> Mapping[int, datetime]:
    if not blackouts.in_force(campaign.tenant, at=at).exists():
        return {}
    patience = timedelta(seconds=campaign.download_timeout_seconds)
    listings = Schedules(campaign, at=at).of(vehicles)
    return {
        vehicle: listing.barred_until + patience
        for vehicle, listing in listings.items()
        if listing.barred_until is not None
    }


def reasons(orders: Collection[int], *, at: datetime) -> dict[int, Why]:
    """Return why orders are given up, as code and message, where silence is not the reason: what they held for."""
    if not orders:
        return {}
    rows = list(Assignment.objects.filter(pk__in=orders).select_related("campaign"))
    held = {row.pk: (row.code, row.message) for row in rows if row.state == AssignmentState.HELD and row.code}
    held |= _before_the_window([pk for pk, (code, _) in held.items() if code == WINDOW])
    found = {
        pk: (code, f"Given up; until then the vehicle held ({code}): {message}") for pk, (code, message) in held.items()
    }
    return found | _asked([row for row in rows if row.asked_at is not None], at=at)


def _before_the_window(assignments: Collection[int]) -> dict[int, Why]:
    """Return what else held these: between windows every vehicle holds for the next one."""
    said = Report.objects.filter(attempt__assignment__in=assignments, phase=ReportPhase.HELD)
    rows = said.exclude(code__in=["", WINDOW]).order_by("received_at", "pk")
    return {pk: (code, message) for pk, code, message in rows.values_list("attempt__assignment", "code", "message")}


def _asked(rows: Sequence[Assignment], *, at: datetime) -> dict[int, Why]:
    """Return what became of the question to the owner, where the server counts and he has not agreed."""
    last = last_answers([row.pk for row in rows])
    found: dict[int, Why] = {}
    for row in rows:
        ahead_at = goes_ahead_at(consent_terms(row.campaign), asked_at=row.asked_at)
        if last.get(row.pk) == ConsentDecision.YES or (ahead_at is not None and ahead_at <= at):
            continue
        is_no = last.get(row.pk) == ConsentDecision.NO
        found[row.pk] = (
            ("consent_refused", "The owner was asked, and said no.")
            if is_no
            else ("consent", "The owner was asked, and did not agree in time.")
        )
    return found
