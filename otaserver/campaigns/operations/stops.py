"""Halting, pausing, resuming, cancelling: what stands between a campaign and its vehicles."""

from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Q

from otaserver.audit import operations as audit
from otaserver.campaigns.errors import RollbackUnfinishedError, TenantNotStoppedError, TenantStoppedError
from otaserver.campaigns.models import Campaign, Decision
from otaserver.campaigns.operations import assignments, checks, decisions, gates, halts, readings
from otaserver.campaigns.states import AssignmentState, CampaignState, WaveState
from otaserver.tenants.models import Tenant

# A halted one too: its plan may let orders go on that stood at vehicles.
_STOPPABLE = (CampaignState.SCHEDULED, CampaignState.RUNNING, CampaignState.PAUSED, CampaignState.HALTED)


def halt(campaign: Campaign, *, reason: str, at: datetime) -> int:
    """Halt a campaign and withdraw what is not being installed; return how many orders that were.

    The caller records the decision.
    """
    campaign.move_to(CampaignState.HALTED, reason=reason)
    return assignments.withdraw(campaign, at=at)


def halt_in_wave(campaign: Campaign, decision: Decision, *, at: datetime) -> list[Decision]:
    """Halt a campaign by evidence or by a limit: the wave that runs has failed. Returns the decisions to record."""
    drafts = halts.carry_out(campaign, decision, at=at)
    wave = campaign.waves.filter(state__in=[WaveState.OPEN, WaveState.MATURING, WaveState.UNDECIDED]).first()
    if wave is not None:
        wave.move_to(WaveState.FAILED, finished_at=at)
        decision.wave = wave
    return drafts


@transaction.atomic
def pause_campaign(campaign: Campaign, *, by: str, at: datetime, reason: str = "") -> None:
    """Offer a campaign to no further vehicle; what was offered goes on, and still may halt it."""
    checks.require_state(campaign, CampaignState.RUNNING)
    campaign.move_to(CampaignState.PAUSED, reason=reason)
    decided = decisions.draft(campaign, "campaign.paused", reason or "Paused.", by=by, at=at)
    decisions.record(campaign, [decided])


@transaction.atomic
def resume_campaign(campaign: Campaign, *, by: str, at: datetime, reason: str = "") -> None:
    """Let a paused or halted campaign go on, in the wave in which it stopped.

    After a halt a reason is needed: whoever resumes answers for the failures so far. Hard limits count from here, and
    the test that halted starts from nothing. What was withdrawn waits again.

    Raises:
        InvalidTransitionError: it is neither paused nor halted; an approved one is started.
        ReasonMissingError: it was halted, and no reason is given.
        RollbackUnfinishedError: a roll-back of it is drafted or under way.
        TenantStoppedError: everything of the tenant is stopped.
    """
    checks.require_state(campaign, CampaignState.PAUSED, CampaignState.HALTED)
    refuse_stopped(campaign.tenant)
    anew: dict[str, Any] = {}
    if campaign.state == CampaignState.HALTED:
        reason = decisions.require_reason(reason)
        _refuse_beside_rollback(campaign)
        campaign.move_to(CampaignState.RUNNING, reason="", judged_from=at, keeps_orders=False)
        anew = {**gates.begin_anew(campaign), "after_reading": readings.last_number(campaign)}
        failed = campaign.waves.filter(state=WaveState.FAILED).first()
        if failed is not None:
            failed.move_to(WaveState.OPEN, finished_at=None)
    else:
        campaign.move_to(CampaignState.RUNNING, reason="")
    decided = decisions.draft(campaign, "campaign.resumed", reason or "Resumed.", by=by, at=at, **anew)
    decisions.record(campaign, [decided])


def _refuse_beside_rollback(campaign: Campaign) -> None:
    # The two would offer the same vehicles the one release and the other by turns.
    ended = [CampaignState.COMPLETED, CampaignState.CANCELLED]
    rollback = campaign.rollbacks.exclude(state__in=ended).first()
    if rollback is not None:
        raise RollbackUnfinishedError(
            f"{campaign} is rolled back by {rollback} ({rollback.get_state_display().lower()}); cancel that first.",
            rollback=rollback.name,
        )


@transaction.atomic
def cancel_campaign(campaign: Campaign, *, by: str, at: datetime, reason: str = "") -> None:
    """End a campaign for good, in whatever state it is; what is being installed ends by itself and counts."""
    campaign.move_to(CampaignState.CANCELLED, reason=reason, finished_at=at, keeps_orders=False)
    withdrawn = assignments.withdraw(campaign, at=at)
    waiting = campaign.assignments.filter(state=AssignmentState.WAITING)
    released = waiting.update(state=AssignmentState.WITHDRAWN, settled_at=at, next_attempt_at=None)
    decided = decisions.draft(
        campaign,
        "campaign.cancelled",
        reason or "Cancelled.",
        by=by,
        at=at,
        withdrawn=withdrawn,
        released=released,
    )
    decisions.record(campaign, [decided])


