"""Block lists at work: orders that are not being installed are withdrawn from vehicles that come onto one."""

from datetime import datetime

from otaserver.campaigns.models import Assignment, Campaign, Decision
from otaserver.campaigns.operations import assignments, decisions
from otaserver.campaigns.operations.decisions import ENGINE
from otaserver.campaigns.queries import block_lists
from otaserver.campaigns.states import STOPPABLE_STATES, Verdict
from otaserver.fleet.models import Vehicle


def withdraw_listed(campaign: Campaign, *, at: datetime) -> list[Decision]:
    """Withdraw a campaign's orders from vehicles that are on a block list by now; return what was decided.

    What is being installed is not interrupted. Where a tenant has no block list this costs one query.
    """
    drafts = []
    for group in block_lists.block_lists(campaign.tenant):
        vehicles = Vehicle.objects.filter(block_lists.in_group(group))
        standing = campaign.assignments.filter(state__in=STOPPABLE_STATES, vehicle__in=vehicles.values("pk"))
        # Rows that another worker holds are left to the next tick.
        locked = standing.select_for_update(of=("self",), skip_locked=True, no_key=True).order_by("pk")
        found: list[Assignment] = list(locked[: assignments.LAPSE_CHUNK])
        if found:
            label = block_lists.label(group)
            assignments.withdraw_some(
                campaign,
                found,
                code=Verdict.ON_BLOCK_LIST,
                message=f"The vehicle is on the block list {label}.",
                at=at,
            )
            sentence = f"Orders were withdrawn from {decisions.vehicles(len(found))} on the block list {label}."
            drafts.append(
                decisions.draft(
                    campaign, "campaign.excluded", sentence, by=ENGINE, at=at, group=group.name, vehicles=len(found)
                )
            )
    return drafts
