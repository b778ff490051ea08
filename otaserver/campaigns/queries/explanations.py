"""Why is this car (not) getting this update: one sentence for each assignment."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from otaserver.campaigns.models import Assignment
from otaserver.campaigns.queries.obstacles import obstacles
from otaserver.campaigns.queries.reasons import timing_reasons
from otaserver.campaigns.rules import explanations as rules
from otaserver.campaigns.rules.deadlines import CAMPAIGN_ENDED
from otaserver.campaigns.rules.explanations import HoldUp
from otaserver.campaigns.rules.failures import ADOPTED, DECOMMISSIONED
from otaserver.campaigns.states import (
    ACTIVE_STATES,
    NEUTRAL_STATES,
    AssignmentState,
    CampaignKind,
    CampaignState,
    Verdict,
)

_NOT_RUNNING = {
    CampaignState.PAUSED: "the campaign is paused",
    CampaignState.HALTED: "the campaign was halted",
    CampaignState.CANCELLED: "the campaign was cancelled",
    CampaignState.COMPLETED: "the campaign is completed",
}
_UNDER_WAY_STATES = (CampaignState.RUNNING, CampaignState.PAUSED)
# What a vehicle came to be before its turn, not what overtook it there.
_COULD_NOT = frozenset(Verdict) - {Verdict.FITS, Verdict.ROLLBACK_BARRED, Verdict.UNMET_DEPENDENCY}
# A roll-back does not give these up while it is open.
_MAY_YET = frozenset(
    {AssignmentState.EXCLUDED, AssignmentState.LAPSED, AssignmentState.REFUSED, AssignmentState.SUPERSEDED}
)
_UNDER_WAY = {
    AssignmentState.OFFERED: "The release is offered and the vehicle has not answered yet",
    AssignmentState.DOWNLOADING: "The vehicle is downloading",
    AssignmentState.DOWNLOADED: "The vehicle has downloaded everything and has not begun to install",
    AssignmentState.HELD: "The vehicle holds the installation back",
    AssignmentState.INSTALLING: "The vehicle is installing",
    AssignmentState.WITHDRAWING: "The order is being withdrawn and the vehicle has not confirmed that yet",
}
_ENDED = {
    AssignmentState.REFUSED: "The vehicle refused",
    AssignmentState.LAPSED: "The server gave up waiting for the vehicle",
    AssignmentState.WITHDRAWN: "The order was withdrawn",
    AssignmentState.SUPERSEDED: "Other software overtook this release",
    AssignmentState.FAILED: "The update failed",
}
_SUPERSEDED = {
    DECOMMISSIONED: "The vehicle was taken out of service",
    Verdict.UNMET_DEPENDENCY: "What this release needs does not run on the vehicle",
    ADOPTED: "The vehicle got this software from elsewhere, and that was adopted",
}


@dataclass(frozen=True)
class Explained:
    """Why a vehicle is, or is not, being updated by a campaign: a sentence, and what it names that holds it up now."""

    sentence: str
    hold_up: HoldUp | None = None


def explain(assignment: Assignment, *, at: datetime | None = None) -> str:
    """Return one sentence that says why this vehicle is, or is not, being updated by this campaign.

    Given the time, it also says which window, blackout, condition or pace holds the vehicle up then.
    """
    return explain_all([assignment], at=at)[assignment.pk]


def explain_all(assignments: Sequence[Assignment], *, at: datetime | None = None) -> dict[int, str]:
    """Return the sentence of each of these assignments, by its id; as many queries for one as for all of them."""
    return {pk: found.sentence for pk, found in explained(assignments, at=at).items()}


def explained(assignments: Sequence[Assignment], *, at: datetime | None = None) -> dict[int, Explained]:
    """Return as `explain_all`, each with what holds its vehicle up; the assignments are one tenant's."""
    timing = {} if at is None else timing_reasons(assignments, at=at)
    found = obstacles(assignments, at=at)
    return {each.pk: _explained(each, found.get(each.pk), timing.get(each.pk), at) for each in assignments}


