"""Plain factories: each makes a row with sensible values, and takes the ones that a test is about."""

from datetime import UTC, datetime
from itertools import count
from typing import Any

from firmware_store.models import Package, Release, ReleaseItem
from firmware_store.states import PackageState
from otaserver.fleet.models import Ecu, Group, Membership, Vehicle
from otaserver.fleet.operations import refresh_configuration
from otaserver.fleet.states import GroupKind
from otaserver.tenants.models import Tenant

NOON = datetime(2026, 6, 1, 12, 0, 0, tzinfo=UTC)
_numbers = count(1)


def make_tenant(name: str | None = None, **fields: Any) -> Tenant:
    """A tenant in which one person may do everything; tests about approval say how many it needs."""
    values = {"required_approvals": 0} | fields
    return Tenant.objects.create(name=name or f"tenant-{next(_numbers)}", created_at=NOON, **values)


def make_vehicle(
    tenant: Tenant | None = None,
    vehicle_id: str | None = None,
    *,
    hardware: tuple[str, ...] = ("gateway",),
    **fields: Any,
) -> Vehicle:
    """A vehicle with one ECU per hardware id; the first is the Primary. Keys are well-formed but nobody holds them."""
    number = next(_numbers)
    vehicle = Vehicle.objects.create(
        tenant=tenant or make_tenant(),
        vehicle_id=vehicle_id or f"VIN{number:06}",
        created_at=NOON,
        enrolled_at=NOON,
        **fields,
    )
    publics = [f"{number:032x}{index:032x}" for index in range(len(hardware))]
    Ecu.objects.bulk_create(
        Ecu(
            vehicle=vehicle,
            serial=f"{vehicle.vehicle_id}-{index}",
            hardware_id=hardware_id,
            is_primary=index == 0,
            keyid=public,
            public_key={"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": public}},
        )
        for index, (hardware_id, public) in enumerate(zip(hardware, publics, strict=True))
    )
    refresh_configuration(vehicle)
    return vehicle


def make_group(tenant: Tenant, *vehicles: Vehicle, name: str | None = None) -> Group:
    group = Group.objects.create(
        tenant=tenant, name=name or f"group-{next(_numbers)}", kind=GroupKind.STATIC, created_at=NOON
    )
    Membership.objects.bulk_create(Membership(group=group, vehicle=vehicle) for vehicle in vehicles)
    return group


def make_package(
    tenant: Tenant,
    name: str = "engine",
    version: str = "1.0",
    *,
    hardware_ids: tuple[str, ...] = ("gateway",),
    role: str = "supplier",
    **fields: Any,
) -> Package:
    """A published package whose bytes are nowhere: for tests that do not download."""
    number = next(_numbers)
    values: dict[str, Any] = {
        "state": PackageState.PUBLISHED,
        "filename": f"{name}.bin",
        "length": 1000 + number,
        "sha256": f"{number:064x}",
        "sha512": f"{number:0128x}",
        "created_by": "factory",
        "created_at": NOON,
        "published_at": NOON,
    }
    return Package.objects.create(
        tenant=tenant,
        role=role,
        name=name,
        version=version,
        target_name=f"{role}/{name}-{version}",
        hardware_ids=list(hardware_ids),
        **(values | fields),
    )


def make_release(tenant: Tenant, *packages: Package, name: str = "autumn", version: str | None = None) -> Release:
    release = Release.objects.create(
        tenant=tenant,
        name=name,
        version=version or str(next(_numbers)),
        created_by="factory",
        created_at=NOON,
        published_at=NOON,
    )
    ReleaseItem.objects.bulk_create(ReleaseItem(release=release, package=package) for package in packages)
    return release
