"""The workshop list: vehicles that no order over the air helps any more, until one proves good software or a person
says that it was seen to."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet

from firmware_store.models import Release
from otaserver.audit import operations as audit
from otaserver.campaigns.errors import WorkshopCaseClosedError
from otaserver.campaigns.models import Assignment, Campaign, WorkshopCase
from otaserver.campaigns.operations import decisions
from otaserver.campaigns.operations.decisions import ENGINE
from otaserver.campaigns.queries import bundles
from otaserver.campaigns.rules import failures, matching
from otaserver.campaigns.rules.matching import Computer
from otaserver.campaigns.states import AssignmentState, CampaignKind, CampaignState, ReportOutcome
from otaserver.fleet.models import Vehicle

CHUNK = 1000
# Every tick looks for new failures: what is older was looked at.
LOOK_BACK = timedelta(days=1)
_OPEN = [CampaignState.RUNNING, CampaignState.PAUSED]
_BAD = [CampaignState.HALTED, CampaignState.CANCELLED]
# Of a tenant's completed campaigns the releases of these last ones are known to be good.
GOOD_RELEASES = 20


@transaction.atomic
def open_failed_cases(at: datetime) -> int:
    """Open a case for each vehicle that has just failed in a way that needs hands; return how many.

    A vehicle has one open case at a time; a case that a person closed is not opened again for the same failure.
    """
    needs_hands = Q(code__in=sorted(failures.HANDS_CODES)) | Q(campaign__kind=CampaignKind.ROLLBACK)
    seen = WorkshopCase.objects.filter(assignment=OuterRef("pk"), opened_at__gte=OuterRef("settled_at"))
    failed = Assignment.objects.filter(
        needs_hands, ~Exists(seen), state=AssignmentState.FAILED, settled_at__gte=at - LOOK_BACK
    )
    return _open(failed, failures.ROLLBACK_FAILED, at=at)


@transaction.atomic
def open_exhausted_cases(at: datetime) -> int:
    """Open a case for each vehicle on which an open roll-back was tried as often as its plan allows."""
    seen = WorkshopCase.objects.filter(assignment=OuterRef("pk"), code=failures.ATTEMPTS_EXHAUSTED)
    tried = Count("attempts", filter=Q(attempts__outcome=ReportOutcome.FAILURE))
    exhausted = Assignment.objects.filter(
        ~Exists(seen),
        campaign__kind=CampaignKind.ROLLBACK,
        campaign__state__in=_OPEN,
        state__in=[AssignmentState.WAITING, AssignmentState.LAPSED],
    ).annotate(tried=tried)
    return _open(exhausted.filter(tried__gte=F("campaign__max_attempts")), failures.ATTEMPTS_EXHAUSTED, at=at)


def _open(rows: QuerySet[Assignment], otherwise: str, *, at: datetime) -> int:
    is_open = WorkshopCase.objects.filter(vehicle=OuterRef("vehicle"), closed_at=None)
    chosen = rows.filter(~Exists(is_open)).select_related("campaign__tenant", "vehicle").order_by("pk")
    cases: dict[int, WorkshopCase] = {}
    by_campaign: dict[Campaign, int] = {}
    for assignment in chosen[:CHUNK]:
        if assignment.vehicle_id not in cases:
            cases[assignment.vehicle_id] = _case(assignment, otherwise, at=at)
            by_campaign[assignment.campaign] = by_campaign.get(assignment.campaign, 0) + 1
    # Two workers at once: the constraint leaves one case.
    WorkshopCase.objects.bulk_create(cases.values(), ignore_conflicts=True)
    for campaign, count in by_campaign.items():
        sentence = f"{decisions.vehicles(count)} need hands: see the workshop list."
        drafted = decisions.draft(campaign, "campaign.workshop", sentence, by=ENGINE, at=at, vehicles=count)
        decisions.record(campaign, [drafted])
    return len(cases)


def _case(assignment: Assignment, otherwise: str, *, at: datetime) -> WorkshopCase:
    code = assignment.code if assignment.code in failures.HANDS_CODES else otherwise
    found = failures.of(code)
    said = f" ({assignment.code}: {assignment.message})" if assignment.code != code else ""
    reason = f"{found.meaning}{said} {found.advice}"
    return WorkshopCase(vehicle=assignment.vehicle, assignment=assignment, code=code, reason=reason, opened_at=at)


@transaction.atomic
def close_case(case: WorkshopCase, *, note: str, by: str, at: datetime) -> None:
    """Close a case as a person who has seen to the vehicle, with a note of what was done.

    Raises:
        ReasonMissingError: there is no note.
        WorkshopCaseClosedError: it is closed already.
    """
    note = decisions.require_reason(note)
    rows = WorkshopCase.objects.filter(pk=case.pk, closed_at=None)
    if not rows.update(closed_at=at, closed_by=by, note=note):
        raise WorkshopCaseClosedError(f"The case of {case.vehicle} is closed already.", id=case.pk)
    audit.record("workshop_case.closed", case, tenant=case.vehicle.tenant, by=by, at=at, note=note)


def has_case(vehicle: int) -> Q:
    """Return, as a part of a query, whether this vehicle (its row's id) has an open case."""
    return Q(Exists(WorkshopCase.objects.filter(vehicle=vehicle, closed_at=None)))


def close_proved(vehicle: Vehicle, computers: Sequence[Computer], proved: Collection[str], *, at: datetime) -> None:
    """Close a vehicle's case once one manifest proves that it runs a release that is known to be good.

    Good is the way back of the campaign in which it failed, a stepping stone on its way, that campaign's own release
    unless it was stopped, and what the tenant's last completed campaigns brought.
    """
    case = WorkshopCase.objects.filter(vehicle=vehicle, closed_at=None).select_related("assignment__campaign").first()
    if case is None:
        return
    for release in _good_releases(vehicle, case):
        pairs = matching.packages_for(bundles.release_view(release).bundle.items, computers)
        if matching.proves(pairs, proved):
            note = f"The vehicle proves that it runs {release}."
            WorkshopCase.objects.filter(pk=case.pk, closed_at=None).update(closed_at=at, closed_by=ENGINE, note=note)
            return


def _good_releases(vehicle: Vehicle, case: WorkshopCase) -> QuerySet[Release]:
    completed = Campaign.objects.filter(tenant=vehicle.tenant_id, state=CampaignState.COMPLETED)
    bad = Campaign.objects.filter(tenant=vehicle.tenant_id, state__in=_BAD).values("release")
    wanted = set(completed.exclude(release__in=bad).order_by("-pk").values_list("release", flat=True)[:GOOD_RELEASES])
    if case.assignment is not None:
        campaign = case.assignment.campaign
        wanted |= {campaign.fallback_release_id} if campaign.fallback_release_id else set()
        wanted |= {campaign.release_id} if campaign.state not in _BAD else set()
        wanted |= set(case.assignment.attempts.filter(stone__isnull=False).values_list("stone", flat=True))
    return Release.objects.filter(pk__in=wanted).order_by("pk")
