"""What beat and a worker would do in a second, done at once: for a server that lives in one process."""

from datetime import datetime

from firmware_store.trust import operations as trust
from otaserver.campaigns import operations
from otaserver.campaigns.models import Campaign
from otaserver.campaigns.states import CampaignState
from otaserver.tenants.models import Tenant


def tick(*, at: datetime) -> None:
    """Advance every campaign that is under way, lapse what is due, keep online metadata fresh."""
    for pk in Campaign.objects.filter(state__in=[CampaignState.RUNNING, CampaignState.PAUSED]).values_list(
        "pk", flat=True
    ):
        while operations.advance_campaign(pk, at=at):
            pass
    operations.lapse_due(at)
    for tenant in Tenant.objects.all():
        trust.refresh_online(tenant, at=at)