@transaction.atomic
def stop_campaign(campaign: Campaign, *, by: str, at: datetime, reason: str) -> None:
    """Stop a campaign at once (emergency stop): every order that is not being installed is withdrawn.

    One that is scheduled is only approved again: it does not start by itself. One that is halted stays so, and what its
    halt let go on is withdrawn.

    Raises:
        InvalidTransitionError: it is neither scheduled, nor under way, nor halted.
        ReasonMissingError: no reason is given.
    """
    checks.require_state(campaign, *_STOPPABLE)
    decided = _stop(campaign, decisions.require_reason(reason), by=by, at=at)
    decisions.record(campaign, [decided])


def withdraw_kept(campaign: Campaign, *, at: datetime) -> int:
    """Withdraw what stands at vehicles in a campaign that has stopped; return how many orders that were."""
    Campaign.objects.filter(pk=campaign.pk).update(keeps_orders=False)
    campaign.keeps_orders = False
    return assignments.withdraw(campaign, at=at)


def _stop(campaign: Campaign, reason: str, *, by: str, at: datetime) -> Decision:
    if campaign.state == CampaignState.SCHEDULED:
        campaign.move_to(CampaignState.APPROVED, reason=reason, starts_at=None)
        return decisions.draft(campaign, "campaign.unscheduled", reason, by=by, at=at)
    if campaign.state == CampaignState.HALTED:
        withdrawn = withdraw_kept(campaign, at=at)
    else:
        withdrawn = halt(campaign, reason=reason, at=at)
    return decisions.draft(campaign, "campaign.stopped", reason, by=by, at=at, withdrawn=withdrawn)


@transaction.atomic
def stop_tenant(tenant: Tenant, *, by: str, at: datetime, reason: str) -> list[Campaign]:
    """Stop everything that a tenant runs, and let nothing start until it is resumed. Returns the campaigns halted.

    What is scheduled is only approved again, so that nothing starts by itself afterwards either; orders that earlier
    halts let go on are withdrawn.

    Raises:
        ReasonMissingError: no reason is given.
        TenantStoppedError: it is stopped already.
    """
    reason = decisions.require_reason(reason)
    if not Tenant.objects.filter(pk=tenant.pk, stopped_at=None).update(stopped_at=at, stopped_reason=reason):
        raise TenantStoppedError(f"Tenant {tenant} is stopped already.")
    runs = Q(state__in=_STOPPABLE) & ~Q(state=CampaignState.HALTED, keeps_orders=False)
    to_stop = Campaign.objects.filter(runs, tenant=tenant).select_related("tenant").order_by("pk")
    # Held until the end, so that no tick moves them meanwhile.
    held = list(to_stop.select_for_update(of=("self",), no_key=True))
    drafts = [_stop(campaign, reason, by=by, at=at) for campaign in held]
    halted = [campaign for campaign in held if campaign.state == CampaignState.HALTED]
    for decided in drafts:
        decisions.record(decided.campaign, [decided])
    audit.record("tenant.stopped", tenant, tenant=tenant, by=by, at=at, reason=reason, campaigns=len(halted))
    tenant.stopped_at, tenant.stopped_reason = at, reason
    return halted


@transaction.atomic
def resume_tenant(tenant: Tenant, *, by: str, at: datetime, reason: str) -> None:
    """Let campaigns of a stopped tenant be started and resumed again; each of those halted waits for a person.

    Raises:
        ReasonMissingError: no reason is given.
        TenantNotStoppedError: it is not stopped.
    """
    reason = decisions.require_reason(reason)
    stopped = Tenant.objects.filter(pk=tenant.pk, stopped_at__isnull=False)
    if not stopped.update(stopped_at=None, stopped_reason=""):
        raise TenantNotStoppedError(f"Tenant {tenant} is not stopped.")
    audit.record("tenant.resumed", tenant, tenant=tenant, by=by, at=at, reason=reason)
    tenant.stopped_at, tenant.stopped_reason = None, ""


def refuse_stopped(tenant: Tenant) -> None:
    """Refuse what would start or resume something while all of a tenant is stopped, by what the database says now."""
    if Tenant.objects.filter(pk=tenant.pk, stopped_at__isnull=False).exists():
        raise TenantStoppedError(f"Everything of tenant {tenant} is stopped.")
