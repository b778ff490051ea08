"""The graded halt, carried out: see `rules.halts` for the grades and their order."""

from datetime import datetime
from itertools import count

from django.db import transaction
from django.db.models import Max

from firmware_store.models import Release
from otaserver.campaigns.models import Campaign, Decision
from otaserver.campaigns.operations import assignments, rollbacks
from otaserver.campaigns.operations.decisions import ENGINE, draft
from otaserver.campaigns.queries.rollbacks import carriers
from otaserver.campaigns.rules.halts import grades
from otaserver.campaigns.rules.limits import GRAVE_LIMITS
from otaserver.campaigns.rules.plans import NAME_MAX_LENGTH
from otaserver.campaigns.states import ACTIVE_STATES, CampaignState, HaltAction
from otaserver.errors import OtaError

ROLLED_BACK = "campaign.rolling_back"
NOTIFY = "campaign.notify"
UNJUDGED = "engine.halted"
_ENDED = [CampaignState.COMPLETED, CampaignState.CANCELLED]


def carry_out(campaign: Campaign, decision: Decision, *, at: datetime) -> list[Decision]:
    """Halt a campaign as its plan says, and return the decisions: the halt, a roll-back if one starts, a notice.

    Where the reason is grave, orders are withdrawn whatever the plan says: `is_grave`.
    """
    action = campaign.halt_action
    if action == HaltAction.HOLD_OFFERS and is_grave(decision):
        action = HaltAction.WITHDRAW
    keeps_orders = action == HaltAction.HOLD_OFFERS
    campaign.move_to(CampaignState.HALTED, reason=decision.sentence, keeps_orders=keeps_orders)
    withdrawn = 0 if action == HaltAction.HOLD_OFFERS else assignments.withdraw(campaign, at=at)
    decision.inputs |= {"withdrawn": withdrawn, "grades": grades(action, grace_hours=campaign.grace_hours)}
    drafts = [decision]
    # A tenant that is stopped starts nothing: persons say how it goes on.
    if action == HaltAction.ROLL_BACK and campaign.tenant.stopped_at is None:
        drafts += _roll_back(campaign, at=at)
    notice = draft(campaign, NOTIFY, f"{campaign} was halted: {decision.sentence}", by=ENGINE, at=at)
    notice.inputs["about"] = decision.kind
    return [*drafts, notice]


def is_grave(decision: Decision) -> bool:
    """Return whether no vehicle may install any more what it was offered before this decision.

    A package was withdrawn, everything of the tenant is stopped, a code that halts was reported, verification failed
    too often, or the engine cannot judge the campaign.
    """
    if decision.kind in ("campaign.stopped", UNJUDGED) or "unpublished" in decision.inputs:
        return True
    return decision.inputs.get("limit") in GRAVE_LIMITS


def _roll_back(campaign: Campaign, *, at: datetime) -> list[Decision]:
    """Schedule the roll-back that was approved with the campaign, or say why there is none: the halt stands anyway."""
    if campaign.fallback_release is None or campaign.rollbacks.exclude(state__in=_ENDED).exists():
        return []
    try:
        with transaction.atomic():
            return _schedule_rollback(campaign, campaign.fallback_release, at=at)
    except OtaError as error:
        sentence = f"The roll-back to {campaign.fallback_release} could not be made; a person has to. {error.message}"
        return [draft(campaign, "campaign.not_rolled_back", sentence, by=ENGINE, at=at, error=error.code)]


def _free_name(campaign: Campaign) -> str:
    taken = set(Campaign.objects.filter(tenant=campaign.tenant_id).values_list("name", flat=True))
    for number in count(campaign.rollbacks.count() + 1):
        suffix = f" back {number}"
        name = campaign.name[: NAME_MAX_LENGTH - len(suffix)].rstrip() + suffix
        if name not in taken:
            break
    return name


def _schedule_rollback(campaign: Campaign, release: Release, *, at: datetime) -> list[Decision]:
    """Make the roll-back that was approved with the campaign; the engine starts it like any other."""
    rollback = rollbacks.create_rollback(campaign, release=release, name=_free_name(campaign), by=ENGINE, at=at)
    # Vehicles that install now run the release later: without carriers yet, it starts when they must have ended.
    last = campaign.assignments.filter(state__in=ACTIVE_STATES).aggregate(last=Max("due_at"))["last"]
    starts_at = at if last is None or carriers(rollback).exists() else last
    rollback.move_to(CampaignState.IN_REVIEW)
    rollback.move_to(CampaignState.APPROVED, approved_by=campaign.approved_by)
    rollback.move_to(CampaignState.SCHEDULED, starts_at=starts_at)
    sentence = f"{rollback} brings back what runs {campaign.release}, as approved with {campaign}."
    shown = starts_at.isoformat()
    return [draft(campaign, ROLLED_BACK, sentence, by=ENGINE, at=at, rollback=rollback.name, starts_at=shown)]
