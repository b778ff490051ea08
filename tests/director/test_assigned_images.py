"""Which images count as assigned: ordered now, ordered before, or run before."""

from datetime import timedelta

import pytest

from otaserver.director import operations
from tests.director.orders import make_order
from tests.director.signing_vehicle import image, make_signing_vehicle
from tests.factories import NOON, make_package, make_tenant

pytestmark = pytest.mark.django_db
LATER = NOON + timedelta(hours=1)


@pytest.fixture
def old():
    return make_package(make_tenant(), "gateway", "1.0")


@pytest.fixture
def new(old):
    return make_package(old.tenant, "gateway", "2.0")


@pytest.fixture
def car(old):
    car = make_signing_vehicle(old.tenant, old, hardware=("gateway",))
    operations.receive_manifest(car.vehicle, car.manifest(), at=NOON)
    return car


def report(car, package):
    car.images[car.serials[0]] = image(package)
    return operations.receive_manifest(car.vehicle, car.manifest(), at=LATER).findings


def test_an_ordered_image_is_no_finding(car, new):
    operations.direct({car.vehicle.pk: make_order(car.vehicle, new)}, at=NOON)

    assert report(car, new) == ()


def test_an_image_whose_order_was_withdrawn_meanwhile_is_no_finding(car, new):
    operations.direct({car.vehicle.pk: make_order(car.vehicle, new)}, at=NOON)
    operations.direct({car.vehicle.pk: None}, at=NOON)

    assert report(car, new) == ()


def test_going_back_to_what_ran_before_is_no_finding(car, old, new):
    operations.direct({car.vehicle.pk: make_order(car.vehicle, new)}, at=NOON)
    report(car, new)

    assert report(car, old) == ()


def test_an_order_for_another_ecu_does_not_count(new, old):
    car = make_signing_vehicle(old.tenant, old, old, hardware=("gateway", "gateway"))
    operations.receive_manifest(car.vehicle, car.manifest(), at=NOON)
    operations.direct({car.vehicle.pk: make_order(car.vehicle, new)}, at=NOON)
    car.images[car.serials[1]] = image(new)

    received = operations.receive_manifest(car.vehicle, car.manifest(), at=LATER)

    assert received.findings == (f"image_unassigned:{car.serials[1]}:supplier/gateway-2.0",)
