import pytest

from otaserver.fleet import operations as fleet
from otaserver.fleet.models import Vehicle
from otaserver.fleet.operations import RequestFacts
from otaserver.fleet.watch_models import AddressWatch
from tests.factories import NOON, make_tenant, make_vehicle
from tests.operator_api.conftest import make_caller

FACTS = RequestFacts("192.0.2.1", "GET", "/x", "curl", "nothing", 401, "credential.invalid", "No.")
SHOWN = {
    "at": "2026-06-01T12:00:00Z",
    "address": "192.0.2.1",
    "method": "GET",
    "path": "/x",
    "client": "curl",
    "identity": "nothing",
    "status": 401,
    "code": "credential.invalid",
    "reason": "No.",
}


@pytest.fixture
def car(tenant):
    return make_vehicle(tenant, vehicle_id="VIN1")


def test_a_vehicle_is_watched_and_its_requests_are_shown(caller, car):
    watched = caller.post("/vehicles/VIN1/watch", {"hours": 4})
    fleet.note_request(Vehicle.objects.get(), FACTS, at=NOON)

    assert watched.json()["watched_until"] == "2026-06-01T16:00:00Z"
    assert caller.get("/vehicles/VIN1/requests").json()["results"] == [SHOWN]
    assert caller.post("/vehicles/VIN1/watch", {"hours": 0}).json()["watched_until"] is None


def test_an_address_is_watched_and_what_was_refused_to_it_is_shown(caller, tenant):
    watched = caller.post("/watched-addresses", {"address": "192.0.2.1", "hours": 4})
    fleet.note_refusal(tenant, FACTS, at=NOON)

    assert [one["address"] for one in watched.json()["results"]] == ["192.0.2.1"]
    assert caller.get("/refused-requests").json()["results"] == [SHOWN]
    assert caller.get("/refused-requests?address=192.0.2.2").json()["results"] == []
    assert caller.post("/watched-addresses", {"address": "192.0.2.1", "hours": 0}).json()["results"] == []


def test_what_cannot_be_watched_is_refused(caller, car):
    answers = [
        caller.post("/vehicles/VIN1/watch", {"hours": 73}),
        caller.post("/vehicles/NOBODY/watch", {"hours": 1}),
        caller.post("/watched-addresses", {"address": "example.com", "hours": 1}),
    ]

    assert [answer.status_code for answer in answers] == [422, 404, 422]
    assert (Vehicle.objects.get().watched_until, AddressWatch.objects.count()) == (None, 0)


def test_other_tenants_and_viewers_watch_nobody(tenant, car):
    foreign, viewer = make_caller(make_tenant("other")), make_caller(tenant, "viewer")
    fleet.watch_address(tenant, "192.0.2.1", hours=1, by="ann", at=NOON)
    fleet.note_refusal(tenant, FACTS, at=NOON)

    assert foreign.post("/vehicles/VIN1/watch", {"hours": 1}).status_code == 404
    assert foreign.get("/vehicles/VIN1/requests").status_code == 404
    assert foreign.get("/refused-requests").json()["results"] == []
    assert foreign.get("/watched-addresses").json()["results"] == []
    assert viewer.post("/vehicles/VIN1/watch", {"hours": 1}).status_code == 403
    assert viewer.get("/vehicles/VIN1/requests").status_code == 200
