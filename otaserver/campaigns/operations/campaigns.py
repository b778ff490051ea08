"""A campaign's life before it runs: drafted, reviewed, approved, scheduled."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal

from django.db import IntegrityError, transaction

from firmware_store.models import Release
from otaserver.campaigns.errors import CampaignNameTakenError, NoVehicleFitsError, PlanRefusedError
from otaserver.campaigns.models import Campaign, Wave
from otaserver.campaigns.operations import checks, decisions, requirements, starts, stops
from otaserver.campaigns.queries import bundles
from otaserver.campaigns.rules import plans
from otaserver.campaigns.states import CampaignPriority, CampaignState, HaltAction, WaveRule
from otaserver.fleet.models import Group
from otaserver.tenants.models import Tenant

# Fields of a plan that become rows of their own.
_ROWS = {"waves", "requires"}


@dataclass(frozen=True)
class WavePlan:
    """A wave: the cumulative percent that has had its turn when it ends, and how many of it may fail unasked."""

    percent: Decimal
    max_failed: int = 0


@dataclass(frozen=True)
class CampaignPlan:
    """What a campaign is to be; the fields are those of `Campaign`, described there."""

    name: str
    release: Release
    group: Group
    waves: Sequence[WavePlan]
    fallback_release: Release | None = None
    no_way_back_reason: str = ""
    acceptable_rate: float = 0.005
    unacceptable_rate: float = 0.02
    alpha: float = 0.01
    beta: float = 0.05
    soak_seconds: int = 8 * 3600
    max_failed: int | None = None
    max_verification_failed: int = 0
    max_in_flight: int | None = None
    halt_codes: Sequence[str] = ()
    is_stratified: bool = True
    wave_rule: str = WaveRule.PROCEED
    failure_budget: int | None = None
    offer_timeout_seconds: int = 14 * 86400
    download_timeout_seconds: int = 7 * 86400
    install_timeout_seconds: int = 4 * 3600
    max_attempts: int = 3
    retry_seconds: int = 3600
    grace_hours: int | None = None
    priority: int = CampaignPriority.QUALITY
    requires: Sequence[Campaign] = ()
    halt_action: str = HaltAction.WITHDRAW
    foreign_software: str = ""


@transaction.atomic
def create_campaign(tenant: Tenant, plan: CampaignPlan, *, by: str, at: datetime) -> Campaign:
    """Draft a campaign.

    Raises:
        PlanRefusedError: the sentence says what of the plan cannot be.
        ReleaseNotPublishedError, NoWayBackError: see `checks`.
        CampaignNameTakenError: the tenant has a campaign of that name.
    """
    problem = _problem(tenant, plan)
    if problem is not None:
        raise PlanRefusedError(problem)
    values = {field.name: getattr(plan, field.name) for field in fields(plan) if field.name not in _ROWS}
    values["halt_codes"] = sorted(plan.halt_codes)
    campaign = Campaign(tenant=tenant, created_by=by, created_at=at, **values)
    checks.require_way_back(campaign, checks.require_published(plan.release))
    try:
        with transaction.atomic():
            campaign.save(force_insert=True)
    except IntegrityError as error:
        raise CampaignNameTakenError(f"There is a campaign {plan.name!r} already.", name=plan.name) from error
    Wave.objects.bulk_create(
        Wave(campaign=campaign, number=number, percent=wave.percent, max_failed=wave.max_failed)
        for number, wave in enumerate(plan.waves, start=1)
    )
    requirements.store(campaign, plan.requires)
    sentence = f"Drafted: {plan.release} for {plan.group} in {len(plan.waves)} waves."
    decided = decisions.draft(campaign, "campaign.created", sentence, by=by, at=at)
    decisions.record(campaign, [decided])
    return campaign


def _problem(tenant: Tenant, plan: CampaignPlan) -> str | None:
    owners = {plan.release.tenant_id, plan.group.tenant_id}
    if plan.fallback_release is not None:
        owners.add(plan.fallback_release.tenant_id)
    if owners != {tenant.pk}:
        return "Release, fallback release and group must belong to the campaign's own tenant."
    if plan.soak_seconds < 1 or plan.max_attempts < 1:
        return "The soak lasts at least a second, and each vehicle has at least one attempt."
    if min([plan.offer_timeout_seconds, plan.download_timeout_seconds, plan.install_timeout_seconds]) < 1:
        return "Every timeout is at least a second: nothing waits for ever."
    if plan.max_in_flight is not None and plan.max_in_flight < 1:
        return "At least one vehicle must be allowed in flight."
    if plan.wave_rule not in WaveRule.values:
        return f"The wave rule is one of {', '.join(WaveRule.values)}; {plan.wave_rule!r} is not."
    return (
        plans.name_problem(plan.name)
        or plans.waves_problem([wave.percent for wave in plan.waves])
        or plans.gate_problem(
            acceptable_rate=plan.acceptable_rate,
            unacceptable_rate=plan.unacceptable_rate,
            alpha=plan.alpha,
            beta=plan.beta,
        )
        or requirements.problem(
            tenant,
            priority=plan.priority,
            requires=plan.requires,
            halt_action=plan.halt_action,
            foreign_software=plan.foreign_software,
            has_fallback=plan.fallback_release is not None,
        )
    )


@transaction.atomic
def submit_campaign(campaign: Campaign, *, by: str, at: datetime) -> None:
    """Give a draft to review.

    Raises:
        InvalidTransitionError: it is not a draft.
        NoVehicleFitsError: no vehicle could take part.
        ReleaseNotPublishedError, NoWayBackError: see `checks`.
    """
    checks.require_state(campaign, CampaignState.DRAFT)
    campaign.move_to(CampaignState.IN_REVIEW, reason="")
    _require_feasible(campaign)
    _decide(campaign, "campaign.submitted", "Submitted for review.", by=by, at=at)


@transaction.atomic
def approve_campaign(campaign: Campaign, *, by: str, at: datetime) -> None:
    """Approve a campaign in review, checking it again: much may have changed since.

    Raises:
        InvalidTransitionError: it is not in review.
        NoVehicleFitsError: no vehicle could take part.
        MetadataEndsError: it would outlive metadata that vehicles need.
        ReleaseNotPublishedError, NoWayBackError: see `checks`.
    """
    checks.require_state(campaign, CampaignState.IN_REVIEW)
    campaign.move_to(CampaignState.APPROVED, approved_by=by, reason="")
    checks.require_lasting_metadata(campaign, _require_feasible(campaign), starts_at=at)
    _decide(campaign, "campaign.approved", "Approved.", by=by, at=at)


@transaction.atomic
def reject_campaign(campaign: Campaign, *, by: str, at: datetime, reason: str) -> None:
    """Send a campaign in review, or one approved but not started, back to its draft.

    Raises:
        ReasonMissingError: no reason is given.
    """
    checks.require_state(campaign, CampaignState.IN_REVIEW, CampaignState.APPROVED)
    reason = decisions.require_reason(reason)
    campaign.move_to(CampaignState.DRAFT, reason=reason, approved_by="")
    _decide(campaign, "campaign.rejected", reason, by=by, at=at)


@transaction.atomic
def schedule_campaign(campaign: Campaign, *, starts_at: datetime, by: str, at: datetime) -> None:
    """Let an approved campaign start by itself at a time; one that is past means at once.

    Raises:
        InvalidTransitionError: it is not approved.
        TenantStoppedError: everything of the tenant is stopped, and what goes on afterwards is for persons to say.
        MetadataEndsError: it would outlive metadata that vehicles need.
        ReleaseNotPublishedError: a package of the release was withdrawn.
    """
    checks.require_state(campaign, CampaignState.APPROVED)
    stops.refuse_stopped(campaign.tenant)
    release = checks.require_published(campaign.release)
    checks.require_lasting_metadata(campaign, release, starts_at=max(starts_at, at))
    campaign.move_to(CampaignState.SCHEDULED, starts_at=starts_at, reason="")
    _decide(campaign, "campaign.scheduled", f"Starts at {starts_at.isoformat()}.", by=by, at=at)


def _require_feasible(campaign: Campaign) -> bundles.ReleaseView:
    release = checks.require_published(campaign.release)
    checks.require_way_back(campaign, release)
    if not starts.first_that_fits(campaign, release):
        raise NoVehicleFitsError(f"No vehicle of {campaign.group or campaign.rolls_back} fits {release.label}.")
    return release


def _decide(campaign: Campaign, kind: str, sentence: str, *, by: str, at: datetime) -> None:
    decisions.record(campaign, [decisions.draft(campaign, kind, sentence, by=by, at=at)])
