"""What vehicles of protocols without manifests say that they run, and what it moves."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from django.db import transaction

from firmware_store.models import Package, Release
from otaserver.campaigns.errors import ReleaseUnknownError
from otaserver.campaigns.operations import concerned, evidence, reports
from otaserver.campaigns.queries import bundles
from otaserver.campaigns.rules import matching
from otaserver.campaigns.rules.reports import Claim, after_claim
from otaserver.campaigns.states import AssignmentState, ReportOutcome, ReportPhase
from otaserver.director import operations as director
from otaserver.fleet.models import Ecu, Vehicle

_SUCCESS = Claim(ReportPhase.FINISHED, ReportOutcome.SUCCESS, "")


@transaction.atomic(savepoint=False)
def record_assertion(vehicle: Vehicle, *, attempt: UUID | int, at: datetime) -> bool:
    """Take a vehicle's word that what this attempt ordered now runs; return whether that was believed.

    For protocols without manifests, after their success was stored by `record_report(…, can_prove=True)`: what runs is
    written down, marked as asserted, and moves the assignment as a proof does. Said late or again, after a failure, or
    of another attempt than the vehicle's latest, it moves nothing.

    Raises:
        AttemptNotFoundError: the vehicle has no such attempt.
    """
    locked = concerned.lock(vehicle)
    latest, assignment = locked.latest, locked.ordered
    if latest is None or assignment is None or attempt not in (latest.pk, latest.number):
        reports.attempt_of(vehicle, attempt)
        return False
    if after_claim(AssignmentState(assignment.state), _SUCCESS, can_prove=False).state is None:
        return False
    packages = dict(locked.contents.packages)
    packages |= Package.objects.in_bulk(set(latest.packages.values()) - packages.keys())
    installed = {serial: packages[pk] for serial, pk in latest.packages.items()}
    _write_down(vehicle, locked, list(vehicle.ecus.order_by("pk")), installed, at=at)
    return True


@transaction.atomic
def record_installed_release(vehicle: Vehicle, *, name: str, version: str, at: datetime) -> bool:
    """Take a vehicle's word that it runs this release of its tenant, whoever put it there; return whether it is new.

    Raises:
        ReleaseUnknownError: the tenant has no such release, or none of its packages fits the vehicle.
    """
    locked = concerned.lock(vehicle)
    ecus = list(vehicle.ecus.order_by("pk"))
    release = Release.objects.filter(tenant=vehicle.tenant_id, name=name[:80], version=version[:60]).first()
    computers = evidence.computers_of(ecus)
    view = bundles.release_view(release) if release is not None else None
    pairs = matching.packages_for(view.bundle.items, computers) if view is not None else []
    if view is None or not pairs:
        raise ReleaseUnknownError(f"There is no release {name[:80]} {version[:60]} that fits {vehicle}.")
    installed = {computer.serial: view.packages[item.package_id] for computer, item in pairs}
    return _write_down(vehicle, locked, ecus, installed, at=at)


def _write_down(
    vehicle: Vehicle,
    locked: concerned.Locked,
    ecus: Sequence[Ecu],
    installed: Mapping[str, Package],
    *,
    at: datetime,
) -> bool:
    is_new = director.assert_installed(vehicle, installed, ecus=ecus, at=at)
    # One word for the whole vehicle: what the others ran before, they are said to run still.
    serials = frozenset(ecu.serial for ecu in ecus)
    evidence.take_evidence(vehicle, locked, ecus, proved=serials, report=None, at=at)
    return is_new
