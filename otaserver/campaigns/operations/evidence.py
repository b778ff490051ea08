"""What a verified manifest proves, and what it moves."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from otaserver.campaigns.errors import AttemptNotFoundError, TooManyReportsError
from otaserver.campaigns.models import Assignment, Attempt
from otaserver.campaigns.operations import (
    assignments,
    concerned,
    hops,
    reconciliation,
    reports,
    rollbacks,
    software_changes,
    workshop,
)
from otaserver.campaigns.operations.patience import timeouts_of
from otaserver.campaigns.operations.told import VehicleReport
from otaserver.campaigns.rules import deadlines, matching
from otaserver.campaigns.rules.failures import REVERTED
from otaserver.campaigns.rules.matching import Computer, Item
from otaserver.campaigns.rules.reports import after_evidence
from otaserver.campaigns.states import AssignmentState, ReportPhase
from otaserver.fleet.models import Ecu, Vehicle


@dataclass(frozen=True)
class EvidenceReport:
    """What the signed manifest says of an attempt, beside what it proves."""

    attempt: UUID
    outcome: str
    code: str = ""
    message: str = ""


def record_evidence(
    vehicle: Vehicle,
    *,
    proved: Collection[str],
    report: EvidenceReport | None,
    at: datetime,
    ecus: Sequence[Ecu] | None = None,
) -> None:
    """Compare what the vehicle has just proved to run with its orders, after its manifest was accepted.

    `proved` are the serials of the ECUs that this manifest spoke of. What others proved before counts for nothing here:
    a release is proved by one manifest with all its ECUs, or a mixture of two moments would pass for it.
    Proof comes first and outranks reports; the report in the manifest is then taken like any other, once. One on an
    attempt that is not the vehicle's is left out: the manifest's proof holds all the same.

    `ecus`: the vehicle's, as the manifest left them, where the caller has them. Where they move nothing and nothing
    else is due, nothing is locked; else they are read again, since a later manifest may have come.
    """
    if report is None and not _is_concerned(vehicle, ecus, proved):
        return
    with transaction.atomic():
        locked = concerned.lock(vehicle, reported=report.attempt if report else None)
        take_evidence(vehicle, locked, list(vehicle.ecus.all()), proved=proved, report=report, at=at)


def take_evidence(
    vehicle: Vehicle,
    locked: concerned.Locked,
    ecus: Sequence[Ecu],
    *,
    proved: Collection[str],
    report: EvidenceReport | None,
    at: datetime,
) -> None:
    """Do what `record_evidence` does, in the transaction that has locked what is concerned and then read the ECUs."""
    computers = computers_of(ecus)
    for assignment in locked.assignments:
        _compare(assignment, locked.latest, locked.contents.items, computers, proved, at=at)
    if report is not None:
        _take_report(vehicle, report, at=at)
    due = concerned.due(vehicle)
    if due.missed_rollback:
        rollbacks.record_missed(vehicle, proved=proved, at=at)
    if due.changes:
        packages = locked.contents.packages
        software_changes.record_changes(vehicle, latest=locked.latest, packages=packages, at=at)
    if due.workshop_case:
        workshop.close_proved(vehicle, computers, proved, at=at)
    if due.disagreement:
        reconciliation.reconcile(Q(vehicle=vehicle.pk), at=at)


def computers_of(ecus: Iterable[Ecu]) -> list[Computer]:
    """Return ECUs in the form that the rules match packages with."""
    return [Computer(ecu.serial, ecu.hardware_id, ecu.installed_sha256) for ecu in ecus]


def _is_concerned(vehicle: Vehicle, ecus: Sequence[Ecu] | None, proved: Collection[str]) -> bool:
    """Return whether something is due, or the proof may move an assignment, as far as is to be told without a lock."""
    found = concerned.outlook(vehicle)
    if any(found.due) or not found.concerns:
        return any(found.due)
    computers = computers_of(vehicle.ecus.all() if ecus is None else ecus)
    if matching.proves(matching.packages_for(found.hop(), computers), proved):
        return True
    for concern in found.concerns:
        runs_release = matching.proves(matching.packages_for(concern.items, computers), proved)
        state = AssignmentState(concern.state)
        if state == AssignmentState.SOAKING and (runs_release is None or concern.is_partly_proved):
            return True
        if runs_release is not None:
            decided = after_evidence(state, runs_release=runs_release, is_latest=True, code=concern.code)
            if decided.state is not None:
                return True
    return False


def _compare(
    assignment: Assignment,
    latest: Attempt | None,
    items: Mapping[int, Sequence[Item]],
    computers: Sequence[Computer],
    proved: Collection[str],
    *,
    at: datetime,
) -> None:
    own = latest if latest is not None and latest.assignment_id == assignment.pk else None
    if own is not None and hops.take(assignment, own, items, computers, proved, at=at):
        return
    pairs = matching.packages_for(items[assignment.campaign.release_id], computers)
    runs_release = matching.proves(pairs, proved)
    if runs_release is not False:
        _note_proof(assignment, is_complete=runs_release is True, at=at)
    if runs_release is None:
        return
    decided = after_evidence(
        AssignmentState(assignment.state),
        runs_release=runs_release,
        is_latest=own is not None,
        code=assignment.code,
    )
    if decided.state is None:
        return
    is_reverted = decided.state == AssignmentState.FAILED
    assignments.move(
        assignment,
        decided.state,
        # Overtaken by another order, its own attempt stays the success that it was.
        attempt=own,
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
