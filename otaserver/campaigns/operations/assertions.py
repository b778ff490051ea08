"""What vehicles of protocols without manifests say that they run, and what it moves."""

from datetime import datetime
from uuid import UUID

from django.db import transaction

from firmware_store.models import Package, Release
from otaserver.campaigns.errors import ReleaseUnknownError
from otaserver.campaigns.operations import evidence, reports
from otaserver.campaigns.queries import bundles
from otaserver.campaigns.rules import matching
from otaserver.campaigns.rules.matching import Computer
from otaserver.campaigns.rules.reports import Claim, after_claim
from otaserver.campaigns.states import AssignmentState, ReportOutcome, ReportPhase
from otaserver.director import operations as director
from otaserver.fleet.models import Vehicle

_SUCCESS = Claim(ReportPhase.FINISHED, ReportOutcome.SUCCESS, "")


@transaction.atomic
def record_assertion(vehicle: Vehicle, *, attempt: UUID | int, at: datetime) -> bool:
    """Take a vehicle's word that what this attempt ordered now runs; return whether that was believed.

    For protocols without manifests, after their success was stored by `record_report(…, can_prove=True)`: what runs is
    written down, marked as asserted, and moves the assignment as a proof does. Said late or again, after a failure, or
    of another attempt than the vehicle's latest, it moves nothing.

    Raises:
        AttemptNotFoundError: the vehicle has no such attempt.
    """
    found = reports.attempt_of(vehicle, attempt)
    assignment = reports.locked(found.assignment_id)
    if not reports.is_latest(assignment, found):
        return False
    if after_claim(AssignmentState(assignment.state), _SUCCESS, can_prove=False).state is None:
        return False
    packages = Package.objects.in_bulk(found.packages.values())
    installed = {serial: packages[pk] for serial, pk in found.packages.items()}
    _write_down(vehicle, installed, at=at)
    return True


@transaction.atomic
def record_installed_release(vehicle: Vehicle, *, name: str, version: str, at: datetime) -> bool:
    """Take a vehicle's word that it runs this release of its tenant, whoever put it there; return whether it is new.

    Raises:
        ReleaseUnknownError: the tenant has no such release, or none of its packages fits the vehicle.
    """
    release = Release.objects.filter(tenant=vehicle.tenant_id, name=name[:80], version=version[:60]).first()
    ecus = vehicle.ecus.values_list("serial", "hardware_id", "installed_sha256")
    computers = [Computer(serial, hardware_id, sha256) for serial, hardware_id, sha256 in ecus]
    view = bundles.release_view(release) if release is not None else None
    pairs = matching.packages_for(view.bundle.items, computers) if view is not None else []
    if view is None or not pairs:
        raise ReleaseUnknownError(f"There is no release {name[:80]} {version[:60]} that fits {vehicle}.")
    installed = {computer.serial: view.packages[item.package_id] for computer, item in pairs}
    return _write_down(vehicle, installed, at=at)


def _write_down(vehicle: Vehicle, installed: dict[str, Package], *, at: datetime) -> bool:
    is_new = director.assert_installed(vehicle, installed, at=at)
    serials = frozenset(vehicle.ecus.values_list("serial", flat=True))
    # One word for the whole vehicle: what the others ran before, they are said to run still.
    evidence.record_evidence(vehicle, proved=serials, report=None, at=at)
    return is_new
