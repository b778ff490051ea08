"""Roll-back: a campaign of its own, for the vehicles that confirmed the release it takes back."""

from collections.abc import Collection
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import IntegrityError, transaction
from django.db.models import Count, Exists, OuterRef, Q, QuerySet

from firmware_store.models import Package, Release, ReleaseItem
from otaserver.campaigns.errors import CampaignNameTakenError, PlanRefusedError
from otaserver.campaigns.models import Assignment, Attempt, Campaign, Decision, Wave
from otaserver.campaigns.operations import assignments, decisions, offers, precedence
from otaserver.campaigns.operations.decisions import ENGINE
from otaserver.campaigns.queries import block_lists
from otaserver.campaigns.queries import rollbacks as queries
from otaserver.campaigns.rules import deadlines, plans
from otaserver.campaigns.states import (
    ACTIVE_STATES,
    STOPPABLE_STATES,
    AssignmentState,
    CampaignKind,
    CampaignState,
    Verdict,
)
from otaserver.fleet import queries as fleet
from otaserver.fleet.models import Ecu, Vehicle

# Not hard limits and timeouts alone: a roll-back is judged like the campaign that it takes back.
_INHERITED = (
    "acceptable_rate",
    "unacceptable_rate",
    "alpha",
    "beta",
    "soak_seconds",
    "max_verification_failed",
    "halt_codes",
    "is_stratified",
    "wave_rule",
    "offer_timeout_seconds",
    "download_timeout_seconds",
    "install_timeout_seconds",
    "max_attempts",
    "retry_seconds",
    "grace_hours",
    # Taking software back is an installation like any other. Windows and consent are not: it must not wait for them.
    "preconditions",
    "priority",
    "foreign_software",
)
_GIVEN_UP = [AssignmentState.LAPSED, AssignmentState.REFUSED, AssignmentState.SUPERSEDED]
_OPEN = [CampaignState.RUNNING, CampaignState.PAUSED]
KEPT_OPEN = "campaign.kept_open"
_MISSED = "campaign.missed_vehicle"
_STOPPED = frozenset({CampaignState.HALTED, CampaignState.CANCELLED, CampaignState.COMPLETED})


@transaction.atomic
def create_rollback(campaign: Campaign, *, release: Release, name: str, by: str, at: datetime) -> Campaign:
    """Draft the campaign that brings every vehicle of `campaign` which runs its release to `release` instead.

    One wave, all at once: they run what is to be taken back. Its list is made when it starts, and it takes in those
    that end an installation later.

    Raises:
        PlanRefusedError: the name is not printable ASCII, the release is another tenant's or the very one to take back,
            or the campaign still offers it.
        CampaignNameTakenError: the tenant has a campaign of that name.
    """
    problem = plans.name_problem(name)
    if release.tenant_id != campaign.tenant_id or release.pk == campaign.release_id:
        problem = f"{campaign} cannot be rolled back to {release}."
    if campaign.state not in _STOPPED:
        problem = f"{campaign} is {campaign.state}; it must have stopped before it is rolled back."
    if problem is not None:
        raise PlanRefusedError(problem)
    try:
        with transaction.atomic():
            rollback = Campaign.objects.create(
                tenant=campaign.tenant,
                name=name,
                kind=CampaignKind.ROLLBACK,
                release=release,
                rolls_back=campaign,
                no_way_back_reason=f"It takes back {campaign}.",
                created_by=by,
                created_at=at,
                **{field: getattr(campaign, field) for field in _INHERITED},
            )
    except IntegrityError as error:
        raise CampaignNameTakenError(f"There is a campaign {name!r} already.", name=name) from error
    Wave.objects.create(campaign=rollback, number=1, percent=Decimal(100))
    sentence = f"A roll-back of {campaign} to {release}."
    decided = decisions.draft(rollback, "campaign.created", sentence, by=by, at=at, rolls_back=campaign.name)
    decisions.record(rollback, [decided])
    return rollback


