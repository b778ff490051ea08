"""Stepping stones, hop by hop: one assignment, an order for each stone, and one result at the end."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from otaserver.campaigns.models import Assignment, Attempt
from otaserver.campaigns.operations import assignments
from otaserver.campaigns.rules import matching
from otaserver.campaigns.rules.matching import Computer, Item
from otaserver.campaigns.states import (
    ACTIVE_STATES,
    AssignmentState,
    CampaignState,
    ReportOutcome,
)

_OVER = (CampaignState.CANCELLED, CampaignState.COMPLETED)


def take(
    assignment: Assignment,
    latest: Attempt,
    items: Mapping[int, Sequence[Item]],
    computers: Sequence[Computer],
    proved: Collection[str],
    *,
    at: datetime,
) -> bool:
    """Close the hop that a manifest proves, and let the vehicle wait for the next one; return whether it was one.

    `items` are the packages of the campaign's release and of the stone, by their rows' ids.

    A stone is no result: what the campaign learns is how its own release runs. Should the vehicle prove that already,
    this leaves it to be taken as the proof that it is.
    """
    if latest.stone_id is None or latest.closed_at is not None or assignment.state not in ACTIVE_STATES:
        return False
    if matching.proves(matching.packages_for(items[assignment.campaign.release_id], computers), proved):
        return False
    if not matching.proves(matching.packages_for(items[latest.stone_id], computers), proved):
        return False
    if assignment.state == AssignmentState.WITHDRAWING:
        # It got there before it heard of the withdrawal, and goes no further.
        assignments.move(assignment, AssignmentState.WITHDRAWN, attempt=latest, at=at, outcome=ReportOutcome.SUCCESS)
        return True
    assignments.move(assignment, AssignmentState.WAITING, attempt=latest, at=at, outcome=ReportOutcome.SUCCESS)
    # Its installation starts with the release itself: the gate reads outcomes in that order.
    Assignment.objects.filter(pk=assignment.pk).update(installing_at=None, offered_at=None)
    if assignment.campaign.state in _OVER:
        assignment.move_to(AssignmentState.WITHDRAWN, settled_at=at)
    return True
