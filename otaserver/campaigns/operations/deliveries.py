"""What the server itself sees of a download, for clients that do not say where they are."""

from datetime import datetime

from django.db import transaction

from otaserver.campaigns.operations import reports
from otaserver.campaigns.operations.told import VehicleReport
from otaserver.campaigns.queries import order_numbered
from otaserver.campaigns.rules.delivery import Delivery
from otaserver.campaigns.rules.reports import BY_SERVER
from otaserver.campaigns.states import ReportPhase
from otaserver.fleet.models import Vehicle

_SENT = "sent:"
_ALL_SENT = "sent all"


@transaction.atomic
def record_delivered(vehicle: Vehicle, *, number: int, package: int, at: datetime) -> None:
    """Note that the last byte of an order's package (by its id) was sent to the vehicle.

    With the last of its packages a client that may install begins to: some say nothing between the download and the
    end, and silence from here on is no vehicle that merely parks. One that may only download has downloaded.
    """
    order = order_numbered(vehicle, number, at=at)
    if not order.is_open:
        return
    sent = set(
        reports.attempt_of(vehicle, number)
        .reports.filter(report_id__startswith=_SENT)
        .values_list("report_id", flat=True)
    ) | {f"{_SENT}{package}"}
    is_all = {f"{_SENT}{one.id}" for one in order.packages} <= sent
    phase = ReportPhase.DOWNLOADED if is_all else ReportPhase.DOWNLOADING
    _note(vehicle, number, f"{_SENT}{package}", phase, "The package was sent whole.", at=at)
    if is_all and order.delivery == Delivery.INSTALL:
        _note(vehicle, number, _ALL_SENT, ReportPhase.INSTALLING, "Everything was sent; it may install.", at=at)


def _note(vehicle: Vehicle, number: int, report_id: str, phase: ReportPhase, message: str, *, at: datetime) -> None:
    said = VehicleReport(number, report_id, phase, message=f"{BY_SERVER}{message}")
    reports.record_report(vehicle, said, can_prove=True, at=at)
