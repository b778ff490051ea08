"""Attempts: how many, with which pause, and which count."""

from datetime import datetime, timedelta

from django.db.models import Min

from otaserver.campaigns.models import Assignment, Attempt
from otaserver.campaigns.rules import deadlines
from otaserver.campaigns.states import AssignmentState, ReportOutcome


def after(
    assignment: Assignment, attempt: Attempt, outcome: ReportOutcome, *, at: datetime
) -> tuple[AssignmentState, datetime | None]:
    """Return where an assignment goes whose attempt ended for now, and when its next one has its turn.

    Failed attempts count up to the campaign's cap. One that ended because the server shed it does not, and the next
    follows after the first pause; but not for longer than the campaign's patience with a vehicle that downloads.
    """
    campaign = assignment.campaign
    if outcome == ReportOutcome.NONE:
        first = assignment.attempts.aggregate(first=Min("opened_at"))["first"] or at
        patience = timedelta(seconds=campaign.offer_timeout_seconds + campaign.download_timeout_seconds)
        if at >= first + patience:
            return AssignmentState.LAPSED, None
        return AssignmentState.WAITING, at + deadlines.retry_delay(campaign.retry_seconds, failures=1)
    failures = 1 + assignment.attempts.filter(outcome=ReportOutcome.FAILURE).exclude(pk=attempt.pk).count()
    if failures >= campaign.max_attempts:
        return AssignmentState.LAPSED, None
    return AssignmentState.WAITING, at + deadlines.retry_delay(campaign.retry_seconds, failures=failures)
