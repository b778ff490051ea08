"""Reports of clients that ask the server at each step whether they may go on, and say little of why they do not."""

from datetime import datetime
from uuid import UUID

from django.db import transaction

from otaserver.campaigns.operations import report_batches, reports
from otaserver.campaigns.operations.told import Told, VehicleReport
from otaserver.campaigns.queries import InstallGate, gate_of_attempt
from otaserver.campaigns.rules import unexplained
from otaserver.campaigns.states import ReportOutcome, ReportPhase
from otaserver.fleet.models import Vehicle


def report_progress(
    vehicle: Vehicle, *, attempt: UUID, phase: ReportPhase, report_id: str, at: datetime
) -> InstallGate:
    """Write down how far a vehicle is with an attempt, and return whether it may go on.

    With an order that was withdrawn it may not, and what it says moves nothing. Nor may it begin to install while
    something holds it: what is written down then is what does.

    Raises:
        AttemptNotFoundError: the vehicle has no such attempt.
        TooManyReportsError: of this attempt as many are stored as the server keeps.
    """
    _, gate = gate_of_attempt(vehicle, attempt, at=at)
    if gate.is_withdrawn:
        return gate
    code = message = ""
    if gate.hold is not None and phase in (ReportPhase.INSTALLING, ReportPhase.HELD):
        phase, code, message = ReportPhase.HELD, gate.hold.code, gate.hold.sentence
    said = VehicleReport(attempt, report_id, phase, code=code, message=message)
    report_batches.record_alone(Told(vehicle, said, True, at))
    return gate


@transaction.atomic
def report_failure(vehicle: Vehicle, *, attempt: UUID, report_id: str, message: str, at: datetime) -> None:
    """Write down that an attempt failed, of which the client does not say why; where it stood says what it means.

    Raises:
        AttemptNotFoundError: the vehicle has no such attempt.
        TooManyReportsError: of this attempt as many are stored as the server keeps.
    """
    order, gate = gate_of_attempt(vehicle, attempt, at=at)
    code = unexplained.failure_code(order.state, is_withdrawn=gate.is_withdrawn)
    said = VehicleReport(attempt, report_id, ReportPhase.FINISHED, ReportOutcome.FAILURE, code=code, message=message)
    reports.record_report(vehicle, said, can_prove=True, at=at)
