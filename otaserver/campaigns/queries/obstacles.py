"""What keeps waiting vehicles from their order: another campaign on the vehicle, or one that is required first."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from otaserver.campaigns.models import Assignment, Campaign, CampaignRequirement
from otaserver.campaigns.queries import precedence as queries
from otaserver.campaigns.rules import explanations as rules
from otaserver.campaigns.rules import precedence
from otaserver.campaigns.rules.explanations import HoldUp
from otaserver.campaigns.states import ACTIVE_STATES, AssignmentState, CampaignState


def obstacles(assignments: Sequence[Assignment], *, at: datetime | None) -> dict[int, HoldUp]:
    """Return for each waiting assignment, by its id, what it waits for on its vehicle, if anything.

    Given the time, not for a campaign that goes first and that its windows, a blackout or its pace hold up itself.
    """
    waiting = [each for each in assignments if _has_turn(each)]
    found = _claims(waiting, at=at)
    found |= _standing(waiting)
    found |= _requirements(waiting)
    return found


def _has_turn(assignment: Assignment) -> bool:
    is_running = assignment.campaign.state == CampaignState.RUNNING
    return assignment.state == AssignmentState.WAITING and is_running and assignment.wave_id is not None


def _done_with(other: Campaign, state: str) -> HoldUp:
    sentence = f"The vehicle waits until it is done with {other}: one order at a time."
    return HoldUp(rules.BUSY, sentence, "one order at a time", f"{other} ({state})")


def _standing(waiting: Sequence[Assignment]) -> dict[int, HoldUp]:
    """Return those whose vehicle has another campaign's order, or soaks for it."""
    states = ACTIVE_STATES | {AssignmentState.SOAKING}
    rows = Assignment.objects.filter(vehicle__in=[each.vehicle_id for each in waiting], state__in=states)
    others: dict[int, list[Assignment]] = defaultdict(list)
    for row in rows.select_related("campaign").order_by("pk"):
        others[row.vehicle_id].append(row)
    found = {}
    for each in waiting:
        disturbs = precedence.disturbs_soaks(priority=each.campaign.priority, kind=each.campaign.kind)
        for other in others[each.vehicle_id]:
            if other.state != AssignmentState.SOAKING or not disturbs:
                found[each.pk] = _done_with(other.campaign, other.state)
                break
    return found


def _claims(waiting: Sequence[Assignment], *, at: datetime | None) -> dict[int, HoldUp]:
    """Return those whose vehicle another campaign takes first."""
    found: dict[int, HoldUp] = {}
    by_campaign: dict[Campaign, list[Assignment]] = defaultdict(list)
    for each in waiting:
        by_campaign[each.campaign].append(each)
    for campaign, own in by_campaign.items():
        vehicles = {each.vehicle_id: each.pk for each in own}
        # The one that goes first of all is written last.
        for other in sorted(
            queries.ahead_of(campaign, at=at), key=lambda one: queries.contender(one).place, reverse=True
        ):
            taken = queries.ready(other, at=at).filter(vehicle__in=vehicles).values_list("vehicle_id", flat=True)
            found |= {vehicles[vehicle]: _done_with(other, AssignmentState.WAITING) for vehicle in taken}
    return found


def _requirements(waiting: Sequence[Assignment]) -> dict[int, HoldUp]:
    """Return those that wait for a campaign which theirs requires."""
    found: dict[int, HoldUp] = {}
    rows = CampaignRequirement.objects.filter(campaign__in={each.campaign_id for each in waiting})
    for row in rows.select_related("required__release").order_by("-required"):
        own = Assignment.objects.filter(pk__in=[each.pk for each in waiting], campaign=row.campaign_id)
        sentence = f"The vehicle waits until {row.required} has succeeded on it: this campaign requires that."
        hold_up = HoldUp(rules.REQUIRED, sentence, f"{row.required} has succeeded", "it has not")
        found |= dict.fromkeys(own.filter(~queries.meets(row.required)).values_list("pk", flat=True), hold_up)
    return found
