"""What a vehicle says that it runs, each time it asks for work: its word, compared each time."""

from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F, OuterRef, Q, Subquery

from firmware_store.models import Package
from firmware_store.states import PackageState
from otaserver.campaigns.models import Assignment, Attempt
from otaserver.campaigns.operations import concerned, evidence, reports
from otaserver.campaigns.operations.told import VehicleReport
from otaserver.campaigns.queries import VehicleOrder
from otaserver.campaigns.queries.artifacts import artifact_in, artifact_of
from otaserver.campaigns.rules import artifacts
from otaserver.campaigns.rules.failures import REVERT_FAILED
from otaserver.campaigns.states import AssignmentState, ReportOutcome, ReportPhase
from otaserver.director import operations as director
from otaserver.fleet import operations as fleet
from otaserver.fleet.models import Ecu, Vehicle

# What is said again and again is written down as said again so often.
CONFIRMED_AGAIN_AFTER = timedelta(hours=1)
MAX_NAME_LENGTH = 255


def record_claim(
    vehicle: Vehicle,
    artifact: str,
    *,
    hardware_id: str,
    order: VehicleOrder | None,
    is_broken: bool = False,
    at: datetime,
) -> bool:
    """Take a vehicle's word of what its one ECU is, and which artifact runs on it, by name, and move what that moves.

    Return whether it said nothing that was not known. `order` is the one that stands at the vehicle, as just read.

    `is_broken`: it says that it could not go back to what ran before, and does not know what it runs.

    A standing order for just that has succeeded with it; a soak during which it says another has failed. Saying the
    same again writes at most once an hour. A vehicle that names no artifact is not believed.

    Raises:
        EcusRefusedError, EcuSerialTakenError: as in `fleet.declare_hardware`.
    """
    ecus = _ecus(vehicle)
    is_declared = [ecu.hardware_id for ecu in ecus] == [hardware_id]
    if not is_declared:
        # A transaction of its own: it locks the tenant and the vehicle, whose place is after the assignments'.
        fleet.declare_hardware(vehicle, hardware_id, at=at)
        ecus = _ecus(vehicle)
    if not ecus or not artifact:
        return is_declared
    ecu = ecus[0]
    if is_declared and _says(ecu) == artifact[:MAX_NAME_LENGTH] and not _is_ordered(order, ecu, artifact):
        _confirm_again(vehicle, at=at)
        return True
    _take(vehicle, ecu, artifact, is_broken=is_broken, at=at)
    return False


def unheard_until(vehicle: Vehicle, *, at: datetime) -> datetime:
    """Return until when it would write nothing that the vehicle says the same once more."""
    return (vehicle.confirmed_at or at) + CONFIRMED_AGAIN_AFTER


@transaction.atomic
def _take(vehicle: Vehicle, ecu: Ecu, artifact: str, *, is_broken: bool, at: datetime) -> None:
    """Write down that this artifact runs, and move what that moves."""
    locked = concerned.lock(vehicle)
    package = _ordered(vehicle, ecu, artifact) or _package(vehicle, ecu, artifact)
    if package is not None:
        director.assert_installed(vehicle, {ecu.serial: package}, at=at)
    else:
        director.assert_unknown(vehicle, ecu.serial, artifact[:MAX_NAME_LENGTH], at=at)
    ecus, proved = list(vehicle.ecus.all()), frozenset({ecu.serial})
    evidence.take_evidence(vehicle, locked, ecus, proved=proved, report=None, at=at)
    if is_broken:
        _fail_for_good(vehicle, artifact, at=at)


def _ecus(vehicle: Vehicle) -> list[Any]:
    """Return the vehicle's ECUs, the one that it speaks of first, each with what was read in the file that it runs."""
    installed = Package.objects.filter(tenant=vehicle.tenant_id, target_name=OuterRef("installed_target"))
    newest = installed.order_by("-pk").values("contents")[:1]
    return list(vehicle.ecus.annotate(installed_contents=Subquery(newest)).order_by("-is_primary", "pk"))


def _says(ecu: Any) -> str:
    """Return the name of the artifact that the ECU was last said to run."""
    if not ecu.installed_name:
        return str(ecu.installed_target)
    return artifact_in(ecu.installed_contents, ecu.installed_name, ecu.installed_version)


def _is_ordered(order: VehicleOrder | None, ecu: Ecu, artifact: str) -> bool:
    """Return whether an order is for this artifact on this ECU."""
    packages = order.packages if order is not None else []
    return any(artifact == one.artifact and ecu.serial in dict(one.ecus) for one in packages)


def _ordered(vehicle: Vehicle, ecu: Ecu, artifact: str) -> Package | None:
    """Return the package of the order that stands at the vehicle, if it is this artifact."""
    attempt = Attempt.objects.filter(vehicle=vehicle, number=F("vehicle__last_attempt_number"), closed_at=None).first()
    found = attempt and Package.objects.filter(pk=attempt.packages.get(ecu.serial)).first()
    return found if found and artifact_of(found) == artifact else None


def _package(vehicle: Vehicle, ecu: Ecu, artifact: str) -> Package | None:
    named = Q(contents__details__artifact_name=artifact)
    for name, version in artifacts.possible_packages(artifact):
        named |= Q(name=name, version=version)
    rows = Package.objects.filter(named, tenant=vehicle.tenant_id).exclude(
        state__in=[PackageState.UPLOADING, PackageState.VERIFYING, PackageState.REFUSED]
    )
    found = (one for one in rows.order_by("-pk") if artifact_of(one) == artifact)
    return next((one for one in found if ecu.hardware_id in one.hardware_ids), None)


def _fail_for_good(vehicle: Vehicle, artifact: str, *, at: datetime) -> None:
    """Let the last attempt have failed in a way that needs hands, also where it has failed or ended before."""
    latest = Attempt.objects.filter(vehicle=vehicle, number=F("vehicle__last_attempt_number")).first()
    if latest is None:
        return
    said = VehicleReport(
        latest.pk,
        f"broken:{latest.number}",
        ReportPhase.FINISHED,
        ReportOutcome.FAILURE,
        code=REVERT_FAILED,
        message=f"It says that it runs {artifact}.",
    )
    reports.record_report(vehicle, said, can_prove=True, at=at)
    failed = Assignment.objects.filter(pk=latest.assignment_id, state=AssignmentState.FAILED)
    failed.update(code=said.code, message=said.message, settled_at=at)


def _confirm_again(vehicle: Vehicle, *, at: datetime) -> None:
    due = Q(confirmed_at=None) | Q(confirmed_at__lte=at - CONFIRMED_AGAIN_AFTER)
    Vehicle.objects.filter(due, pk=vehicle.pk).update(confirmed_at=at)
