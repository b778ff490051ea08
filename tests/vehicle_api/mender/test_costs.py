"""What one whole update costs by Mender's client: requests, and statements of each, exactly."""

import json

import pytest

from otaserver.fleet.models import Vehicle
from tests.vehicle_api.costs import DOCUMENTED, Requests
from tests.vehicle_api.counting import counted
from tests.vehicle_api.mender.conftest import ask, let_in
from tests.vehicle_api.mender.stage import order_app
from tests.vehicle_api.mender.test_deployments import gate, say

pytestmark = pytest.mark.any_database


def test_a_whole_update_by_mender_client(server_clock, tenant, record_property):
    device = let_in(tenant)
    stage = order_app(Vehicle.objects.get(), server_clock)
    with counted() as costs:
        with costs.aside():
            assert ask(device).status_code == 200
            server_clock.advance(minutes=5)
        assert ask(device).status_code == 200
        assert say(device, "downloading").status_code == 204
        assert gate(device).status_code == 200
        for status in ("installing", "rebooting", "success"):
            assert say(device, status).status_code == 204
        server_clock.advance(minutes=5)
        assert ask(device, "app-1.1").status_code == 204

    record_property("Mender", json.dumps(costs.by_request()))
    assert costs.by_request() == MENDER
    assert costs.row("Mender") in DOCUMENTED.read_text()
    assert stage.outcome() == ("soaking", "")


MENDER: Requests = [
    ("POST /api/devices/v2/deployments/device/deployments/next", 3, 5),
    ("PUT /api/devices/v1/deployments/device/deployments/#/status", 2, 5),
    ("GET /api/devices/v2/deployments/device/deployments/#/update_control_map", 1, 1),
    ("PUT /api/devices/v1/deployments/device/deployments/#/status", 2, 5),
    ("PUT /api/devices/v1/deployments/device/deployments/#/status", 2, 3),
    ("PUT /api/devices/v1/deployments/device/deployments/#/status", 9, 20),
    ("POST /api/devices/v2/deployments/device/deployments/next", 4, 7),
]