def _explained(
    assignment: Assignment, obstacle: HoldUp | None, timing: HoldUp | None, at: datetime | None
) -> Explained:
    state = AssignmentState(assignment.state)
    if state == AssignmentState.WAITING:
        return _explain_waiting(assignment, obstacle, timing, at)
    if state in ACTIVE_STATES:
        why = _why(assignment) if timing is None else f" ({timing.sentence})"
        until = _time(assignment.due_at)
        return Explained(f"{_UNDER_WAY[state]}{why}; this ends at {until} at the latest.", timing)
    return Explained(_explain(assignment, state))


def _explain(assignment: Assignment, state: AssignmentState) -> str:
    if state == AssignmentState.EXCLUDED:
        why = _lower(assignment.verdict_detail) or Verdict(assignment.verdict).label
        return f"The vehicle takes no part: {why}{_may_yet(assignment)}"
    if state == AssignmentState.SOAKING:
        return f"The new software runs and must stay healthy until {_time(assignment.due_at)}."
    if state == AssignmentState.SUCCEEDED:
        return "The new software runs and stayed healthy through its soak."
    counts = " It counts neither way." if state in NEUTRAL_STATES else ""
    ended = _ENDED[state]
    if state == AssignmentState.SUPERSEDED:
        could_not = "The vehicle could take no part when its turn came"
        ended = could_not if assignment.code in _COULD_NOT else _SUPERSEDED.get(assignment.code, ended)
    if state == AssignmentState.LAPSED and assignment.code == CAMPAIGN_ENDED:
        was_offered = assignment.offered_at is not None
        ended = (
            "The vehicle waited for its next order" if was_offered else "The vehicle had not been offered the release"
        )
        ended += " when time was up"
    return f"{ended}{_why(assignment)}.{counts}{_may_yet(assignment)}"


def _may_yet(assignment: Assignment) -> str:
    campaign = assignment.campaign
    is_excluded = assignment.state == AssignmentState.EXCLUDED and assignment.verdict != Verdict.CONTROL
    if campaign.is_dynamic and campaign.closed_at is None and is_excluded and campaign.state in _UNDER_WAY_STATES:
        return " The campaign is open to it: it is taken in once it fits."
    is_open = campaign.kind == CampaignKind.ROLLBACK and campaign.state in _UNDER_WAY_STATES
    if not is_open or assignment.state not in _MAY_YET:
        return ""
    return " As long as it runs what is taken back, it is taken in once it can be."


def waits_for_attempt(assignment: Assignment, *, at: datetime | None) -> bool:
    """Return whether it is the pause before its next attempt that a vehicle waits for; one that is over holds nobody.

    Without the time whoever has a next attempt waits for it.
    """
    following = assignment.next_attempt_at
    return following is not None and (at is None or following > at)


def _explain_waiting(
    assignment: Assignment, obstacle: HoldUp | None, timing: HoldUp | None, at: datetime | None
) -> Explained:
    campaign, message = assignment.campaign, assignment.message
    if campaign.state in _NOT_RUNNING:
        why = f": {_lower(campaign.reason)}" if campaign.reason else "."
        return Explained(f"The vehicle waits, and {_NOT_RUNNING[CampaignState(campaign.state)]}{why}")
    if assignment.wave_id is None:
        return Explained("The vehicle waits for its wave; earlier waves have not passed yet.")
    is_later = waits_for_attempt(assignment, at=at)
    if timing is not None and not is_later:
        return Explained(f"The vehicle's turn has come, but {timing.sentence}.", timing)
    if obstacle is not None and not is_later:
        return Explained(obstacle.sentence, obstacle)
    if assignment.code.startswith("withheld_"):
        again = _next(assignment)
        sentence = f"The server keeps the order back: {message}; it is looked at again at {again}."
        return Explained(sentence, HoldUp(rules.WITHHELD, sentence, again, f"{assignment.code}: {message}"))
    if is_later:
        again = _time(assignment.next_attempt_at)
        return Explained(f"The last attempt ended{_why(assignment)}; the next one follows at {again}.")
    return Explained(
        "The vehicle's turn has come and it waits for room among the vehicles in flight, or for the next tick."
    )


def _next(assignment: Assignment) -> str:
    return _time(assignment.next_attempt_at) if assignment.next_attempt_at else "the next tick"


def _why(assignment: Assignment) -> str:
    known = ": ".join(part for part in (assignment.code, assignment.message.rstrip(".")) if part)
    return f" ({known})" if known else ""


def _lower(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]


def _time(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC" if at else "an unknown time"
