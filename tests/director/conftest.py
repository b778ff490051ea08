"""A car of two ECUs that hold real keys, and run what their tenant published."""

import pytest

from tests.director.signing_vehicle import make_signing_vehicle
from tests.factories import make_package, make_tenant


@pytest.fixture
def gateway():
    return make_package(make_tenant(), "gateway", "1.0")


@pytest.fixture
def brake(gateway):
    return make_package(gateway.tenant, "brake", "1.0", hardware_ids=("brake",))


@pytest.fixture
def car(gateway, brake):
    return make_signing_vehicle(gateway.tenant, gateway, brake)
