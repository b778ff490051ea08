"""What a verified manifest proves, and what it moves."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q

from otaserver.campaigns.errors import AttemptNotFoundError, TooManyReportsError
from otaserver.campaigns.models import Assignment, Attempt
from otaserver.campaigns.operations import (
    assignments,
    hops,
    reconciliation,
    reports,
    rollbacks,
    software_changes,
    workshop,
)
from otaserver.campaigns.operations.patience import timeouts_of
from otaserver.campaigns.operations.told import VehicleReport
from otaserver.campaigns.queries import bundles
from otaserver.campaigns.rules import deadlines, matching
from otaserver.campaigns.rules.failures import REVERTED
from otaserver.campaigns.rules.matching import Computer
from otaserver.campaigns.rules.reports import after_evidence
from otaserver.campaigns.states import AssignmentState, ReportPhase
from otaserver.fleet.models import Vehicle


@dataclass(frozen=True)
class EvidenceReport:
    """What the signed manifest says of an attempt, beside what it proves."""

    attempt: UUID
    outcome: str
    code: str = ""
    message: str = ""


@transaction.atomic
def record_evidence(vehicle: Vehicle, *, proved: Collection[str], report: EvidenceReport | None, at: datetime) -> None:
    """Compare what the vehicle has just proved to run with its orders, after its manifest was accepted.

    `proved` are the serials of the ECUs that this manifest spoke of. What others proved before counts for nothing here:
    a release is proved by one manifest with all its ECUs, or a mixture of two moments would pass for it.
    Proof comes first and outranks reports; the report in the manifest is then taken like any other, once. One on an
    attempt that is not the vehicle's is left out: the manifest's proof holds all the same.
    """
    latest = _latest_attempt(vehicle)
    concerned = set(
        Assignment.objects.filter(vehicle=vehicle, state=AssignmentState.SOAKING).values_list("pk", flat=True)
    )
    if latest is not None:
        concerned.add(latest.assignment_id)
    computers: list[Computer] = []
    if concerned or vehicle.workshop_cases.filter(closed_at=None).exists():
        found = vehicle.ecus.values_list("serial", "hardware_id", "installed_sha256")
        computers = [Computer(serial, hardware_id, sha256) for serial, hardware_id, sha256 in found]
    # All of them before the vehicle's own row: the order in which offers lock.
    for assignment in [reports.locked(pk) for pk in sorted(concerned)]:
        _compare(assignment, latest, computers, proved, at=at)
    if report is not None:
        _take_report(vehicle, report, at=at)
    rollbacks.record_missed(vehicle, proved=proved, at=at)
    software_changes.record_changes(vehicle, at=at)
    workshop.close_proved(vehicle, computers, proved, at=at)
    reconciliation.reconcile(Q(vehicle=vehicle.pk), at=at)


def _latest_attempt(vehicle: Vehicle) -> Attempt | None:
    # The number is read from the row, since the caller's copy may be older than the order.
    latest = Attempt.objects.filter(vehicle=vehicle, number=F("vehicle__last_attempt_number"))
    return latest.select_related("stone").first()


def _compare(
    assignment: Assignment,
    latest: Attempt | None,
    computers: list[Computer],
    proved: Collection[str],
    *,
    at: datetime,
) -> None:
    own = latest is not None and latest.assignment_id == assignment.pk and reports.is_latest(assignment, latest)
    view = bundles.release_view(assignment.campaign.release)
    if own and latest is not None and hops.take(assignment, latest, view, computers, proved, at=at):
        return
    runs_release = matching.proves(matching.packages_for(view.bundle.items, computers), proved)
    if runs_release is not False:
        _note_proof(assignment, is_complete=runs_release is True, at=at)
    if runs_release is None:
        return
    decided = after_evidence(
        AssignmentState(assignment.state),
        runs_release=runs_release,
        is_latest=own,
        code=assignment.code,
    )
    if decided.state is None:
        return
    is_reverted = decided.state == AssignmentState.FAILED
    assignments.move(
        assignment,
        decided.state,
        # Overtaken by another order, its own attempt stays the success that it was.
        attempt=latest if own else None,
        at=at,
        outcome=decided.outcome,
        code=REVERTED if is_reverted else "",
        message="The vehicle no longer proves that it runs the release." if is_reverted else "",
    )


def _note_proof(assignment: Assignment, *, is_complete: bool, at: datetime) -> None:
    """Keep whether the last manifest of a soak was whole; after one that was not, the vehicle has time for another."""
    if assignment.state != AssignmentState.SOAKING:
        return
    if not is_complete:
        Vehicle.objects.filter(pk=assignment.vehicle_id).update(is_manifest_wanted=True)
    if is_complete != assignment.is_partly_proved:
        return
    due_at = deadlines.due_at(
        assignment.state,
        timeouts_of(assignment.campaign),
        at=at,
        offered_at=assignment.offered_at,
        installing_at=assignment.installing_at,
    )
    if due_at is not None and not is_complete:
        due_at = max(due_at, at + timedelta(seconds=assignment.campaign.install_timeout_seconds))
    Assignment.objects.filter(pk=assignment.pk, state=assignment.state).update(
        is_partly_proved=not is_complete, due_at=due_at
    )


def _take_report(vehicle: Vehicle, report: EvidenceReport, *, at: datetime) -> None:
    # Repeated in every manifest until the next attempt: it counts once.
    claim = VehicleReport(
        attempt=report.attempt,
        report_id=f"manifest:{report.outcome}",
        phase=ReportPhase.FINISHED,
        outcome=report.outcome,
        code=report.code,
        message=report.message,
    )
    try:
        reports.record_report(vehicle, claim, can_prove=True, at=at)
    except (AttemptNotFoundError, TooManyReportsError):
        # The proof holds, whatever the vehicle has said too often or of another's attempt.
        return
