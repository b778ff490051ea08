"""Roll-back: a campaign of its own, for the vehicles that confirmed the release it takes back."""

from datetime import datetime
from decimal import Decimal

from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef, QuerySet

from firmware_store.models import Release
from otaserver.campaigns.errors import CampaignNameTakenError, PlanRefusedError
from otaserver.campaigns.models import Assignment, Campaign, Wave
from otaserver.campaigns.operations import decisions
from otaserver.campaigns.queries import bundles
from otaserver.campaigns.rules import plans
from otaserver.campaigns.states import AssignmentState, CampaignKind, CampaignState
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
)
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
    """Return the vehicles of the first campaign that confirmed a package which only the bad release has.

    Whatever became of their assignments there: soaking, succeeded and failed ones too. Those that take part in the
    roll-back already are left out.
    """
    first = rollback.rolls_back
    if first is None:
        return Vehicle.objects.none()
    good = {package.sha256 for package in bundles.release_view(rollback.release).packages.values()}
    bad = {package.sha256 for package in bundles.release_view(first.release).packages.values()} - good
    own = Assignment.objects.filter(vehicle=OuterRef("pk"))
    return Vehicle.objects.filter(
        Exists(Ecu.objects.filter(vehicle=OuterRef("pk"), installed_sha256__in=bad)),
        Exists(own.filter(campaign=first)),
        ~Exists(own.filter(campaign=rollback).exclude(state=AssignmentState.EXCLUDED)),
    )
