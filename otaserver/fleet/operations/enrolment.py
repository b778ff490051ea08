from collections.abc import Mapping
from datetime import datetime

from django.db import transaction

from otaserver.audit import operations as audit
from otaserver.fleet import rules
from otaserver.fleet.credentials import keys
from otaserver.fleet.errors import EcuKeyRefusedError, EcuSerialTakenError
from otaserver.fleet.models import Ecu, Vehicle
from otaserver.fleet.operations import claims, identity
from otaserver.fleet.operations.configurations import refresh_configuration
from otaserver.fleet.operations.vehicles import refuse_decommissioned
from otaserver.fleet.rules import EcuDeclaration, EnrolmentRequest
from otaserver.tenants.models import Tenant

# What an ECU has proved stays with it through a re-enrolment, as long as its key does.
_PROVED = (
    "report_counter",
    "installed_target",
    "installed_sha256",
    "installed_length",
    "installed_at",
    "installed_name",
    "installed_version",
    "is_asserted",
)


def enrol(tenant: Tenant, request: EnrolmentRequest, *, address: str, at: datetime) -> identity.Enrolment:
    """Make known the vehicle that a claim code is for, and give it its credentials.

    The code is used up only if all of it succeeds, and serves once more for the very same ECUs and keys as long as no
    credential that was answered has been seen: the answer may have been lost on its way to a factory's vehicle. A
    vehicle that was enrolled before has its ECUs replaced and its old credentials revoked; an ECU with the same serial
    and key keeps its report counter, so that its old reports cannot be replayed. Do not call it inside another
    transaction: wrong codes are counted although it raises.

    Raises:
        ClaimRateLimitedError, ClaimInvalidError, ClaimUsedError: no right to enrol.
        VehicleIdRefusedError, EcusRefusedError, EcuKeyRefusedError, CertificateRequestRefusedError: a malformed part.
        EcuSerialTakenError: another vehicle of the tenant has an ECU with one of these serials.
        VehicleDecommissionedError: the vehicle has ended.
    """
    claim = claims.find_claim(tenant, request.vehicle_id, request.claim_code, address=address, at=at)
    rules.check_vehicle_id(request.vehicle_id)
    rules.check_ecus(request.ecus)
    keyids = keyids_of(request.ecus)
    identity.check_certificate_request(request.certificate_request)
    with transaction.atomic():
        # One enrolment of a tenant at a time: only so can no two vehicles take one serial in the same moment.
        Tenant.objects.select_for_update(no_key=True).get(pk=tenant.pk)
        vehicle = locked_vehicle(tenant, request.vehicle_id, at=at)
        is_same = declares_what_it_has(vehicle, request.ecus, keyids)
        claims.use_claim(claim, unanswered=identity.unanswered_since(vehicle, at=at) if is_same else None, at=at)
        was_enrolled = vehicle.enrolled_at is not None
        replace_ecus(vehicle, request.ecus, keyids)
        revoked = identity.end_credentials(vehicle, at=at)
        refresh_configuration(vehicle)
        mark_enrolled(vehicle, request.protocol, at=at)
        enrolment = identity.issue_credentials(vehicle, certificate_request=request.certificate_request, at=at)
        if was_enrolled:
            audit.record(
                "vehicle.enrolled_again",
                vehicle,
                tenant=tenant,
                by=rules.VEHICLE,
                at=at,
                ecus=sorted(keyids),
                revoked_credentials=revoked,
                address=address[:100],
            )
    return enrolment


def locked_vehicle(tenant: Tenant, vehicle_id: str, *, at: datetime) -> Vehicle:
    """Return the vehicle of that id, made if it is new, locked in the caller's transaction.

    Raises:
        VehicleDecommissionedError: it has ended.
    """
    Vehicle.objects.get_or_create(tenant=tenant, vehicle_id=vehicle_id, defaults={"created_at": at})
    # Locked, none of its credentials is renewed meanwhile, which would outlive the end of the old ones.
    locked = Vehicle.objects.select_for_update(no_key=True, of=("self",)).select_related("tenant")
    vehicle = locked.get(tenant=tenant, vehicle_id=vehicle_id)
    refuse_decommissioned(vehicle)
    return vehicle


def declares_what_it_has(vehicle: Vehicle, ecus: tuple[EcuDeclaration, ...], keyids: Mapping[str, str]) -> bool:
    """Return whether these are the ECUs, in the places and with the keys, that the vehicle has already."""
    held = vehicle.ecus.values_list("serial", "hardware_id", "is_primary", "keyid")
    return set(held) == {(ecu.serial, ecu.hardware_id, ecu.is_primary, keyids[ecu.serial]) for ecu in ecus}


def keyids_of(ecus: tuple[EcuDeclaration, ...]) -> dict[str, str]:
    """Return the key id of each ECU by its serial, or raise EcuKeyRefusedError or EcusRefusedError."""
    for ecu in ecus:
        problem = keys.key_problem(ecu.public_key)
        if problem:
            raise EcuKeyRefusedError(f"The key of ECU {ecu.serial} is refused. {problem}", serial=ecu.serial)
    keyids = {ecu.serial: keys.keyid_of(ecu.public_key) for ecu in ecus}
    rules.check_distinct_keys(keyids)
    return keyids


def _refuse_taken_serials(vehicle: Vehicle, ecus: tuple[EcuDeclaration, ...]) -> None:
    others = Ecu.objects.filter(serial__in=[ecu.serial for ecu in ecus], vehicle__tenant_id=vehicle.tenant_id).exclude(
        vehicle=vehicle
    )
    taken = sorted(others.values_list("serial", flat=True))
    if taken:
        raise EcuSerialTakenError(f"Another vehicle has the ECU {' and '.join(taken)} already.", serials=taken)


def replace_ecus(vehicle: Vehicle, ecus: tuple[EcuDeclaration, ...], keyids: Mapping[str, str]) -> None:
    """Give a vehicle these ECUs, in the caller's transaction, which holds its tenant; what was proved stays.

    Raises:
        EcuSerialTakenError: another vehicle of the tenant has an ECU with one of these serials.
    """
    _refuse_taken_serials(vehicle, ecus)
    proved = {(ecu.serial, ecu.keyid): {name: getattr(ecu, name) for name in _PROVED} for ecu in vehicle.ecus.all()}
    vehicle.ecus.all().delete()
    Ecu.objects.bulk_create(
        Ecu(
            vehicle=vehicle,
            serial=ecu.serial,
            hardware_id=ecu.hardware_id,
            is_primary=ecu.is_primary,
            keyid=keyids[ecu.serial],
            public_key=dict(ecu.public_key),
            **proved.get((ecu.serial, keyids[ecu.serial]), {}),
        )
        for ecu in ecus
    )


def mark_enrolled(vehicle: Vehicle, protocol: str, *, at: datetime) -> None:
    """Note that the vehicle's ECUs are others than before: orders for what it had are made anew by the next tick."""
    # What the ECUs run together is unproved until the first manifest of this enrolment.
    changes = {"enrolled_at": at, "confirmed_at": None, "is_manifest_wanted": True, "protocol": protocol}
    Vehicle.objects.filter(pk=vehicle.pk).update(**changes)
    for field, value in changes.items():
        setattr(vehicle, field, value)