def vehicles_to_roll_back(rollback: Campaign) -> QuerySet[Vehicle]:
    """Return the vehicles that run what is taken back, those left out that take part in the roll-back already."""
    own = Assignment.objects.filter(vehicle=OuterRef("pk"), campaign=rollback)
    return queries.carriers(rollback).filter(~Exists(own.exclude(state=AssignmentState.EXCLUDED)))


def readmit(rollback: Campaign, *, at: datetime) -> int:
    """Let vehicles that were given up, and still run what is taken back, wait for another attempt; return how many.

    Each after a pause that doubles with its attempts; one that was blocked when its turn came, once it no longer is.
    """
    given_up = rollback.assignments.filter(
        state__in=_GIVEN_UP, vehicle__in=queries.left_behind(rollback), vehicle__blocked_at=None
    )
    for group in block_lists.block_lists(rollback.tenant):
        given_up = given_up.exclude(vehicle__in=fleet.vehicles_in(group).values("pk"))
    locked = given_up.select_for_update(of=("self",), skip_locked=True, no_key=True).order_by("pk")
    codes = dict(locked.values_list("pk", "code")[: assignments.LAPSE_CHUNK])
    tried = Attempt.objects.filter(assignment__in=codes).order_by().values_list("assignment")
    attempts = dict(tried.annotate(count=Count("pk")))
    by_pause: dict[timedelta, list[int]] = {}
    for pk, code in codes.items():
        pause = deadlines.retry_delay(rollback.retry_seconds, failures=max(attempts.get(pk, 0), 1))
        by_pause.setdefault(timedelta() if code == Verdict.BLOCKED else pause, []).append(pk)
    for pause, pks in by_pause.items():
        # What it brings from here on is a result of its own.
        Assignment.objects.filter(pk__in=pks).update(
            state=AssignmentState.WAITING,
            next_attempt_at=at + pause,
            offered_at=None,
            installing_at=None,
            settled_at=None,
            is_judged=False,
        )
    return len(codes)


def clear_the_way(rollback: Campaign, *, at: datetime) -> list[Decision]:
    """Withdraw other orders that are not being installed from vehicles whose turn to be brought back has come.

    Without this the roll-back would wait for as long as another campaign does, which may be paused.
    """
    in_turn = rollback.assignments.filter(offers.is_due(at), state=AssignmentState.WAITING, wave__isnull=False)
    standing = Assignment.objects.filter(
        state__in=STOPPABLE_STATES,
        campaign__priority__gte=rollback.priority,
        vehicle__in=in_turn.values("vehicle"),
    ).exclude(campaign__kind=CampaignKind.ROLLBACK)
    # Rows that another worker holds are left to the next tick: this one holds rows of its own campaign already.
    locked = standing.select_for_update(of=("self",), skip_locked=True, no_key=True).order_by("pk")
    by_campaign: dict[Campaign, list[Assignment]] = {}
    chosen = list(locked.select_related("campaign", "vehicle")[: assignments.LAPSE_CHUNK])
    for assignment in precedence.free_for(rollback, chosen, at=at):
        by_campaign.setdefault(assignment.campaign, []).append(assignment)
    for campaign, found in by_campaign.items():
        assignments.withdraw_some(
            campaign, found, code="rolled_back", message=f"{rollback} brings the vehicle back first.", at=at
        )
    if not by_campaign:
        return []
    count = sum(len(found) for found in by_campaign.values())
    names = sorted(campaign.name for campaign in by_campaign)
    sentence = f"Orders of {', '.join(names)} were withdrawn from {decisions.vehicles(count)} to be brought back first."
    return [decisions.draft(rollback, "campaign.overrode", sentence, by=ENGINE, at=at, campaigns=names, vehicles=count)]


def may_grow(rollback: Campaign) -> bool:
    """Return whether a vehicle still has an order of what a roll-back takes back: it will have to be taken back too."""
    first = rollback.rolls_back_id
    return first is not None and Assignment.objects.filter(campaign=first, state__in=ACTIVE_STATES).exists()


def may_come_late(rollback: Campaign) -> bool:
    """Return whether vehicles may yet prove to run what a roll-back takes back: they have an order, or fell silent."""
    return rollback.rolls_back_id is not None and (may_grow(rollback) or queries.unknown(rollback).exists())


