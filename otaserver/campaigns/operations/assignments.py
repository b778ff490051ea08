"""Moving assignments, one or many, with what belongs to it: times, the attempt, and what the vehicle is directed to.

Locks are taken in the order campaign, assignments, vehicles, directions, audit chain.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import Exists, Q, QuerySet

from otaserver.campaigns.models import Assignment, Attempt, Campaign, SignalState
from otaserver.campaigns.operations import patience, silences
from otaserver.campaigns.operations.patience import timeouts_of
from otaserver.campaigns.rules import deadlines
from otaserver.campaigns.states import (
    ACTIVE_STATES,
    SETTLED_STATES,
    STOPPABLE_STATES,
    AssignmentState,
    ReportOutcome,
)
from otaserver.director import operations as director
from otaserver.fleet.models import Vehicle

# How many a tick gives up at once: what is left has its turn in the next transaction.
LAPSE_CHUNK = 2000


class _Lapse(NamedTuple):
    states: frozenset[AssignmentState]
    to: AssignmentState
    outcome: ReportOutcome
    code: str
    message: str


_LAPSES = (
    _Lapse(STOPPABLE_STATES, AssignmentState.LAPSED, ReportOutcome.NONE, "silent", "Silent before it installed."),
    _Lapse(
        frozenset({AssignmentState.INSTALLING}),
        AssignmentState.FAILED,
        ReportOutcome.FAILURE,
        "silent",
        "Nothing proved that the installation ended well.",
    ),
    _Lapse(frozenset({AssignmentState.WITHDRAWING}), AssignmentState.WITHDRAWN, ReportOutcome.NONE, "", ""),
    _Lapse(
        frozenset({AssignmentState.SOAKING}),
        AssignmentState.FAILED,
        ReportOutcome.FAILURE,
        "unproved",
        "The last manifest of the soak left out an ECU of the release.",
    ),
)


def move(
    assignment: Assignment,
    state: AssignmentState,
    *,
    attempt: Attempt | None,
    at: datetime,
    outcome: ReportOutcome = ReportOutcome.NONE,
    code: str = "",
    message: str = "",
    next_attempt_at: datetime | None = None,
) -> None:
    """Move one assignment; `attempt` is the one that this is about, None if it stays as it is.

    An attempt is open while its order stands at the vehicle; where that ends, the vehicle is directed to nothing.
    """
    had_order = assignment.state in ACTIVE_STATES
    installing_at = assignment.installing_at
    if state in (AssignmentState.INSTALLING, AssignmentState.SOAKING, AssignmentState.FAILED):
        installing_at = installing_at or at
    anew: dict[str, Any] = {}
    if state == AssignmentState.HELD:
        # It begins anew when its window opens; the gate reads outcomes by when they began. What was decided of windows
        # while it installed did not reach its order.
        installing_at = None
        anew = {"renew_at": at} if assignment.state == AssignmentState.INSTALLING else {}
    due_at = deadlines.due_at(
        state,
        timeouts_of(assignment.campaign),
        at=at,
        offered_at=assignment.offered_at,
        installing_at=installing_at,
    )
    assignment.move_to(
        state,
        due_at=due_at,
        installing_at=installing_at,
        settled_at=at if state in SETTLED_STATES else None,
        next_attempt_at=next_attempt_at,
        is_partly_proved=False,
        code=code,
        message=message,
        **anew,
    )
    if state == AssignmentState.SOAKING:
        # One statement, whether it has signals or not.
        watched = Exists(SignalState.objects.filter(campaign=assignment.campaign_id))
        Vehicle.objects.filter(watched, pk=assignment.vehicle_id).update(is_health_wanted=True)
    if attempt is not None:
        closed_at = None if state in ACTIVE_STATES else at
        Attempt.objects.filter(pk=attempt.pk).update(closed_at=closed_at, outcome=outcome, code=code)
    if had_order and state not in ACTIVE_STATES:
        director.direct({assignment.vehicle_id: None}, at=at)


@transaction.atomic
def withdraw(campaign: Campaign, *, at: datetime) -> int:
    """Withdraw every order of a campaign that is not being installed, and return how many.

    Each vehicle is directed to nothing at once; it is done when it has heard so.
    """
    stoppable = campaign.assignments.filter(state__in=STOPPABLE_STATES)
    locked = stoppable.select_for_update(no_key=True).order_by("pk").values_list("vehicle_id", flat=True)
    vehicles = list(locked)
    due_at = deadlines.due_at(
        AssignmentState.WITHDRAWING, timeouts_of(campaign), at=at, offered_at=None, installing_at=None
    )
    stoppable.update(state=AssignmentState.WITHDRAWING, due_at=due_at)
    director.direct(dict.fromkeys(vehicles), at=at)
    return len(vehicles)


def withdraw_some(campaign: Campaign, chosen: Collection[Assignment], *, code: str, message: str, at: datetime) -> None:
    """Withdraw these orders of a campaign, which the caller holds locked, and say why on their assignments."""
    due_at = deadlines.due_at(
        AssignmentState.WITHDRAWING, timeouts_of(campaign), at=at, offered_at=None, installing_at=None
    )
    rows = Assignment.objects.filter(pk__in=[assignment.pk for assignment in chosen], state__in=STOPPABLE_STATES)
    rows.update(state=AssignmentState.WITHDRAWING, due_at=due_at, code=code, message=message)
    director.direct({assignment.vehicle_id: None for assignment in chosen}, at=at)


def lapse_due(at: datetime) -> int:
    """Close every assignment that is past its due time, whatever its campaign's state, and return how many.

    What soaks has succeeded then, unless its last manifest was not whole; what installs has failed; the rest counts
    neither way.
    """
    closed = 0
    while found := lapse(Assignment.objects.all(), at=at):
        closed += found
    return closed


@transaction.atomic
def lapse(assignments: QuerySet[Assignment], *, at: datetime) -> int:
    """Close up to a chunk of these assignments that are past their due time, and return how many.

    Rows that another worker holds are left to it.
    """
    due = assignments.filter(due_at__lte=at)
    has_soaked = Q(state=AssignmentState.SOAKING, is_partly_proved=False)
    # In one order, and none that is held: whoever proves or reports may hold several, and wait for others of these.
    free = due.filter(has_soaked).select_for_update(skip_locked=True, no_key=True).order_by("pk").values("pk")
    soaked = Assignment.objects.filter(pk__in=free)
    closed = soaked.update(state=AssignmentState.SUCCEEDED, settled_at=at, due_at=None, code="", message="")
    rows = list(
        due.exclude(has_soaked)
        .select_for_update(skip_locked=True, no_key=True)
        .order_by("pk")
        .values_list("pk", "vehicle_id", "state")[:LAPSE_CHUNK]
    )
    prolonged = patience.prolong([pk for pk, _, state in rows if state in STOPPABLE_STATES], at=at)
    rows = [row for row in rows if row[0] not in prolonged]
    why = patience.reasons([pk for pk, _, state in rows if state in STOPPABLE_STATES], at=at)
    for kind in _LAPSES:
        pks = [pk for pk, _, state in rows if state in kind.states]
        if pks:
            # A withdrawal that is not confirmed says nothing new: why it was withdrawn is known already.
            said = {"code": kind.code, "message": kind.message} if kind.code else {}
            Assignment.objects.filter(pk__in=pks).update(state=kind.to, settled_at=at, due_at=None, **said)
            # What soaks has no order at the vehicle; another campaign's may stand there by now.
            soaks = AssignmentState.SOAKING in kind.states
            last = Q(outcome=ReportOutcome.SUCCESS) if soaks else Q(closed_at=None)
            _close(last, pks, kind, why, at=at)
    silences.tell_apart([(pk, vehicle) for pk, vehicle, state in rows if state == AssignmentState.INSTALLING])
    ordered = {vehicle: None for _, vehicle, state in rows if state != AssignmentState.SOAKING}
    director.direct(ordered, at=at)
    return closed + len(rows)


def _close(last: Q, pks: Collection[int], kind: _Lapse, why: Mapping[int, patience.Why], *, at: datetime) -> None:
    """Close the last attempts of what is given up, and say of each why, where that was not silence."""
    by_reason: dict[patience.Why, list[int]] = {}
    for pk in pks:
        by_reason.setdefault(why.get(pk, (kind.code, "")), []).append(pk)
    for (code, message), own in by_reason.items():
        Attempt.objects.filter(last, assignment__in=own).update(closed_at=at, outcome=kind.outcome, code=code)
        if message:
            Assignment.objects.filter(pk__in=own).update(code=code, message=message)
