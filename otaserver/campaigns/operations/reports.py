"""The vehicle's half of the waist: what it says, what it proves, what it has heard."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Count, Q

from otaserver.campaigns.errors import AttemptNotFoundError, TooManyLogsError, TooManyReportsError
from otaserver.campaigns.models import Assignment, Attempt, LogTail, Report
from otaserver.campaigns.operations import assignments, hops, retries
from otaserver.campaigns.rules import deadlines, preconditions
from otaserver.campaigns.rules.reports import Claim, Move, after_claim
from otaserver.campaigns.states import STOPPABLE_STATES, AssignmentState, ReportOutcome, ReportPhase
from otaserver.fleet.models import Vehicle

MAX_MESSAGE_LENGTH = 4000
MAX_LOG_LENGTH = 64 * 1024
# Of each attempt. How it ended is counted apart, so that no flood of progress can keep the end from being stored.
MAX_REPORTS = 1000
MAX_ENDS = 100
MAX_LOGS = 20
# States in which the vehicle's code and message say why it is there.
_TELLING = frozenset(
    {
        AssignmentState.HELD,
        AssignmentState.WAITING,
        AssignmentState.LAPSED,
        AssignmentState.FAILED,
        AssignmentState.REFUSED,
    }
)


@dataclass(frozen=True)
class VehicleReport:
    """What a vehicle said of an attempt, in protocol-neutral words. `attempt` is its UUID or its number."""

    attempt: UUID | int
    report_id: str
    phase: str
    outcome: str = ReportOutcome.NONE
    ecu_serial: str = ""
    code: str = ""
    message: str = ""
    progress: int | None = None
    measured: Mapping[str, Any] = field(default_factory=dict)
    device_time: datetime | None = None


@transaction.atomic
def record_report(vehicle: Vehicle, report: VehicleReport, *, can_prove: bool, at: datetime) -> None:
    """Store what a vehicle said of one of its attempts, and move the assignment if that word may move it.

    `can_prove`: the protocol brings signed manifests, and success is believed when one proves it, never when it is
    merely said. That is the protocol's nature, not the vehicle's: one that has proved nothing yet is not believed more.

    A report with an id that was seen before changes nothing; nor does one on an attempt that is not the vehicle's
    latest, beside being stored.

    Raises:
        AttemptNotFoundError: the vehicle has no such attempt.
        TooManyReportsError: of this attempt as many are stored as the server keeps.
    """
    attempt = attempt_of(vehicle, report.attempt)
    if _store(attempt, report, at=at):
        _believe(attempt, report, can_prove=can_prove, at=at)


@transaction.atomic
def record_log(vehicle: Vehicle, *, attempt: UUID | int, text: str, at: datetime) -> None:
    """Keep the end of a log that a vehicle sent with an attempt, at most 64 Ki characters of it.

    Raises:
        AttemptNotFoundError: the vehicle has no such attempt.
        TooManyLogsError: of this attempt as many are stored as the server keeps.
    """
    found = attempt_of(vehicle, attempt)
    if found.logs.count() >= MAX_LOGS:
        raise TooManyLogsError(f"Of {found} {MAX_LOGS} logs are kept; no more are taken.", limit=MAX_LOGS)
    LogTail.objects.create(attempt=found, text=_clean(text)[-MAX_LOG_LENGTH:], received_at=at)


@transaction.atomic
def confirm_withdrawal(vehicle: Vehicle, *, at: datetime) -> None:
    """Close an order that was being withdrawn: the vehicle has fetched metadata that no longer lists it."""
    withdrawing = Assignment.objects.filter(vehicle=vehicle, state=AssignmentState.WITHDRAWING)
    if withdrawing.update(state=AssignmentState.WITHDRAWN, settled_at=at, due_at=None):
        Attempt.objects.filter(vehicle=vehicle, closed_at=None, assignment__state=AssignmentState.WITHDRAWN).update(
            closed_at=at
        )


def attempt_of(vehicle: Vehicle, attempt: UUID | int) -> Attempt:
    """Return an attempt of the vehicle, by UUID or number.

    Raises:
        AttemptNotFoundError: it has no such attempt.
    """
    key = {"number": attempt} if isinstance(attempt, int) else {"pk": attempt}
    found = Attempt.objects.filter(vehicle=vehicle, **key).select_related("vehicle").first()
    if found is None:
        raise AttemptNotFoundError(f"Vehicle {vehicle} has no attempt {attempt}.", attempt=str(attempt))
    return found


def _store(attempt: Attempt, report: VehicleReport, *, at: datetime) -> bool:
    is_end = Q(phase=ReportPhase.FINISHED)
    stored = attempt.reports.aggregate(
        same=Count("pk", filter=Q(report_id=report.report_id)),
        ends=Count("pk", filter=is_end),
        others=Count("pk", filter=~is_end),
    )
    if stored["same"]:
        return False
    found, limit = (
        (stored["ends"], MAX_ENDS) if report.phase == ReportPhase.FINISHED else (stored["others"], MAX_REPORTS)
    )
    if found >= limit:
        raise TooManyReportsError(f"Of {attempt} {found} such reports are kept; no more are taken.", limit=limit)
    row = Report(
        attempt=attempt,
        report_id=report.report_id,
        ecu_serial=report.ecu_serial,
        phase=report.phase,
        outcome=report.outcome,
        code=_clean(report.code)[:80],
        message=_clean(report.message)[:MAX_MESSAGE_LENGTH],
        progress=report.progress,
        measured=preconditions.bounded(report.measured),
        device_time=report.device_time,
        received_at=at,
    )
    # Two deliveries at once: one row remains, and what both do is decided under the assignment's lock.
    Report.objects.bulk_create([row], ignore_conflicts=True)
    return True


def _clean(text: str) -> str:
    # PostgreSQL stores no NUL.
    return text.replace("\0", "")


def _believe(attempt: Attempt, report: VehicleReport, *, can_prove: bool, at: datetime) -> None:
    if attempt.number < attempt.vehicle.last_attempt_number:
        return
    assignment = locked(attempt.assignment_id)
    if not is_latest(assignment, attempt):
        return
    if hops.is_over(attempt) and report.outcome != ReportOutcome.FAILURE:
        return
    claim = Claim(report.phase, report.outcome, report.code)
    decided = after_claim(AssignmentState(assignment.state), claim, can_prove=can_prove)
    if decided.wants_manifest:
        Vehicle.objects.filter(pk=assignment.vehicle_id).update(is_manifest_wanted=True)
    if decided.state is not None:
        _carry_out(assignment, attempt, decided, decided.state, code=report.code, message=report.message, at=at)
    elif report.phase != ReportPhase.FINISHED and assignment.state in STOPPABLE_STATES:
        _prolong(assignment, report, at=at)


def locked(assignment_id: int) -> Assignment:
    """Return an assignment, with its campaign and vehicle, that nobody else moves until this transaction ends."""
    rows = Assignment.objects.select_for_update(of=("self",), no_key=True).select_related("campaign", "vehicle")
    return rows.get(pk=assignment_id)


def is_latest(assignment: Assignment, attempt: Attempt) -> bool:
    """Return whether no other order has gone to the vehicle since this attempt: only then may it still move."""
    if assignment.state not in STOPPABLE_STATES:
        # What ended may come to life again while another campaign offers: the vehicle's row decides who was first.
        vehicles = Vehicle.objects.select_for_update(no_key=True)
        return attempt.number == vehicles.values_list("last_attempt_number", flat=True).get(pk=assignment.vehicle_id)
    return attempt.number == assignment.vehicle.last_attempt_number


def _carry_out(
    assignment: Assignment,
    attempt: Attempt,
    decided: Move,
    state: AssignmentState,
    *,
    code: str,
    message: str,
    at: datetime,
) -> None:
    next_attempt_at: datetime | None = None
    if decided.may_retry:
        state, next_attempt_at = retries.after(assignment, attempt, decided.outcome, at=at)
    if state == AssignmentState.WITHDRAWN:
        # Why it was withdrawn is known already; the vehicle says only that it has heard of it.
        code, message = assignment.code, assignment.message
    elif state not in _TELLING:
        code = message = ""
    assignments.move(
        assignment,
        state,
        attempt=attempt,
        at=at,
        outcome=decided.outcome,
        code=_clean(code)[:80],
        message=_clean(message)[:MAX_MESSAGE_LENGTH],
        next_attempt_at=next_attempt_at,
    )


def _prolong(assignment: Assignment, report: VehicleReport, *, at: datetime) -> None:
    due_at = deadlines.due_at(
        assignment.state,
        assignments.timeouts_of(assignment.campaign),
        at=at,
        offered_at=assignment.offered_at,
        installing_at=None,
    )
    changes: dict[str, Any] = {"due_at": due_at}
    if assignment.state == AssignmentState.HELD == report.phase:
        # What holds it back may be another thing by now.
        changes |= {"code": _clean(report.code)[:80], "message": _clean(report.message)[:MAX_MESSAGE_LENGTH]}
    Assignment.objects.filter(pk=assignment.pk, state=assignment.state).update(**changes)
