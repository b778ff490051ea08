"""What a verified manifest proves, and what it moves."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import F

from otaserver.campaigns.models import Assignment, Attempt
from otaserver.campaigns.operations import assignments, reports
from otaserver.campaigns.queries import bundles
from otaserver.campaigns.rules import matching
from otaserver.campaigns.rules.matching import Computer
from otaserver.campaigns.rules.reports import REVERTED, after_evidence
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
def record_evidence(vehicle: Vehicle, *, report: EvidenceReport | None, at: datetime) -> None:
    """Compare what the vehicle has just proved to run with its orders, after its manifest was accepted.

    Proof comes first and outranks reports; the report in the manifest is then taken like any other, once. One on an
    attempt that is not the vehicle's is left out: the manifest's proof holds all the same.
    """
    latest = _latest_attempt(vehicle)
    concerned = set(
        Assignment.objects.filter(vehicle=vehicle, state=AssignmentState.SOAKING).values_list("pk", flat=True)
    )
    if latest is not None:
        concerned.add(latest.assignment_id)
    if concerned:
        found = vehicle.ecus.values_list("serial", "hardware_id", "installed_sha256")
        computers = [Computer(serial, hardware_id, sha256) for serial, hardware_id, sha256 in found]
        # All of them before the vehicle's own row: the order in which offers lock.
        for assignment in [reports.locked(pk) for pk in sorted(concerned)]:
            _compare(assignment, latest, computers, at=at)
    if report is not None:
        _take_report(vehicle, report, at=at)


def _latest_attempt(vehicle: Vehicle) -> Attempt | None:
    # The number is read from the row, since the caller's copy may be older than the order.
    return Attempt.objects.filter(vehicle=vehicle, number=F("vehicle__last_attempt_number")).first()


def _compare(assignment: Assignment, latest: Attempt | None, computers: list[Computer], *, at: datetime) -> None:
    own = latest is not None and latest.assignment_id == assignment.pk and reports.is_latest(assignment, latest)
    view = bundles.release_view(assignment.campaign.release)
    decided = after_evidence(
        AssignmentState(assignment.state),
        runs_release=matching.runs(matching.packages_for(view.bundle.items, computers)),
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


def _take_report(vehicle: Vehicle, report: EvidenceReport, *, at: datetime) -> None:
    if not Attempt.objects.filter(vehicle=vehicle, pk=report.attempt).exists():
        return
    # Repeated in every manifest until the next attempt: it counts once.
    claim = reports.VehicleReport(
        attempt=report.attempt,
        report_id=f"manifest:{report.outcome}",
        phase=ReportPhase.FINISHED,
        outcome=report.outcome,
        code=report.code,
        message=report.message,
    )
    reports.record_report(vehicle, claim, at=at)
