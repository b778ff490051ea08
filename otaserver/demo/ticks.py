"""What beat and a worker would do in a second, done at once: for a server that lives in one process."""

from firmware_store.tasks import refresh_metadata
from otaserver import clock
from otaserver.campaigns import tasks as campaigns
from otaserver.campaigns.models import Campaign


def tick() -> None:
    """Advance every campaign that is due, lapse what is due, keep online metadata fresh."""
    for pk in Campaign.objects.due(clock.now()).order_by("pk").values_list("pk", flat=True):
        campaigns.advance_campaign(campaign_id=pk)
    campaigns.lapse()
    refresh_metadata()
