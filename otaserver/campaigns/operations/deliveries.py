"""What the server itself sees of a download, for clients that do not say where they are."""

from datetime import datetime

from django.db import transaction

from otaserver.campaigns.models import Assignment, Report
from otaserver.campaigns.operations import reports
from otaserver.campaigns.operations.told import Told, VehicleReport
from otaserver.campaigns.queries import VehicleOrder, order_numbered
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
    others = {f"{_SENT}{one}" for one in order.package_ids - {package}}
    is_all = others <= _sent(order) if others else True
    phase = ReportPhase.DOWNLOADED if is_all else ReportPhase.DOWNLOADING
    said = [_said(number, f"{_SENT}{package}", phase, "The package was sent whole.")]
    if is_all and order.delivery == Delivery.INSTALL:
        said.append(_said(number, _ALL_SENT, ReportPhase.INSTALLING, "Everything was sent; it may install."))
    for refusal in reports.record_reports([Told(vehicle, one, True, at) for one in said]):
        if refusal is not None:
            raise refusal


def _sent(order: VehicleOrder) -> set[str]:
    """Return what was written down of packages that were sent: nobody adds to it until this transaction ends."""
    # Of two that are sent at the same time the later one has to see that the other was.
    list(Assignment.objects.select_for_update(no_key=True).filter(attempts=order.attempt_id).values_list("pk"))
    kept = Report.objects.filter(attempt=order.attempt_id, report_id__startswith=_SENT)
    return set(kept.values_list("report_id", flat=True))


def _said(number: int, report_id: str, phase: ReportPhase, message: str) -> VehicleReport:
    return VehicleReport(number, report_id, phase, message=f"{BY_SERVER}{message}")
