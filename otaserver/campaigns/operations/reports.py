"""The vehicle's half of the waist: what it says, what it proves, what it has heard."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from otaserver.campaigns.errors import AttemptNotFoundError, TooManyLogsError, TooManyReportsError
from otaserver.campaigns.models import Assignment, Attempt, LogTail
from otaserver.campaigns.operations import assignments, json_rows, report_rows, retries, standings
from otaserver.campaigns.operations.report_rows import MAX_MESSAGE_LENGTH, Fate
from otaserver.campaigns.operations.standings import Standing
from otaserver.campaigns.operations.told import Told, VehicleReport, clean
from otaserver.campaigns.rules import deadlines
from otaserver.campaigns.rules.reports import Claim, Move, after_claim
from otaserver.campaigns.states import STOPPABLE_STATES, AssignmentState, CampaignState, ReportOutcome, ReportPhase
from otaserver.errors import OtaError
from otaserver.fleet.models import Vehicle

MAX_LOG_LENGTH = 64 * 1024
# Of each attempt. How it ended is counted apart, so that no flood of progress can keep the end from being stored.
MAX_REPORTS = 1000
MAX_ENDS = 100
MAX_LOGS = 20
# A due time to the minute tells enough, and spares a write for each of the reports of a vehicle that downloads.
DUE_RESOLUTION = timedelta(minutes=1)
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
    (refusal,) = record_reports([Told(vehicle, report, can_prove, at)])
    if refusal is not None:
        raise refusal


@transaction.atomic
def record_reports(told: Sequence[Told]) -> list[OtaError | None]:
    """Do with several reports, of any vehicles, what `record_report` does with each, in their order, all or none.

    Return the refusal of each, None where it was stored. It costs one read and one statement that stores them, beside
    what they move.

    Raises:
        StaleStateError, InvalidTransitionError: nothing is stored; each has to be recorded alone.
    """
    found = standings.locked(told)
    rows = [
        report_rows.Row(standing.attempt_id, one, _limit(one.report))
        for one, standing in zip(told, found, strict=True)
        if standing is not None
    ]
    fates = iter(report_rows.store(rows))
    refusals: list[OtaError | None] = []
    later: dict[int, dict[str, Any]] = {}
    for one, standing in zip(told, found, strict=True):
        if standing is None:
            refusals.append(_not_found(one.vehicle, one.report.attempt))
            continue
        fate = next(fates)
        refusals.append(_too_many(one, standing) if fate is Fate.TOO_MANY else None)
        if fate is Fate.NEW:
            _believe(standing, one, later)
    _prolong_all(later)
    return refusals


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
    LogTail.objects.create(attempt=found, text=clean(text)[-MAX_LOG_LENGTH:], received_at=at)


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
        raise _not_found(vehicle, attempt)
    return found


def _limit(report: VehicleReport) -> int:
    return MAX_ENDS if report.phase == ReportPhase.FINISHED else MAX_REPORTS


def _too_many(told: Told, standing: Standing) -> TooManyReportsError:
    limit = _limit(told.report)
    sentence = f"Of attempt {standing.number} of {told.vehicle} {limit} such reports are kept; no more are taken."
    return TooManyReportsError(sentence, limit=limit)


def _not_found(vehicle: Vehicle, attempt: UUID | int) -> AttemptNotFoundError:
    return AttemptNotFoundError(f"Vehicle {vehicle} has no attempt {attempt}.", attempt=str(attempt))


def _believe(standing: Standing, told: Told, later: dict[int, dict[str, Any]]) -> None:
    """Move what a stored report moves; what it merely prolongs is noted in `later`, by assignment."""
    report = told.report
    if standing.is_over and report.outcome != ReportOutcome.FAILURE:
        return
    claim = Claim(report.phase, report.outcome, report.code)
    decided = after_claim(AssignmentState(standing.state), claim, can_prove=told.can_prove)
    prolongs = report.phase != ReportPhase.FINISHED and standing.state in STOPPABLE_STATES
    if not (decided.wants_manifest or decided.state is not None or prolongs):
        return
    if standing.number < standing.last_number or not standing.is_latest():
        return
    if decided.wants_manifest:
        Vehicle.objects.filter(pk=standing.vehicle_id).update(is_manifest_wanted=True)
    if decided.state is not None:
        # What was noted before is written by the move itself.
        later.pop(standing.assignment_id, None)
        _move(standing, decided, decided.state, report, at=told.at)
    elif prolongs:
        _prolong(standing, report, later, at=told.at)


def _move(standing: Standing, decided: Move, state: AssignmentState, report: VehicleReport, *, at: datetime) -> None:
    attempt = standing.loaded()
    assignment = attempt.assignment
    _carry_out(assignment, attempt, decided, state, code=report.code, message=report.message, at=at)
    standing.state, standing.due_at, standing.offered_at = assignment.state, assignment.due_at, assignment.offered_at
    standing.code, standing.message = assignment.code, assignment.message
    standing.attempt_outcome = decided.outcome


def _lets_go_on(assignment: Assignment) -> bool:
    campaign = assignment.campaign
    return campaign.keeps_orders or campaign.state in (CampaignState.RUNNING, CampaignState.PAUSED)


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
        code=clean(code)[:80],
        message=clean(message)[:MAX_MESSAGE_LENGTH],
        next_attempt_at=next_attempt_at,
    )
    if state == AssignmentState.HELD and not _lets_go_on(assignment):
        # It had begun when the campaign stopped, and has switched nothing: now the stop reaches it.
        assignments.withdraw_some(assignment.campaign, [assignment], code="", message="", at=at)
        assignment.refresh_from_db(fields=["state", "due_at", "code", "message"])


def _prolong(standing: Standing, report: VehicleReport, later: dict[int, dict[str, Any]], *, at: datetime) -> None:
    due_at = deadlines.due_at(
        standing.state, standing.timeouts, at=at, offered_at=standing.offered_at, installing_at=None
    )
    code, message = standing.code, standing.message
    if standing.state == AssignmentState.HELD == report.phase:
        # What holds it back may be another thing by now.
        code, message = clean(report.code)[:80], clean(report.message)[:MAX_MESSAGE_LENGTH]
    is_later = due_at is not None and (standing.due_at is None or abs(due_at - standing.due_at) >= DUE_RESOLUTION)
    if is_later or (code, message) != (standing.code, standing.message):
        standing.due_at, standing.code, standing.message = due_at, code, message
        later[standing.assignment_id] = {"due_at": due_at, "code": code, "message": message}


def _prolong_all(later: Mapping[int, Mapping[str, Any]]) -> None:
    """Write down until when assignments may take, of all in one statement: the caller has them locked."""
    if not later:
        return
    with connection.cursor() as cursor:
        cursor.execute(_prolongation(), [json_rows.text({"id": pk, **changes} for pk, changes in later.items())])


@cache
def _prolongation() -> str:
    columns = {"id": "bigint", "due_at": "timestamptz", "code": "varchar(80)", "message": "text"}
    states = ", ".join(f"'{state.value}'" for state in sorted(STOPPABLE_STATES))
    table = Assignment._meta.db_table
    return (
        f"UPDATE {table} SET due_at = told.due_at, code = told.code, message = told.message"
        f" FROM {json_rows.table(columns)} WHERE {table}.id = told.id AND {table}.state IN ({states})"
    )
