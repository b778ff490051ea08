"""Vehicles of protocols in which ECUs hold no keys: known by whoever vouches for them, not by enrolment."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from otaserver.fleet import rules
from otaserver.fleet.errors import EcuSerialTakenError, VehicleOtherProtocolError
from otaserver.fleet.models import Ecu, Vehicle
from otaserver.fleet.operations.configurations import refresh_configuration
from otaserver.fleet.operations.vehicles import refuse_decommissioned
from otaserver.fleet.rules import EcuDeclaration
from otaserver.fleet.states import Protocol
from otaserver.tenants.models import Tenant


@dataclass(frozen=True)
class KeylessEcu:
    """One computer of such a vehicle; the first of a list is the Primary."""

    serial: str
    hardware_id: str


@transaction.atomic
def declare_vehicle(
    tenant: Tenant, vehicle_id: str, *, protocol: Protocol, ecus: Sequence[KeylessEcu], at: datetime
) -> Vehicle:
    """Make known a vehicle without keys, or change which ECUs it has; repeating changes nothing.

    It counts as enrolled from now on, and with other ECUs as enrolled again: an order that stands is taken back, and
    the vehicle judged anew. An ECU that keeps its serial and hardware id keeps what it is said to run.

    Raises:
        VehicleIdRefusedError, EcusRefusedError: a malformed part.
        EcuSerialTakenError: another vehicle of the tenant has an ECU with one of these serials.
        VehicleOtherProtocolError: it has enrolled by another protocol.
        VehicleDecommissionedError: it has ended.
    """
    rules.check_vehicle_id(vehicle_id)
    rules.check_ecus([EcuDeclaration(ecu.serial, ecu.hardware_id, n == 0, {}) for n, ecu in enumerate(ecus)])
    # One at a time in a tenant, as enrolments are: only so can no two vehicles take one serial in the same moment.
    tenant = Tenant.objects.select_for_update(no_key=True).get(pk=tenant.pk)
    vehicle, _ = Vehicle.objects.select_related("tenant").get_or_create(
        tenant=tenant, vehicle_id=vehicle_id, defaults={"created_at": at, "protocol": protocol}
    )
    refuse_decommissioned(vehicle)
    if vehicle.enrolled_at is not None and vehicle.protocol != protocol:
        raise VehicleOtherProtocolError(
            f"{vehicle} speaks {vehicle.get_protocol_display()}, not {protocol.label}.", vehicle_id=vehicle_id
        )
    is_new = vehicle.enrolled_at is None
    if not _has(vehicle, ecus):
        is_new = True
        _refuse_taken(vehicle, ecus)
        # Before its ECUs, as whoever writes down what they run: offers, too, count on the ECUs of a locked vehicle.
        Vehicle.objects.select_for_update(no_key=True).values_list("pk").get(pk=vehicle.pk)
        _replace(vehicle, ecus)
        refresh_configuration(vehicle)
    if is_new:
        changes = {"enrolled_at": at, "protocol": protocol, "is_manifest_wanted": True}
        Vehicle.objects.filter(pk=vehicle.pk).update(**changes)
        for field, value in changes.items():
            setattr(vehicle, field, value)
    return vehicle


def _has(vehicle: Vehicle, ecus: Sequence[KeylessEcu]) -> bool:
    held = vehicle.ecus.order_by("-is_primary", "pk").values_list("serial", "hardware_id")
    return list(held) == [(ecu.serial, ecu.hardware_id) for ecu in ecus]


def _refuse_taken(vehicle: Vehicle, ecus: Sequence[KeylessEcu]) -> None:
    others = Ecu.objects.filter(serial__in=[ecu.serial for ecu in ecus], vehicle__tenant_id=vehicle.tenant_id)
    taken = sorted(others.exclude(vehicle=vehicle).values_list("serial", flat=True))
    if taken:
        raise EcuSerialTakenError(f"Another vehicle has the ECU {' and '.join(taken)} already.", serials=taken)


def _replace(vehicle: Vehicle, ecus: Sequence[KeylessEcu]) -> None:
    kept = {(row.serial, row.hardware_id): row for row in vehicle.ecus.all()}
    vehicle.ecus.all().delete()
    for number, ecu in enumerate(ecus):
        row = kept.get((ecu.serial, ecu.hardware_id)) or Ecu(serial=ecu.serial, hardware_id=ecu.hardware_id)
        row.pk, row.vehicle, row.is_primary = None, vehicle, number == 0
        row.save(force_insert=True)
