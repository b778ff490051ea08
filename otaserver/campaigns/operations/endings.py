"""A campaign's own end: nothing is offered any more, what is pending is taken back, and it completes."""

from datetime import datetime

from django.db.models import Case, OuterRef, Subquery, TextField, Value, When
from django.db.models.functions import Coalesce, Concat

from otaserver.campaigns.models import Campaign, Decision, Report
from otaserver.campaigns.operations import assignments, decisions
from otaserver.campaigns.operations.decisions import ENGINE, draft
from otaserver.campaigns.queries import counts
from otaserver.campaigns.rules.deadlines import CAMPAIGN_ENDED
from otaserver.campaigns.states import ACTIVE_STATES, STOPPABLE_STATES, AssignmentState, CampaignState, ReportPhase

_KIND = "campaign.ended"


def is_over(campaign: Campaign, *, at: datetime) -> bool:
    """Return whether a campaign has come to its end."""
    return campaign.ends_at is not None and campaign.ends_at <= at


def end(campaign: Campaign, *, at: datetime) -> list[Decision]:
    """Settle what waits, withdraw what is not being installed, and complete the campaign once the rest is settled.

    What is being installed ends by itself, soaks and counts, and may still halt the campaign. Repeating changes
    nothing.
    """
    message = f"The campaign ended at {campaign.ends_at:%Y-%m-%d %H:%M} UTC."
    pending = campaign.assignments.filter(state__in=STOPPABLE_STATES)
    _keep_what_held(campaign, message)
    pending.exclude(code=CAMPAIGN_ENDED).update(code=CAMPAIGN_ENDED, message=message)
    withdrawn = assignments.withdraw(campaign, at=at)
    waiting = campaign.assignments.filter(state=AssignmentState.WAITING)
    # What an attempt came to, or what the server kept an order back for, is why the vehicle was not updated.
    before = Value(f"{message.rstrip('.')}; the vehicle waited (")
    told = Concat(before, "code", Value("): "), "message", output_field=TextField())
    lapsed = waiting.update(
        state=AssignmentState.LAPSED,
        settled_at=at,
        next_attempt_at=None,
        due_at=None,
        code=CAMPAIGN_ENDED,
        message=Case(When(code="", then=Value(message)), default=told, output_field=TextField()),
    )
    drafts = []
    if withdrawn or lapsed or not campaign.decisions.filter(kind=_KIND).exists():
        sentence = (
            f"{message} {decisions.vehicles(lapsed)} still waited for an order; "
            f"orders were withdrawn from {decisions.vehicles(withdrawn)}."
        )
        drafts.append(draft(campaign, _KIND, sentence, by=ENGINE, at=at, lapsed=lapsed, withdrawn=withdrawn))
    return drafts + _complete(campaign, at=at)


def reopen(campaign: Campaign) -> int:
    """Let vehicles wait again that a campaign's end had settled, now that its end is a later one; return how many.

    What was withdrawn from the others waits again with the next tick, as after every stop.
    """
    lapsed = campaign.assignments.filter(state=AssignmentState.LAPSED, code=CAMPAIGN_ENDED)
    return lapsed.update(state=AssignmentState.WAITING, settled_at=None, code="", message="")


def _keep_what_held(campaign: Campaign, message: str) -> None:
    """Let the message of what is held still tell for what: that is why the vehicle was not updated.

    Between windows every vehicle holds for the next one; what held it while one was open is the reason.
    """
    said = Report.objects.filter(attempt__assignment=OuterRef("pk"), phase=ReportPhase.HELD).exclude(code="window")
    last = said.order_by("-received_at", "-pk")
    code = Coalesce(Subquery(last.values("code")[:1]), "code", output_field=TextField())
    told = Coalesce(Subquery(last.values("message")[:1]), "message", output_field=TextField())
    before = Value(f"{message.rstrip('.')}; until then the vehicle held (")
    campaign.assignments.filter(state=AssignmentState.HELD).exclude(code=CAMPAIGN_ENDED).update(
        code=CAMPAIGN_ENDED, message=Concat(before, code, Value("): "), told, output_field=TextField())
    )


def _complete(campaign: Campaign, *, at: datetime) -> list[Decision]:
    unsettled = campaign.assignments.filter(state__in=ACTIVE_STATES | {AssignmentState.SOAKING})
    unread = campaign.assignments.filter(
        state__in=[AssignmentState.SUCCEEDED, AssignmentState.FAILED], installing_at__isnull=False, is_judged=False
    )
    if unsettled.exists() or unread.exists():
        return []
    by_state = counts.progress(campaign).by_state
    campaign.move_to(CampaignState.COMPLETED, finished_at=at, reason="")
    sentence = f"Ended with {by_state.get(AssignmentState.SUCCEEDED, 0)} that succeeded."
    return [draft(campaign, "campaign.completed", sentence, by=ENGINE, at=at, counts=by_state)]
