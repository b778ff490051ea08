"""Trying again sooner: whatever kept attempts from succeeding has been put right."""

from datetime import datetime

from django.db import transaction

from otaserver.campaigns.models import Campaign
from otaserver.campaigns.operations import checks, decisions
from otaserver.campaigns.queries import backoffs
from otaserver.campaigns.states import CampaignState


@transaction.atomic
def retry_waiting(campaign: Campaign, *, by: str, at: datetime, reason: str = "") -> int:
    """Let the vehicles whose next attempt lies ahead have it at once, and return how many those are.

    What counts as an attempt, and how many there may be, stays as it is. With nobody waiting nothing is recorded.

    Raises:
        InvalidTransitionError: the campaign does not run.
    """
    checks.require_state(campaign, CampaignState.RUNNING)
    # One UPDATE: a vehicle that a tick offers in that moment no longer waits, and is left alone.
    hastened = backoffs.waiting_for_next_attempt(campaign, at=at).update(next_attempt_at=at)
    if hastened:
        sentence = reason or f"{decisions.vehicles(hastened).capitalize()} may try again at once."
        decided = decisions.draft(campaign, "campaign.retried", sentence, by=by, at=at, vehicles=hastened)
        decisions.record(campaign, [decided])
    return hastened