def reason_to_stay_open(rollback: Campaign, *, at: datetime) -> str | None:
    """Return why a roll-back with nothing under way must not end yet, in a sentence, or None."""
    left = queries.left_behind(rollback)
    running, blocked = left.count(), left.filter(blocked_at__isnull=False).count()
    parts = []
    if running:
        parts.append(f"{decisions.vehicles(running)} still confirmed to run what is taken back, {blocked} blocked")
    ends_at = (rollback.started_at or at) + timedelta(seconds=rollback.unknown_timeout_seconds)
    if at < ends_at and (unknown := queries.unknown(rollback).count()):
        parts.append(f"{decisions.vehicles(unknown)} silent since installing it, awaited until {ends_at:%Y-%m-%d}")
    return f"The roll-back stays open: {'; '.join(parts)}." if parts else None


def say_once(rollback: Campaign, sentence: str, *, at: datetime) -> list[Decision]:
    """Return the decision to keep a roll-back open, unless it was the last such one."""
    last = rollback.decisions.filter(kind=KEPT_OPEN).order_by("-at", "-pk").first()
    if last is not None and last.sentence == sentence:
        return []
    return [decisions.draft(rollback, KEPT_OPEN, sentence, by=ENGINE, at=at)]


def may_be_missed(vehicle: int) -> Q:
    """Return, as a part of a query, whether this vehicle (its row's id) runs what a completed roll-back took back."""
    bad = ReleaseItem.objects.filter(release=OuterRef(OuterRef("rolls_back__release")))
    good = ReleaseItem.objects.filter(release=OuterRef(OuterRef("release")))
    running = Ecu.objects.filter(vehicle=vehicle, installed_sha256__in=bad.values("package__sha256"))
    running = running.exclude(installed_sha256__in=good.values("package__sha256"))
    return Q(Exists(_completed().filter(Exists(running), rolls_back__assignments__vehicle=vehicle)))


def _completed() -> QuerySet[Campaign]:
    """Return the roll-backs that are over, and that no other of the same campaign follows now."""
    following = Campaign.objects.filter(rolls_back=OuterRef("rolls_back"), state__in=_OPEN)
    return Campaign.objects.filter(~Exists(following), kind=CampaignKind.ROLLBACK, state=CampaignState.COMPLETED)


def record_missed(vehicle: Vehicle, *, proved: Collection[str], at: datetime) -> None:
    """Record, on both campaigns and once, that a vehicle proves what a completed roll-back has taken back.

    `proved` as in `evidence.record_evidence`. One that a later order told to run it is none of these; while another
    roll-back of the same campaign is open, that one takes the vehicle in.
    """
    missed = _completed().filter(rolls_back__assignments__vehicle=vehicle)
    for rollback in missed.select_related("tenant", "release", "rolls_back__tenant", "rolls_back__release"):
        if rollback.rolls_back is None or not _runs_unasked(vehicle, rollback, proved):
            continue
        if rollback.decisions.filter(kind=_MISSED, inputs__vehicle=vehicle.vehicle_id).exists():
            continue
        sentence = f"{vehicle} proves to run what {rollback} has taken back; it needs another roll-back."
        for campaign in (rollback.rolls_back, rollback):
            drafted = decisions.draft(campaign, _MISSED, sentence, by=ENGINE, at=at, vehicle=vehicle.vehicle_id)
            decisions.record(campaign, [drafted])


def _runs_unasked(vehicle: Vehicle, rollback: Campaign, proved: Collection[str]) -> bool:
    later = Attempt.objects.filter(vehicle=vehicle, opened_at__gte=rollback.started_at)
    later = later.exclude(assignment__campaign=rollback.rolls_back_id)
    asked = {package for packages in later.values_list("packages", flat=True) for package in packages.values()}
    wanted = set(Package.objects.filter(pk__in=asked).values_list("sha256", flat=True))
    bad = queries.bad_digests(rollback) - wanted
    return vehicle.ecus.filter(serial__in=proved, installed_sha256__in=bad).exists()
