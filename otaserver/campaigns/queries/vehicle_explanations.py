"""Why is this vehicle (not) being updated: the rule, its value, the vehicle's own, and what would change it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Exists, F, OuterRef

from otaserver.campaigns.models import Assignment, Campaign
from otaserver.campaigns.queries.explanations import Explained, explained, waits_for_attempt
from otaserver.campaigns.rules import explanations as rules
from otaserver.campaigns.rules.explanations import Remedy
from otaserver.campaigns.states import (
    ACTIVE_STATES,
    AssignmentState,
    CampaignKind,
    CampaignState,
)
from otaserver.fleet import queries as fleet
from otaserver.fleet.models import Group, Vehicle
from otaserver.tenants.models import Tenant

# The newest ones; what was longer ago explains nothing of today.
CAMPAIGNS_SHOWN = 20
# So long without a word is more than a night in a garage.
SILENT_AFTER = timedelta(days=1)
_OVER = [CampaignState.COMPLETED, CampaignState.CANCELLED]
_UNDER_WAY = frozenset({CampaignState.RUNNING, CampaignState.PAUSED, CampaignState.HALTED})


@dataclass(frozen=True)
class Answer:
    """One reason: a stable code, a sentence, the rule with its value, the vehicle's value, and what would change it.

    `campaign` is the name of the one that it is about; empty where it is about the vehicle whatever campaigns say.
    """

    code: str
    sentence: str
    rule: str
    limit: str
    value: str
    remedy: str
    campaign: str = ""


@dataclass(frozen=True)
class VehicleExplanation:
    """Why a vehicle is, or is not, being updated: obstacles of its own first, then the newest campaign first."""

    vehicle_id: str
    is_being_updated: bool
    answers: Sequence[Answer]


def explain_vehicle(vehicle: Vehicle, *, at: datetime) -> VehicleExplanation:
    """Return all that keeps a vehicle from being updated, or lets it be, in a handful of queries.

    Each campaign that the vehicle waits in, or that goes before one of these, may add some.
    """
    tenant = Tenant.objects.get(pk=vehicle.tenant_id)
    rows = vehicle.assignments.select_related("campaign__release", "campaign__tenant", "vehicle", "wave")
    # Those that go on first, however many came and went since.
    assignments = list(rows.order_by(F("campaign__finished_at").desc(nulls_first=True), "-campaign")[:CAMPAIGNS_SHOWN])
    assignments.sort(key=lambda each: each.campaign_id, reverse=True)
    found = explained(assignments, at=at)
    joined = [_assigned(each, found[each.pk], at=at) for each in assignments]
    outside = _outside(vehicle)
    answers = [*_own(vehicle, tenant, at=at), *joined, *outside]
    if not any(each.campaign for each in answers):
        answers.append(_no_campaign())
    is_updated = any(each.state in ACTIVE_STATES | {AssignmentState.SOAKING} for each in assignments)
    return VehicleExplanation(vehicle.vehicle_id, is_updated, answers)


def _own(vehicle: Vehicle, tenant: Tenant, *, at: datetime) -> list[Answer]:
    found = []
    if tenant.stopped_at is not None:
        found.append(_answer(rules.TENANT_STOPPED, limit=tenant.stopped_reason, value=_time(tenant.stopped_at)))
    if vehicle.enrolled_at is None:
        found.append(_answer(rules.NOT_ENROLLED, limit="enrolled", value="not enrolled"))
    if vehicle.blocked_at is not None:
        since = f"blocked since {_time(vehicle.blocked_at)}: {vehicle.blocked_reason}"
        found.append(_answer(rules.BLOCKED, limit="not blocked", value=since))
    if vehicle.last_contact_at is None:
        found.append(_answer(rules.NEVER_HEARD, limit=f"every {tenant.polling_seconds} s", value="never"))
    elif at - vehicle.last_contact_at > SILENT_AFTER:
        heard = _time(vehicle.last_contact_at)
        found.append(_answer(rules.SILENT, limit=f"every {tenant.polling_seconds} s", value=heard))
    if vehicle.enrolled_at is not None and vehicle.confirmed_at is None:
        found.append(_answer(rules.NOTHING_PROVED, limit="a signed manifest", value="none"))
    return found


def _assigned(assignment: Assignment, found: Explained, *, at: datetime) -> Answer:
    campaign, sentence, hold_up = assignment.campaign, found.sentence, found.hold_up
    if hold_up is not None:
        return _answer(hold_up.remedy, sentence=sentence, limit=hold_up.limit, value=hold_up.value, campaign=campaign)
    if assignment.state == AssignmentState.EXCLUDED:
        return _answer(
            rules.excluded(assignment.verdict),
            sentence=sentence,
            limit=f"{campaign.release}",
            value=assignment.verdict_detail,
            campaign=campaign,
        )
    if assignment.state == AssignmentState.WAITING:
        return _waiting(assignment, sentence, at=at)
    if assignment.state == AssignmentState.SUPERSEDED and assignment.code in rules.EXCLUDED:
        # Judged again when its turn came: what keeps it out is the same rule.
        return _answer(
            rules.excluded(assignment.code),
            sentence=sentence,
            limit=f"{campaign.release}",
            value=assignment.message,
            campaign=campaign,
        )
    ends = assignment.due_at or assignment.settled_at
    value = " ".join(part for part in (assignment.code, assignment.message) if part) or assignment.state
    remedy = rules.assigned(assignment.state)
    return _answer(remedy, sentence=sentence, limit=_time(ends), value=value, campaign=campaign)


def _waiting(assignment: Assignment, sentence: str, *, at: datetime) -> Answer:
    campaign = assignment.campaign
    if campaign.state != CampaignState.RUNNING:
        remedy, limit, value = rules.CAMPAIGN[CampaignState(campaign.state)], campaign.reason, campaign.state
    elif assignment.wave is None:
        remedy, limit, value = rules.WAVE_WAITING, "its own wave is open", "no wave yet"
    elif waits_for_attempt(assignment, at=at):
        remedy, limit, value = rules.NEXT_ATTEMPT, _time(assignment.next_attempt_at), assignment.code
    else:
        remedy, limit, value = rules.TURN, str(campaign.max_in_flight or "no limit"), f"wave {assignment.wave.number}"
    return _answer(remedy, sentence=sentence, limit=limit, value=value, campaign=campaign)


def _outside(vehicle: Vehicle) -> list[Answer]:
    """Answer for the open campaigns that have not taken the vehicle in, as far as it is in their groups."""
    own = Assignment.objects.filter(vehicle=vehicle, campaign=OuterRef("pk"))
    rows = Campaign.objects.filter(~Exists(own), tenant=vehicle.tenant_id, kind=CampaignKind.ROLLOUT)
    found = list(rows.exclude(state__in=_OVER).select_related("group").order_by("-pk")[:CAMPAIGNS_SHOWN])
    groups = {each.group.pk: each.group for each in found if each.group is not None}
    is_in = fleet.groups_with(vehicle, list(groups.values()))
    return [answer for each in found if (answer := _not_taken_in(each, groups, is_in)) is not None]


def _not_taken_in(campaign: Campaign, groups: Mapping[int, Group], is_in: Mapping[int, bool | None]) -> Answer | None:
    group = groups[campaign.group_id or 0]
    if is_in[group.pk] is None:
        return _answer(rules.FILTER_REFUSED, limit=group.filter, value=group.name, campaign=campaign)
    if not is_in[group.pk]:
        return None
    if campaign.state in _UNDER_WAY and campaign.is_dynamic and campaign.closed_at is None:
        return _answer(rules.TO_BE_TAKEN_IN, limit=str(group), value=campaign.state, campaign=campaign)
    if campaign.state in _UNDER_WAY:
        made = _time(campaign.started_at)
        return _answer(rules.LIST_FROZEN, limit=made, value=f"in {group} by now", campaign=campaign)
    remedy = rules.CAMPAIGN[CampaignState(campaign.state)]
    return _answer(remedy, limit=_time(campaign.starts_at), value=campaign.state, campaign=campaign)


def _no_campaign() -> Answer:
    return _answer(rules.NO_CAMPAIGN, limit="a campaign for a group that the vehicle is in", value="none")


def _answer(remedy: Remedy, *, limit: str, value: str, sentence: str = "", campaign: Campaign | None = None) -> Answer:
    return Answer(
        code=remedy.code,
        sentence=sentence or remedy.sentence,
        rule=remedy.rule,
        limit=limit,
        value=value,
        remedy=remedy.remedy,
        campaign="" if campaign is None else campaign.name,
    )


def _time(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC" if at else ""
