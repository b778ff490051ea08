from dataclasses import replace
from datetime import timedelta

import pytest

from firmware_store.models import Package
from firmware_store.states import PackageState
from otaserver.director import errors, operations
from otaserver.director.models import Direction
from tests.director.orders import make_order, ordered
from tests.factories import NOON, make_package, make_tenant, make_vehicle

pytestmark = pytest.mark.django_db
LATER = NOON + timedelta(hours=1)


def test_a_directed_vehicle_has_the_order_as_signed_targets_will_state_it():
    tenant = make_tenant()
    vehicle = make_vehicle(tenant, hardware=("gateway", "brake"))
    gateway, brake = make_package(tenant), make_package(tenant, "brake", "2.0", hardware_ids=("brake",))
    order = make_order(vehicle, gateway, brake, notes={"de": "Bremst früher."}, grace_hours=4, not_before=NOON)

    operations.direct({vehicle.pk: order}, at=NOON)

    direction = Direction.objects.get()
    assert (direction.vehicle_id, direction.attempt_id, direction.revision) == (vehicle.pk, order.attempt_id, 1)
    assert direction.content["custom"] == {
        "order": {
            "attempt": str(order.attempt_id),
            "number": 1,
            "campaign": "spring",
            "release": "autumn 1",
            "grace_hours": 4,
            "not_before": "2026-06-01T12:00:00Z",
            "windows": None,
            "preconditions": [],
            "consent": None,
            "notes": {"de": "QnJlbXN0IGZyw7xoZXIu"},
        }
    }
    assert direction.content["targets"]["supplier/brake-2.0"] == {
        "length": brake.length,
        "hashes": {"sha256": brake.sha256, "sha512": brake.sha512},
        "custom": {
            "ecuIdentifiers": {f"{vehicle.vehicle_id}-1": {"hardwareId": "brake"}},
            "hardwareIds": ["brake"],
            "releaseCounter": 0,
            "name": "brake",
            "version": "2.0",
            "targetFormat": "BINARY",
            "position": 0,
        },
    }


def test_one_package_for_two_ecus_is_one_target_with_both():
    vehicle = make_vehicle(hardware=("gateway", "gateway"))
    package = make_package(vehicle.tenant)

    operations.direct({vehicle.pk: make_order(vehicle, package, package)}, at=NOON)

    (target,) = Direction.objects.get().content["targets"].values()
    assert target["custom"]["ecuIdentifiers"] == {
        f"{vehicle.vehicle_id}-0": {"hardwareId": "gateway"},
        f"{vehicle.vehicle_id}-1": {"hardwareId": "gateway"},
    }


def test_directing_to_the_same_order_again_changes_nothing():
    vehicle = make_vehicle()
    order = make_order(vehicle, make_package(vehicle.tenant))
    operations.direct({vehicle.pk: order}, at=NOON)

    operations.direct({vehicle.pk: order}, at=LATER)

    direction = Direction.objects.get()
    assert (direction.revision, direction.changed_at) == (1, NOON)


def test_directing_to_nothing_keeps_the_order_before_as_the_previous_one():
    vehicle = make_vehicle()
    operations.direct({vehicle.pk: make_order(vehicle, make_package(vehicle.tenant))}, at=NOON)
    before = Direction.objects.get().content

    operations.direct({vehicle.pk: None}, at=LATER)

    direction = Direction.objects.get()
    assert (direction.content, direction.attempt_id, direction.previous_content) == (None, None, before)
    assert (direction.revision, direction.changed_at) == (2, LATER)


def test_directing_a_vehicle_without_any_order_to_nothing_writes_nothing():
    vehicle = make_vehicle()

    operations.direct({vehicle.pk: None}, at=NOON)

    assert not Direction.objects.exists()


@pytest.mark.parametrize("state", [PackageState.UPLOADING, PackageState.VERIFYING, PackageState.WITHDRAWN])
def test_an_order_of_an_unpublished_package_is_refused(state):
    vehicle = make_vehicle()
    package = make_package(vehicle.tenant, state=state)

    with pytest.raises(errors.OrderPackageUnpublishedError) as refusal:
        operations.direct({vehicle.pk: make_order(vehicle, package)}, at=NOON)

    assert refusal.value.details == {"target_name": "supplier/engine-1.0", "vehicle": vehicle.pk}
    assert not Direction.objects.exists()


def test_an_order_of_another_tenants_package_is_refused():
    vehicle = make_vehicle()
    package = make_package(make_tenant())

    with pytest.raises(errors.OrderPackageUnpublishedError):
        operations.direct({vehicle.pk: make_order(vehicle, package)}, at=NOON)

    assert not Direction.objects.exists()


def test_an_order_that_differs_from_what_was_published_is_refused():
    vehicle = make_vehicle()
    package = make_package(vehicle.tenant)
    order = make_order(vehicle, package)
    Package.objects.filter(pk=package.pk).update(sha256="f" * 64)

    with pytest.raises(errors.OrderPackageChangedError):
        operations.direct({vehicle.pk: order}, at=NOON)

    assert not Direction.objects.exists()


