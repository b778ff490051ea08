"""What vehicles without manifests say of an order, taken as far as it can be."""

from dataclasses import replace
from datetime import datetime

from django.db import transaction

from otaserver.campaigns.operations import assertions, concerned, report_batches, reports
from otaserver.campaigns.operations.told import Told, VehicleReport
from otaserver.campaigns.queries import order_numbered
from otaserver.campaigns.rules.delivery import Delivery
from otaserver.campaigns.rules.failures import DOWNLOAD_FAILED
from otaserver.campaigns.states import ReportOutcome, ReportPhase
from otaserver.fleet import queries as fleet
from otaserver.fleet.models import Vehicle


def record_word(vehicle: Vehicle, report: VehicleReport, *, at: datetime) -> None:
    """Store what a vehicle says of an order (by its number), and take a success for what its tenant lets it be.

    Where the tenant reads the version from an attribute, success alone moves nothing: the vehicle is asked for its
    attributes, and the version in them decides. A failure while the order is being taken back, before the vehicle had
    all of it, is of the server's own making: it was refused the rest.

    Raises:
        AttemptNotFoundError, TooManyReportsError: as in `record_report`.
    """
    if report.phase != ReportPhase.FINISHED:
        report_batches.record_alone(Told(vehicle, report, True, at))
        return
    _record_end(vehicle, report, at=at)


@transaction.atomic
def _record_end(vehicle: Vehicle, report: VehicleReport, *, at: datetime) -> None:
    if report.outcome == ReportOutcome.FAILURE:
        order = order_numbered(vehicle, int(report.attempt), at=at)
        if order.is_open and order.delivery == Delivery.WITHDRAW:
            report = replace(report, code=DOWNLOAD_FAILED)
    if report.outcome == ReportOutcome.SUCCESS:
        # All that the assertion below may move, in one order with whoever else locks them.
        concerned.hold(vehicle, number=int(report.attempt))
    reports.record_report(vehicle, report, can_prove=True, at=at)
    if report.outcome == ReportOutcome.SUCCESS and not fleet.ddi_settings(vehicle.tenant).version_attribute:
        assertions.record_assertion(vehicle, attempt=report.attempt, at=at)
