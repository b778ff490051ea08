"""What one whole update costs by the reference client and by DDI: requests, and statements of each, exactly.

Who adds a statement to what vehicles ask all day finds it here; fewer are as welcome, and are written down here too.
"""

import json

import pytest

from otaserver.campaigns.models import Assignment
from tests.clients.vehicle.test_real_server import Road, road  # noqa: F401 - a fixture
from tests.vehicle_api.costs import DOCUMENTED, Requests
from tests.vehicle_api.counting import counted
from tests.vehicle_api.ddi.conftest import SWUPDATE, make_world

pytestmark = pytest.mark.any_database


def test_a_whole_update_by_the_reference_client(road: Road, record_property):  # noqa: F811
    with counted() as costs:
        with costs.aside():
            for _ in range(2):
                assert road.agent.run_once().status == "idle"
            road.start_campaign()
            road.clock.advance(minutes=5)
        assert road.agent.run_once().status == "installed"
        road.clock.advance(minutes=5)
        assert road.agent.run_once().status == "idle"

    record_property("reference client, two ECUs", json.dumps(costs.by_request()))
    assert costs.by_request() == UPTANE
    assert costs.row("reference client, two ECUs") in DOCUMENTED.read_text()
    assert Assignment.objects.get().state == "soaking"


def test_a_whole_update_by_ddi_as_swupdate_asks(db, server_clock, record_property):
    world = make_world(SWUPDATE)
    device = world.device
    data = {"mode": "merge", "data": {"version": "1.0"}}
    assert (device.get().status_code, device.put("/configData", data).status_code) == (200, 200)
    server_clock.advance(minutes=5)
    artifact = world.artifact

    with counted() as costs:
        with costs.aside():
            assert device.get().status_code == 200
            server_clock.advance(minutes=5)
        assert "deploymentBase" in device.links()
        assert device.get("/deploymentBase/1").status_code == 200
        assert device.say("proceeding") == 200
        assert device.fetch(artifact)[0].status_code == 200
        assert device.say("proceeding", details=["Installing."]) == 200
        assert device.say("proceeding", details=["All Chunks Installed."]) == 200
        assert device.say("closed", "success") == 200
        server_clock.advance(minutes=5)
        assert "deploymentBase" not in device.links()

    record_property("DDI as SWUpdate speaks it", json.dumps(costs.by_request()))
    assert costs.by_request() == DDI
    assert costs.row("DDI as SWUpdate speaks it") in DOCUMENTED.read_text()
    assert world.state == "soaking"


UPTANE: Requests = [
    ("GET /uptane/acme/director/metadata/timestamp.json", 2, 4),
    ("GET /uptane/acme/director/metadata/#.root.json", 2, 2),
    ("GET /uptane/acme/director/metadata/#.snapshot.json", 1, 1),
    ("GET /uptane/acme/director/metadata/#.targets.json", 1, 1),
    ("GET /uptane/acme/repo/metadata/#.root.json", 2, 2),
    ("GET /uptane/acme/repo/metadata/timestamp.json", 1, 1),
    ("GET /uptane/acme/repo/metadata/#.snapshot.json", 1, 1),
    ("GET /uptane/acme/repo/metadata/#.targets.json", 1, 1),
    ("GET /uptane/acme/repo/metadata/#.supplier.json", 1, 1),
    ("GET /uptane/acme/repo/targets/supplier/#.brake-#.0", 1, 1),
    ("GET /downloads/#", 0, 0),
    ("GET /uptane/acme/repo/targets/supplier/#.gateway-#.0", 1, 1),
    ("GET /downloads/#", 0, 0),
    ("GET /uptane/acme/director/metadata/timestamp.json", 1, 1),
    ("POST /uptane/acme/events", 1, 8),
    ("POST /uptane/acme/events", 2, 4),
    ("POST /uptane/acme/director/manifest", 13, 27),
    ("GET /uptane/acme/director/metadata/timestamp.json", 2, 5),
    ("GET /uptane/acme/director/metadata/#.root.json", 2, 2),
    ("GET /uptane/acme/director/metadata/#.snapshot.json", 1, 1),
    ("GET /uptane/acme/director/metadata/#.targets.json", 1, 1),
]
DDI: Requests = [
    ("GET /acme/controller/v1/dev1", 2, 3),
    ("GET /acme/controller/v1/dev1/deploymentBase/#", 2, 2),
    ("POST /acme/controller/v1/dev1/deploymentBase/#/feedback", 2, 5),
    ("GET /acme/controller/v1/dev1/softwaremodules/#/artifacts/board.swu", 4, 11),
    ("POST /acme/controller/v1/dev1/deploymentBase/#/feedback", 2, 3),
    ("POST /acme/controller/v1/dev1/deploymentBase/#/feedback", 2, 3),
    ("POST /acme/controller/v1/dev1/deploymentBase/#/feedback", 12, 25),
    ("GET /acme/controller/v1/dev1", 3, 4),
]
