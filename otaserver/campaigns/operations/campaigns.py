"""A campaign's life before it runs: drafted, reviewed, approved, scheduled."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import IntegrityError, transaction

from firmware_store.models import Release
from otaserver.campaigns import models
from otaserver.campaigns.errors import CampaignNameTakenError, NoVehicleFitsError, PlanRefusedError
from otaserver.campaigns.models import Campaign, Wave
from otaserver.campaigns.operations import approvals, checks, decisions, groups, requirements, rollbacks, starts, stops
from otaserver.campaigns.queries import bundles
from otaserver.campaigns.rules import plans
from otaserver.campaigns.rules.consent import Terms
from otaserver.campaigns.rules.timing import Timing, timing_problem
from otaserver.campaigns.rules.waves import Size
from otaserver.campaigns.rules.windows import Window
from otaserver.campaigns.states import CampaignPriority, CampaignState, Consent, HaltAction, WaveRule
from otaserver.fleet.models import Group
from otaserver.tenants.models import Tenant

ROWS = frozenset({"waves", "windows", "requires"})  # of their own


@dataclass(frozen=True)
class WavePlan:
    """A wave, and how many of it may fail unasked. Its size is exactly one of three.

    The cumulative percent that has had its turn when it ends, a number of vehicles, or those of a group.
    """

    percent: Decimal | None = None
    max_failed: int = 0
    count: int | None = None
    group: Group | None = None

    @property
    def size(self) -> Size:
        return Size(self.percent, self.count, self.group.name if self.group is not None else None)


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
    ends_at: datetime | None = None
    windows: Sequence[Window] = ()
    downloads_early: bool = True
    offers_per_minute: int | None = None
    bytes_per_hour: int | None = None
    preconditions: Sequence[Mapping[str, Any]] = ()
    consent: str = Consent.NONE
    consent_postponements: int | None = None
    consent_deadline_seconds: int | None = None
    max_inventory_age_seconds: int | None = None
    control_percent: Decimal = Decimal(0)
    is_dynamic: bool = False
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
    refuse_unsound(tenant, plan)
    values = {field.name: getattr(plan, field.name) for field in fields(plan) if field.name not in ROWS}
    values["halt_codes"] = sorted(plan.halt_codes)
    values["preconditions"] = [dict(condition) for condition in plan.preconditions]
    campaign = Campaign(tenant=tenant, created_by=by, created_at=at, **values)
    release = checks.require_published(plan.release)
    checks.require_way_back(campaign, release)
    require_possible(plan, release, at=at)
    if plan.ends_at is not None:
        checks.require_lasting_metadata(campaign, release, starts_at=at)
    try:
        with transaction.atomic():
            campaign.save(force_insert=True)
    except IntegrityError as error:
        raise CampaignNameTakenError(f"There is a campaign {plan.name!r} already.", name=plan.name) from error
    store_waves(campaign, plan.waves)
    store_windows(campaign, plan.windows)
    requirements.store(campaign, plan.requires)
    sentence = f"Drafted: {plan.release} for {plan.group} in {len(plan.waves)} waves."
    decided = decisions.draft(campaign, "campaign.created", sentence, by=by, at=at)
    decisions.record(campaign, [decided])
    return campaign


def refuse_unsound(tenant: Tenant, plan: CampaignPlan) -> None:
    """Refuse a plan that no campaign of the tenant can have.

    Raises:
        PlanRefusedError: the sentence says what of it cannot be.
    """
    problem = _problem(tenant, plan)
    if problem is not None:
        raise PlanRefusedError(problem)


def require_possible(plan: CampaignPlan, release: bundles.ReleaseView, *, at: datetime) -> None:
    """Check that a plan's times, pace, preconditions and consent can be kept to.

    Raises:
        PlanRefusedError: the sentence says which cannot, and why.
    """
    timing = Timing(
        ends_at=plan.ends_at,
        windows=plan.windows,
        offers_per_minute=plan.offers_per_minute,
        bytes_per_hour=plan.bytes_per_hour,
        preconditions=plan.preconditions,
        consent=Terms(plan.consent, plan.consent_postponements, plan.consent_deadline_seconds),
        patience_seconds=plan.offer_timeout_seconds + plan.download_timeout_seconds,
    )
    problem = timing_problem(timing, release_length=release.longest_hop, at=at)
    if problem is not None:
        raise PlanRefusedError(problem)


def store_waves(campaign: Campaign, waves: Sequence[WavePlan]) -> None:
    """Store the waves of a campaign that has none."""
    Wave.objects.bulk_create(
        Wave(
            campaign=campaign,
            number=number,
            percent=wave.percent,
            count=wave.count,
            group=wave.group,
            max_failed=wave.max_failed,
        )
        for number, wave in enumerate(waves, start=1)
    )


def store_windows(campaign: Campaign, windows: Sequence[Window]) -> None:
    """Store the windows of a campaign that has none."""
    models.Window.objects.bulk_create(models.Window(campaign=campaign, **asdict(each)) for each in windows)


def _problem(tenant: Tenant, plan: CampaignPlan) -> str | None:
    # A roll-back, whose plan is changed, has no group.
    owned = (plan.release, plan.group, plan.fallback_release, *(wave.group for wave in plan.waves))
    owners = {each.tenant_id for each in owned if each is not None}
    if owners != {tenant.pk}:
        return "Release, fallback release and group must belong to the campaign's own tenant."
    if plan.soak_seconds < 1 or plan.max_attempts < 1:
        return "The soak lasts at least a second, and each vehicle has at least one attempt."
    if min([plan.offer_timeout_seconds, plan.download_timeout_seconds, plan.install_timeout_seconds]) < 1:
        return "Every timeout is at least a second: nothing waits for ever."
    if plan.max_in_flight is not None and plan.max_in_flight < 1:
        return "At least one vehicle must be allowed in flight."
    if plan.max_inventory_age_seconds is not None and plan.max_inventory_age_seconds < 1:
        return "What a vehicle runs may be at least a second old, or as old as may be."
    if plan.wave_rule not in WaveRule.values:
        return f"The wave rule is one of {', '.join(WaveRule.values)}; {plan.wave_rule!r} is not."
    return (
        plans.name_problem(plan.name)
        or plans.sizes_problem([wave.size for wave in plan.waves])
        or plans.control_problem(plan.control_percent)
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
    groups.hold(campaign)
    campaign.move_to(CampaignState.IN_REVIEW, reason="")
    _require_feasible(campaign, at=at)
    _decide(campaign, "campaign.submitted", "Submitted for review.", by=by, at=at)


@transaction.atomic
def approve_campaign(campaign: Campaign, *, by: str, at: datetime, revision: int | None = None) -> None:
    """Approve a campaign in review, checking it again: much may have changed since.

    It is approved once as many people have as its tenant requires, at least one.

    Raises:
        InvalidTransitionError: it is not in review.
        CampaignMovedError, OwnApprovalError, AlreadyApprovedError: see `approvals`.
        NoVehicleFitsError: no vehicle could take part.
        MetadataEndsError: it would outlive metadata that vehicles need.
        ReleaseNotPublishedError, NoWayBackError: see `checks`.
    """
    checks.require_state(campaign, CampaignState.IN_REVIEW)
    given = approvals.give_approval(campaign, by=by, at=at, revision=revision)
    release, fitting = _require_feasible(campaign, at=at)
    if given.required:
        approvals.note_vehicles(campaign, fitting=fitting)
    checks.require_lasting_metadata(campaign, release, starts_at=at)
    if given.missing:
        _decide(campaign, "campaign.approval_given", f"Approved; {given.missing} more must approve.", by=by, at=at)
        return
    campaign.move_to(CampaignState.APPROVED, approved_by=by, reason="")
    _decide(campaign, "campaign.approved", "Approved.", by=by, at=at)


@transaction.atomic
def reject_campaign(campaign: Campaign, *, by: str, at: datetime, reason: str) -> None:
    """Send a campaign in review, or one approved but not started, back to its draft.

    Raises:
        ReasonMissingError: no reason is given.
    """
    checks.require_state(campaign, CampaignState.IN_REVIEW, CampaignState.APPROVED)
    reason = decisions.require_reason(reason)
    campaign.move_to(CampaignState.DRAFT, reason=reason, approved_by="", approved_vehicles=None)
    _decide(campaign, "campaign.rejected", reason, by=by, at=at)


@transaction.atomic
def schedule_campaign(campaign: Campaign, *, starts_at: datetime, by: str, at: datetime) -> None:
    """Let an approved campaign start by itself at a time; one that is past means at once.

    Raises:
        InvalidTransitionError: it is not approved.
        TenantStoppedError: everything of the tenant is stopped, and what goes on afterwards is for persons to say.
        PlanRefusedError, MetadataEndsError: that is too far away, or it would outlive metadata that vehicles need.
        ReleaseNotPublishedError: a package of the release was withdrawn.
    """
    checks.require_state(campaign, CampaignState.APPROVED)
    stops.refuse_stopped(campaign.tenant)
    checks.require_near(starts_at, at=at)
    release = checks.require_published(campaign.release)
    checks.require_lasting_metadata(campaign, release, starts_at=max(starts_at, at))
    campaign.move_to(CampaignState.SCHEDULED, starts_at=starts_at, reason="")
    _decide(campaign, "campaign.scheduled", f"Starts at {starts_at.isoformat()}.", by=by, at=at)


def _require_feasible(campaign: Campaign, *, at: datetime) -> tuple[bundles.ReleaseView, int]:
    release = checks.require_published(campaign.release)
    checks.require_way_back(campaign, release)
    fitting = starts.fitting_now(campaign, release, at=at)
    if not fitting.updated and not rollbacks.may_come_late(campaign):
        raise NoVehicleFitsError(f"No vehicle of {campaign.group or campaign.rolls_back} fits {release.label}.")
    problem = starts.waves_problem(campaign, fitting.by_band)
    if problem is not None:
        raise PlanRefusedError(problem)
    return release, fitting.updated + fitting.held_out


def _decide(campaign: Campaign, kind: str, sentence: str, *, by: str, at: datetime) -> None:
    decisions.record(campaign, [decisions.draft(campaign, kind, sentence, by=by, at=at)])
