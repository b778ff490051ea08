"""Large fleets, written in bulk."""

import hashlib
from collections.abc import Sequence
from datetime import timedelta

from django.db import connection

from firmware_store.models import Package, Release
from otaserver import clock
from otaserver.fleet.models import Credential, Ecu, Group, Membership, Vehicle
from otaserver.fleet.operations import refresh_configurations
from otaserver.fleet.states import CredentialKind
from otaserver.tenants.models import Tenant
from tests.factories import NOON, make_group

BATCH_SIZE = 5000


def make_vehicles(tenant: Tenant, count: int) -> list[Vehicle]:
    rows = [
        Vehicle(tenant=tenant, vehicle_id=f"VIN{number:08}", created_at=NOON, enrolled_at=NOON, confirmed_at=NOON)
        for number in range(count)
    ]
    return Vehicle.objects.bulk_create(rows, batch_size=BATCH_SIZE)


def make_numbered_vehicles(tenant: Tenant, count: int) -> int:
    """Vehicles and nothing else, written by the database itself; return the first one's number. They follow on it."""
    (pattern,) = make_vehicles(tenant, 1)
    _copy(pattern, count)
    return pattern.pk + 1


def token_of(number: int) -> str:
    """Return the token of the vehicle whose row has this number."""
    return f"otav_{hashlib.sha256(str(number).encode()).hexdigest()[:43]}"


def give_token(vehicle: Vehicle) -> Credential:
    credential = credential_of(vehicle)
    credential.save()
    return credential


def credential_of(vehicle: Vehicle) -> Credential:
    """Return a row, not stored yet, that lets a vehicle in by its token."""
    now = clock.now()
    return Credential(
        vehicle=vehicle,
        kind=CredentialKind.TOKEN,
        fingerprint=hashlib.sha256(token_of(vehicle.pk).encode()).hexdigest(),
        created_at=now,
        expires_at=now + timedelta(days=365),
    )


def make_fleet(tenant: Tenant, count: int, installed: Release) -> Group:
    """A group of vehicles with one ECU for each package of the release, all of which run it."""
    vehicles = make_vehicles(tenant, count)
    packages = [item.package for item in installed.items.select_related("package")]
    ecus = [
        Ecu(
            vehicle=vehicle,
            serial=f"{vehicle.vehicle_id}-{index}",
            hardware_id=package.hardware_ids[0],
            is_primary=index == 0,
            keyid=f"{vehicle.pk:032x}{index:032x}",
            public_key={},
            installed_target=package.target_name,
            installed_sha256=package.sha256,
            installed_length=package.length,
        )
        for vehicle in vehicles
        for index, package in enumerate(packages)
    ]
    Ecu.objects.bulk_create(ecus, batch_size=BATCH_SIZE)
    refresh_configurations(Vehicle.objects.of(tenant))
    return make_group(tenant, *vehicles)


def make_large_fleet(tenant: Tenant, count: int, installed: Release) -> Group:
    """The same, written by the database itself: a million vehicles in a minute. Enrolled long ago."""
    packages = [item.package for item in installed.items.select_related("package")]
    (pattern,) = make_vehicles(tenant, 1)
    group = make_group(tenant, pattern)
    _write_ecus(tenant, packages)
    refresh_configurations(Vehicle.objects.of(tenant))
    _copy(pattern, count - 1)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {Membership._meta.db_table} (group_id, vehicle_id) SELECT %s, id"
            f" FROM {Vehicle._meta.db_table} WHERE tenant_id = %s AND id <> %s",
            [group.pk, tenant.pk, pattern.pk],
        )
    Vehicle.objects.of(tenant).update(enrolled_at=NOON - timedelta(days=100))
    _write_ecus(tenant, packages)
    return group


def _copy(pattern: Vehicle, count: int) -> None:
    """Write so many vehicles like this one, under names of their own."""
    columns = [field.column for field in Vehicle._meta.concrete_fields if not field.primary_key and not field.generated]
    copied = ", ".join("'BULK' || n" if column == "vehicle_id" else f"v.{column}" for column in columns)
    table = Vehicle._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({', '.join(columns)})"
            " WITH RECURSIVE numbers (n) AS (SELECT CAST(1 AS bigint) UNION ALL SELECT n + 1 FROM numbers WHERE n < %s)"
            f" SELECT {copied} FROM numbers, {table} v WHERE v.id = %s",
            [count, pattern.pk],
        )


def _write_ecus(tenant: Tenant, packages: Sequence[Package]) -> None:
    """Give the vehicles that have none one ECU for each package."""
    statement = (
        f"INSERT INTO {Ecu._meta.db_table} (vehicle_id, serial, hardware_id, is_primary, keyid, public_key,"
        " report_counter, installed_target, installed_sha256, installed_length, installed_name, installed_version,"
        " is_asserted)"
        " SELECT v.id, 'E' || v.id || '-' || %s, %s, %s, 'K' || v.id || '-' || %s, '{}', 0, %s, %s, %s, %s, %s, false"
        f" FROM {Vehicle._meta.db_table} v WHERE v.tenant_id = %s AND NOT EXISTS"
        f" (SELECT 1 FROM {Ecu._meta.db_table} e WHERE e.vehicle_id = v.id AND e.hardware_id = %s)"
    )
    with connection.cursor() as cursor:
        for index, package in enumerate(packages):
            hardware = package.hardware_ids[0]
            shown = [str(index), hardware, index == 0, str(index), package.target_name, package.sha256, package.length]
            cursor.execute(statement, [*shown, package.name, package.version, tenant.pk, hardware])


def spread(vehicles: Sequence[Vehicle], count: int) -> list[Vehicle]:
    """Return so many of the vehicles, from all over the fleet."""
    return list(vehicles[:: len(vehicles) // count][:count])
