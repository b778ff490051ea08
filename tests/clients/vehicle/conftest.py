from datetime import UTC, datetime

import pytest

from tests.clients.vehicle.repositories import Oem
from tests.clients.vehicle.vehicles import Vehicle, install_old_release

NOON = datetime(2026, 6, 1, 12, 0, 0, tzinfo=UTC)


@pytest.fixture
def oem():
    return Oem(NOON)


@pytest.fixture
def vehicle(oem, tmp_path):
    """An enrolled vehicle at rest on release 1.0, its first manifest sent."""
    vehicle = Vehicle(oem, tmp_path)
    install_old_release(oem, vehicle.config)
    assert vehicle.run().status == "idle"
    oem.requests.clear()
    return vehicle
