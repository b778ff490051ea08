from datetime import datetime

from django.db.models import QuerySet

from otaserver.campaigns.models import Assignment, Campaign
from otaserver.campaigns.states import AssignmentState


def waiting_for_next_attempt(campaign: Campaign, *, at: datetime) -> QuerySet[Assignment]:
    """Return the assignments of vehicles that have had an attempt, and whose next one lies ahead."""
    return campaign.assignments.filter(state=AssignmentState.WAITING, next_attempt_at__gt=at)
