"""What one whole update costs by aktualizr: requests, and statements of each, exactly."""

import json

import pytest

from otaserver.campaigns.models import Assignment
from tests.vehicle_api.costs import DOCUMENTED, Requests
from tests.vehicle_api.counting import counted

pytestmark = pytest.mark.any_database


def test_a_whole_update_by_aktualizr(yard, software, record_property):
    client = software.vehicle()
    with counted() as costs:
        with costs.aside():
            for _ in range(2):
                assert client.cycle(yard.now) == []
            yard.campaign("VIN1", old=software.before, new=software.after)
            yard.advance(minutes=5)
        assert client.cycle(yard.now) == ["supplier/gateway-2.0"]
        with costs.aside():
            yard.advance(minutes=5)
        assert client.cycle(yard.now) == []

    record_property("aktualizr", json.dumps(costs.by_request()))
    assert costs.by_request() == AKTUALIZR
    assert costs.row("aktualizr") in DOCUMENTED.read_text()
    assert Assignment.objects.get().state == "soaking"


AKTUALIZR: Requests = [
    ("PUT /aktualizr/acme/director/manifest", 4, 8),
    ("GET /aktualizr/acme/director/#.root.json", 3, 3),
    ("GET /aktualizr/acme/director/targets.json", 2, 3),
    ("GET /aktualizr/acme/repo/#.root.json", 1, 1),
    ("GET /aktualizr/acme/repo/#.root.json", 2, 2),
    ("GET /aktualizr/acme/repo/timestamp.json", 1, 1),
    ("GET /aktualizr/acme/repo/snapshot.json", 1, 1),
    ("GET /aktualizr/acme/repo/targets.json", 1, 1),
    ("GET /aktualizr/acme/repo/delegations/supplier.json", 1, 1),
    ("POST /aktualizr/acme/events", 1, 4),
    ("GET /aktualizr/acme/repo/targets/supplier/gateway-#.0", 2, 2),
    ("GET /downloads/#", 0, 0),
    ("POST /aktualizr/acme/events", 1, 4),
    ("POST /aktualizr/acme/events", 1, 4),
    ("POST /aktualizr/acme/events", 1, 2),
    ("PUT /aktualizr/acme/director/manifest", 13, 26),
    ("PUT /aktualizr/acme/director/manifest", 4, 8),
    ("GET /aktualizr/acme/director/#.root.json", 3, 3),
    ("GET /aktualizr/acme/director/targets.json", 3, 5),
]
