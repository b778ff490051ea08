from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q

from otaserver.audit import operations as audit
from otaserver.fleet import rules
from otaserver.fleet.errors import ReasonMissingError, VehicleBlockedError, VehicleNotBlockedError
from otaserver.fleet.models import Vehicle
from otaserver.tenants.models import Tenant

# A contact time to the minute tells enough and spares a write per poll.
CONTACT_RESOLUTION = timedelta(minutes=1)
_BATCH = 2000


@transaction.atomic
def create_vehicles(tenant: Tenant, vehicle_ids: Sequence[str], *, at: datetime) -> int:
    """Make these vehicles known before they enrol, and return how many were new. Repeating changes nothing.

    Raises:
        VehicleIdRefusedError: no vehicle can have one of these ids; none is created.
    """
    for vehicle_id in vehicle_ids:
        rules.check_vehicle_id(vehicle_id)
    before = Vehicle.objects.of(tenant).count()
    Vehicle.objects.bulk_create(
        (Vehicle(tenant=tenant, vehicle_id=vehicle_id, created_at=at) for vehicle_id in vehicle_ids),
        batch_size=_BATCH,
        ignore_conflicts=True,
    )
    return Vehicle.objects.of(tenant).count() - before


def record_contact(vehicle: Vehicle, *, at: datetime) -> None:
    """Note that a vehicle has called; writes at most once a minute, and never a time before the last."""
    if vehicle.last_contact_at is not None and at - vehicle.last_contact_at < CONTACT_RESOLUTION:
        return
    due = Q(last_contact_at=None) | Q(last_contact_at__lte=at - CONTACT_RESOLUTION)
    if Vehicle.objects.filter(due, pk=vehicle.pk).update(last_contact_at=at):
        vehicle.last_contact_at = at


def record_client(vehicle: Vehicle, client: str) -> None:
    """Note what a vehicle's client calls itself; writes only where that is new."""
    named = "".join(letter for letter in client if letter.isprintable())[:100]
    if vehicle.client != named:
        Vehicle.objects.filter(pk=vehicle.pk).update(client=named)
        vehicle.client = named


@transaction.atomic
def block_vehicle(vehicle: Vehicle, *, reason: str, by: str, at: datetime) -> None:
    """Offer a vehicle nothing more until it is unblocked; it is still answered.

    Raises:
        ReasonMissingError: no reason given.
        VehicleBlockedError: it is blocked already.
    """
    _require(reason)
    if not Vehicle.objects.filter(pk=vehicle.pk, blocked_at=None).update(blocked_at=at, blocked_reason=reason):
        raise VehicleBlockedError(f"Vehicle {vehicle} is blocked already.", vehicle_id=vehicle.vehicle_id)
    vehicle.blocked_at, vehicle.blocked_reason = at, reason
    audit.record("vehicle.blocked", vehicle, tenant=vehicle.tenant, by=by, at=at, reason=reason)


@transaction.atomic
def unblock_vehicle(vehicle: Vehicle, *, reason: str, by: str, at: datetime) -> None:
    """Let a blocked vehicle be offered releases again.

    Raises:
        ReasonMissingError: no reason given.
        VehicleNotBlockedError: it is not blocked.
    """
    _require(reason)
    blocked = Vehicle.objects.filter(pk=vehicle.pk, blocked_at__isnull=False)
    if not blocked.update(blocked_at=None, blocked_reason=""):
        raise VehicleNotBlockedError(f"Vehicle {vehicle} is not blocked.", vehicle_id=vehicle.vehicle_id)
    vehicle.blocked_at, vehicle.blocked_reason = None, ""
    audit.record("vehicle.unblocked", vehicle, tenant=vehicle.tenant, by=by, at=at, reason=reason)


@transaction.atomic
def mark_test_bench(vehicle: Vehicle, *, is_test_bench: bool, reason: str, by: str, at: datetime) -> None:
    """Mark a vehicle as standing on a test bench, or no longer: there a release may be ordered for it alone.

    Raises:
        ReasonMissingError: no reason given.
    """
    _require(reason)
    Vehicle.objects.filter(pk=vehicle.pk).update(is_test_bench=is_test_bench)
    vehicle.is_test_bench = is_test_bench
    action = "vehicle.test_bench_marked" if is_test_bench else "vehicle.test_bench_unmarked"
    audit.record(action, vehicle, tenant=vehicle.tenant, by=by, at=at, reason=reason)


def _require(reason: str) -> None:
    if not reason.strip():
        raise ReasonMissingError("Blocking or unblocking a vehicle, or marking it, needs a reason.")


@transaction.atomic
def set_time_zone(vehicles: Sequence[Vehicle], time_zone: str, *, by: str, at: datetime) -> int:
    """Say in which time zone (IANA) vehicles of one tenant are, and return for how many that is new.

    Raises:
        TimeZoneUnknownError: there is no such zone; none is changed.
    """
    rules.check_time_zone(time_zone)
    others = [vehicle for vehicle in vehicles if vehicle.time_zone != time_zone]
    for start in range(0, len(others), _BATCH):
        chunk = [vehicle.pk for vehicle in others[start : start + _BATCH]]
        Vehicle.objects.filter(pk__in=chunk).update(time_zone=time_zone)
    for vehicle in others:
        vehicle.time_zone = time_zone
    if others:
        subject = str(others[0]) if len(others) == 1 else f"{len(others)} vehicles"
        ids = sorted(vehicle.vehicle_id for vehicle in others)
        tenant = others[0].tenant
        audit.record(
            "vehicle.time_zone_set", subject, tenant=tenant, by=by, at=at, time_zone=time_zone, vehicle_ids=ids
        )
    return len(others)
