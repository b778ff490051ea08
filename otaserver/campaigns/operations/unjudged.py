"""What cannot be judged is halted: a limit that cannot be evaluated never lets go."""

from datetime import datetime

from django.db import transaction

from otaserver.campaigns.models import Campaign
from otaserver.campaigns.operations import decisions, halts, stops
from otaserver.campaigns.operations.decisions import ENGINE, draft
from otaserver.campaigns.states import CampaignState
from otaserver.errors import OtaError


@transaction.atomic
def halt(campaign_id: int, error: Exception, *, at: datetime) -> None:
    """Halt a campaign under way that an error keeps the engine from judging, and withdraw what stands at vehicles.

    In a transaction of its own, without what may have been at fault: nothing of the plan is read but its grades.
    """
    rows = Campaign.objects.select_for_update(of=("self",), no_key=True).select_related("tenant", "release")
    under_way = [CampaignState.RUNNING, CampaignState.PAUSED]
    campaign = rows.filter(pk=campaign_id, state__in=under_way).first()
    if campaign is None:
        return
    said = error.message if isinstance(error, OtaError) else f"{type(error).__name__}: {error}"
    code = error.code if isinstance(error, OtaError) else type(error).__name__
    halted = draft(campaign, halts.UNJUDGED, f"The campaign cannot be judged. {said}", by=ENGINE, at=at, error=code)
    decisions.record(campaign, stops.halt_in_wave(campaign, halted, at=at))
