"""Looking through all vehicles of a campaign: no work for every tick, which costs what has changed."""

from datetime import datetime, timedelta

from otaserver.campaigns.models import Campaign
from otaserver.campaigns.operations.rollbacks import KEPT_OPEN
from otaserver.campaigns.states import ACTIVE_STATES, AssignmentState, CampaignKind

EVERY = timedelta(minutes=1)
_PENDING = ACTIVE_STATES | {AssignmentState.WAITING, AssignmentState.SOAKING}


def begin(campaign: Campaign, *, at: datetime) -> bool:
    """Return whether this tick looks through all vehicles, and note it if so: once a minute.

    And when a roll-back has nothing more to do, so that it need not wait for its end; until it has said why it stays
    open.
    """
    is_due = campaign.looked_at is None or not timedelta() <= at - campaign.looked_at < EVERY
    if not is_due and not _may_end(campaign):
        return False
    Campaign.objects.filter(pk=campaign.pk).update(looked_at=at)
    return True


def _may_end(campaign: Campaign) -> bool:
    if campaign.kind != CampaignKind.ROLLBACK or campaign.assignments.filter(state__in=_PENDING).exists():
        return False
    last = campaign.decisions.order_by("-at", "-pk").values_list("kind", flat=True).first()
    return last != KEPT_OPEN
