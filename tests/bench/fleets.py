"""Large fleets, written in bulk."""

from collections.abc import Sequence

from firmware_store.models import Release
from otaserver.fleet.models import Ecu, Group, Vehicle
from otaserver.tenants.models import Tenant
from tests.factories import NOON, make_group

BATCH_SIZE = 5000


def make_vehicles(tenant: Tenant, count: int) -> list[Vehicle]:
    rows = [
        Vehicle(tenant=tenant, vehicle_id=f"VIN{number:08}", created_at=NOON, enrolled_at=NOON, confirmed_at=NOON)
        for number in range(count)
    ]
    return Vehicle.objects.bulk_create(rows, batch_size=BATCH_SIZE)


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
    return make_group(tenant, *vehicles)


def spread(vehicles: Sequence[Vehicle], count: int) -> list[Vehicle]:
    """Return so many of the vehicles, from all over the fleet."""
    return list(vehicles[:: len(vehicles) // count][:count])
