"""The graded halt, carried out: see `rules.halts` for the grades and their order."""

from datetime import datetime

from django.db.models import Max

from otaserver.campaigns.models import Campaign, Decision
from otaserver.campaigns.operations import assignments, rollbacks
from otaserver.campaigns.operations.decisions import ENGINE, draft
from otaserver.campaigns.queries.rollbacks import carriers
from otaserver.campaigns.rules.halts import grades
from otaserver.campaigns.rules.plans import NAME_MAX_LENGTH
from otaserver.campaigns.states import ACTIVE_STATES, CampaignState, HaltAction

ROLLED_BACK = "campaign.rolling_back"
NOTIFY = "campaign.notify"
_ENDED = [CampaignState.COMPLETED, CampaignState.CANCELLED]


def carry_out(campaign: Campaign, decision: Decision, *, at: datetime) -> list[Decision]:
    """Halt a campaign as its plan says, and return the decisions: the halt, a roll-back if one starts, a notice.

    Where a package of the release may not be installed any more, or everything of the tenant is stopped, orders are
    withdrawn whatever the plan says.
    """
    must_withdraw = decision.kind == "campaign.stopped" or "unpublished" in decision.inputs
    action = campaign.halt_action
    if must_withdraw and action == HaltAction.HOLD_OFFERS:
        action = HaltAction.WITHDRAW
    campaign.move_to(CampaignState.HALTED, reason=decision.sentence)
    withdrawn = 0 if action == HaltAction.HOLD_OFFERS else assignments.withdraw(campaign, at=at)
    decision.inputs |= {"withdrawn": withdrawn, "grades": grades(action, grace_hours=campaign.grace_hours)}
    drafts = [decision]
    # A tenant that is stopped starts nothing: persons say how it goes on.
    if action == HaltAction.ROLL_BACK and campaign.tenant.stopped_at is None:
        drafts += _roll_back(campaign, at=at)
    notice = draft(campaign, NOTIFY, f"{campaign} was halted: {decision.sentence}", by=ENGINE, at=at)
    notice.inputs["about"] = decision.kind
    return [*drafts, notice]


def _roll_back(campaign: Campaign, *, at: datetime) -> list[Decision]:
    """Schedule the roll-back that was approved with the campaign; the engine starts it like any other."""
    if campaign.fallback_release is None or campaign.rollbacks.exclude(state__in=_ENDED).exists():
        return []
    number = campaign.rollbacks.count() + 1
    suffix = f" back {number}"
    name = campaign.name[: NAME_MAX_LENGTH - len(suffix)].rstrip() + suffix
    rollback = rollbacks.create_rollback(campaign, release=campaign.fallback_release, name=name, by=ENGINE, at=at)
    # Vehicles that install now run the release later: without carriers yet, it starts when they must have ended.
    last = campaign.assignments.filter(state__in=ACTIVE_STATES).aggregate(last=Max("due_at"))["last"]
    starts_at = at if last is None or carriers(rollback).exists() else last
    rollback.move_to(CampaignState.IN_REVIEW)
    rollback.move_to(CampaignState.APPROVED, approved_by=campaign.approved_by)
    rollback.move_to(CampaignState.SCHEDULED, starts_at=starts_at)
    sentence = f"{rollback} brings back what runs {campaign.release}, as approved with {campaign}."
    shown = starts_at.isoformat()
    return [draft(campaign, ROLLED_BACK, sentence, by=ENGINE, at=at, rollback=rollback.name, starts_at=shown)]