# Attack A12: a pair of package and ECU that do not fit must not be signed, whoever asks for it.
def test_a12_a_package_for_other_hardware_is_refused():
    vehicle = make_vehicle(hardware=("gateway", "brake"))
    package = make_package(vehicle.tenant, hardware_ids=("gateway",))

    with pytest.raises(errors.OrderHardwareUnfitError) as refusal:
        operations.direct({vehicle.pk: make_order(vehicle, package, package)}, at=NOON)

    assert refusal.value.code == "order.hardware_unfit"
    assert refusal.value.details["ecu_serial"] == f"{vehicle.vehicle_id}-1"
    assert not Direction.objects.exists()


def test_a12_an_order_cannot_claim_other_hardware_for_an_ecu():
    vehicle = make_vehicle(hardware=("brake",))
    package = make_package(vehicle.tenant, hardware_ids=("gateway",))
    order = make_order(vehicle, packages=[ordered(vehicle.ecus.get(), package, hardware_id="gateway")])

    with pytest.raises(errors.OrderHardwareUnfitError):
        operations.direct({vehicle.pk: order}, at=NOON)

    assert not Direction.objects.exists()


def test_an_order_for_another_vehicles_ecu_is_refused():
    vehicle, other = make_vehicle(), make_vehicle()
    order = make_order(other, make_package(vehicle.tenant))

    with pytest.raises(errors.OrderEcuUnknownError):
        operations.direct({vehicle.pk: order}, at=NOON)

    assert not Direction.objects.exists()


def test_an_order_of_two_packages_for_one_ecu_is_refused():
    vehicle = make_vehicle()
    order = make_order(vehicle, make_package(vehicle.tenant))
    twice = replace(order, packages=[*order.packages, *order.packages])

    with pytest.raises(errors.OrderEcuTwiceError):
        operations.direct({vehicle.pk: twice}, at=NOON)

    assert not Direction.objects.exists()


def test_an_order_without_packages_is_refused():
    vehicle = make_vehicle()

    with pytest.raises(errors.OrderEmptyError):
        operations.direct({vehicle.pk: make_order(vehicle)}, at=NOON)

    assert not Direction.objects.exists()


def test_one_refused_order_of_many_leaves_all_vehicles_as_they_were():
    tenant = make_tenant()
    good, bad = make_vehicle(tenant), make_vehicle(tenant, hardware=("brake",))
    package = make_package(tenant)
    orders = {vehicle.pk: make_order(vehicle, package) for vehicle in (good, bad)}

    with pytest.raises(errors.OrderHardwareUnfitError) as refusal:
        operations.direct(orders, at=NOON)

    assert refusal.value.details["vehicle"] == bad.pk
    assert not Direction.objects.exists()


def test_directing_many_vehicles_costs_as_many_queries_as_directing_one(django_assert_num_queries):
    tenant = make_tenant()
    package = make_package(tenant)
    vehicles = [make_vehicle(tenant) for _ in range(4)]
    orders = {vehicle.pk: make_order(vehicle, package) for vehicle in vehicles}
    first, *others = orders.items()

    with django_assert_num_queries(9):  # two of them savepoints
        operations.direct(dict([first]), at=NOON)
    with django_assert_num_queries(9):
        operations.direct(dict(others), at=NOON)

    assert Direction.objects.count() == 4


def test_two_workers_directing_the_same_vehicles_at_once_both_finish(at_once):
    tenant = make_tenant()
    package = make_package(tenant)
    vehicles = [make_vehicle(tenant) for _ in range(5)]
    nothing = {vehicle.pk: None for vehicle in vehicles}
    orders = {vehicle.pk: make_order(vehicle, package) for vehicle in vehicles}
    operations.direct(orders, at=NOON)

    results = at_once(
        lambda: operations.direct(nothing, at=NOON),
        lambda: operations.direct(dict(reversed(nothing.items())), at=NOON),
    )

    assert results == [None, None]
    assert set(Direction.objects.values_list("content", "revision")) == {(None, 2)}


def test_of_two_first_orders_at_once_one_stands_and_both_are_counted(at_once):
    vehicle = make_vehicle()
    package = make_package(vehicle.tenant)
    first, second = make_order(vehicle, package), make_order(vehicle, package)

    results = at_once(
        lambda: operations.direct({vehicle.pk: first}, at=NOON),
        lambda: operations.direct({vehicle.pk: second}, at=NOON),
    )

    direction = Direction.objects.get()
    assert results == [None, None]
    assert direction.revision == 2
    assert direction.attempt_id in {first.attempt_id, second.attempt_id}
    assert direction.content["custom"]["order"]["attempt"] == str(direction.attempt_id)


@pytest.mark.parametrize(
    "fields",
    [
        {"campaign": "Frühling"},
        {"release": "1.0\n"},
        {"preconditions": [{"volts": 12.5}]},
        {"preconditions": [{"volts": 2**53}]},
    ],
)
def test_an_order_that_has_no_canonical_form_is_refused(fields):
    vehicle = make_vehicle()
    order = make_order(vehicle, make_package(vehicle.tenant), **fields)

    with pytest.raises(errors.OrderTextRefusedError) as refusal:
        operations.direct({vehicle.pk: order}, at=NOON)

    assert refusal.value.details == {"vehicle": vehicle.pk}
    assert not Direction.objects.exists()


def test_an_order_for_a_vehicle_that_does_not_exist_is_refused():
    vehicle = make_vehicle()
    order = make_order(vehicle, make_package(vehicle.tenant))

    with pytest.raises(errors.OrderVehicleUnknownError):
        operations.direct({vehicle.pk + 1: order}, at=NOON)

    assert not Direction.objects.exists()
