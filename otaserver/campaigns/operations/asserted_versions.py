"""The version that a vehicle without manifests reports, where its tenant reads one: evidence beside its word."""

from datetime import datetime

from django.db import transaction
from django.db.models import F, Q

from firmware_store.models import Package
from firmware_store.states import PackageState
from otaserver.campaigns.models import Attempt
from otaserver.campaigns.operations import assertions, reports
from otaserver.campaigns.operations.told import VehicleReport
from otaserver.campaigns.rules.failures import REVERTED
from otaserver.campaigns.states import AssignmentState, ReportOutcome, ReportPhase
from otaserver.director import operations as director
from otaserver.fleet.models import Ecu, Vehicle

_KNOWN = [PackageState.PUBLISHED, PackageState.WITHDRAWN]


@transaction.atomic
def record_version(vehicle: Vehicle, *, version: str, at: datetime) -> None:
    """Compare the version that a vehicle reports of its Primary with its latest order, and write down what runs.

    The ordered version is taken as the success that it is. Another one while it soaks is its failure. In either case
    it is written down, as asserted, where it is a package of the tenant that fits and goes by the same name.
    """
    primary = vehicle.ecus.filter(is_primary=True).first()
    attempt = Attempt.objects.filter(vehicle=vehicle, number=F("vehicle__last_attempt_number")).first()
    if primary is None:
        return
    ordered = _ordered(attempt, primary)
    if attempt is not None and ordered is not None and ordered.version == version:
        assertions.record_assertion(vehicle, attempt=attempt.pk, at=at)
        return
    if attempt is not None and ordered is not None and _soaks(attempt):
        said = VehicleReport(
            attempt.pk,
            f"version:{version}"[:64],
            ReportPhase.FINISHED,
            ReportOutcome.FAILURE,
            code=REVERTED,
            message=f"The vehicle reports version {version} where {ordered.version} was installed.",
        )
        reports.record_report(vehicle, said, can_prove=False, at=at)
    found = _known(vehicle, primary, ordered, version)
    if found is not None:
        director.assert_installed(vehicle, {primary.serial: found}, at=at)


def _ordered(attempt: Attempt | None, primary: Ecu) -> Package | None:
    pk = None if attempt is None else attempt.packages.get(primary.serial)
    return Package.objects.filter(pk=pk).first() if pk else None


def _soaks(attempt: Attempt) -> bool:
    return attempt.assignment.state == AssignmentState.SOAKING


def _known(vehicle: Vehicle, primary: Ecu, ordered: Package | None, version: str) -> Package | None:
    """Return the package that this version must be, or None: none is, or it cannot be told which."""
    names = {primary.installed_name, ordered.name if ordered is not None else ""} - {""}
    named = Q(name__in=names) if names else Q()
    rows = Package.objects.filter(named, tenant=vehicle.tenant_id, version=version, state__in=_KNOWN)
    fitting = [row for row in rows if primary.hardware_id in row.hardware_ids]
    return fitting[0] if len(fitting) == 1 else None
