import pytest

from otaserver.audit import queries
from otaserver.audit.models import Entry
from otaserver.fleet.models import ClaimCode
from otaserver.tenants.models import Tenant
from tests.factories import make_group, make_vehicle


def test_the_emergency_stop_and_its_end_are_recorded_with_their_reasons(tenant, caller):
    stopped = caller.post("/tenant/stop", {"reason": "smoke"}).json()
    resumed = caller.post("/tenant/resume", {"reason": "no fire"}).json()

    assert (stopped["stopped_reason"], resumed["stopped_at"]) == ("smoke", None)
    entries = caller.get("/audit").json()["results"]
    assert [(entry["action"], entry["actor"], entry["details"]["reason"]) for entry in entries] == [
        ("tenant.resumed", "token:a administrator", "no fire"),
        ("tenant.stopped", "token:a administrator", "smoke"),
    ]
    assert queries.first_break(tenant) is None


@pytest.mark.parametrize("body", [{}, {"reason": ""}, {"reason": "  "}, {"reason": None}])
def test_a_stop_without_a_reason_is_refused(caller, body):
    assert caller.post("/tenant/stop", body).status_code == 422
    assert Tenant.objects.get().stopped_at is None


def test_a_stop_that_has_been_made_is_a_conflict(caller):
    caller.post("/tenant/stop", {"reason": "smoke"})

    response = caller.post("/tenant/stop", {"reason": "fire"})

    assert (response.status_code, response.json()["code"]) == (409, "tenant.stopped")
    assert Tenant.objects.get().stopped_reason == "smoke"


def test_settings_that_are_left_out_stay_as_they_are(caller):
    changed = caller("PATCH", "/tenant", {"polling_seconds": 5}).json()

    assert (changed["polling_seconds"], changed["has_public_targets"]) == (5, False)
    assert Entry.objects.get().details == {"polling_seconds": 5}


def test_no_change_of_settings_is_no_record(caller):
    assert caller("PATCH", "/tenant", {}).status_code == 200
    assert not Entry.objects.exists()


def test_claim_codes_are_shown_once_and_stored_as_hashes(caller):
    response = caller.post("/claim-codes", {"vehicle_ids": ["VIN1", "VIN2"], "valid_hours": 1})

    issued = response.json()
    assert response.status_code == 201
    assert [each["vehicle_id"] for each in issued["claim_codes"]] == ["VIN1", "VIN2"]
    assert issued["expires_at"] == "2026-06-01T13:00:00Z"
    stored = set(ClaimCode.objects.values_list("sha256", flat=True))
    assert len(stored) == 2
    assert not stored & {each["claim_code"] for each in issued["claim_codes"]}
    assert not any(each["claim_code"] in str(Entry.objects.get().details) for each in issued["claim_codes"])


def test_a_group_of_vehicles_chosen_by_hand_takes_more_of_them(tenant, caller):
    make_vehicle(tenant, "VIN1")
    make_vehicle(tenant, "VIN2")
    group = caller.post("/groups", {"name": "trial", "vehicles": ["VIN1"]}).json()

    changed = caller.post(f"/groups/{group['id']}/vehicles", {"vehicles": ["VIN1", "VIN2"]}).json()

    assert group["kind"] == "static"
    assert changed == {"changed": 1}
    listed = caller.get(f"/groups/{group['id']}/vehicles").json()["results"]
    assert [row["vehicle_id"] for row in listed] == ["VIN2", "VIN1"]


def test_a_group_with_a_filter_holds_what_matches_now(tenant, caller):
    group = caller.post("/groups", {"name": "gateways", "filter": 'ecu.hardware_id = "gateway"'}).json()
    make_vehicle(tenant, "VIN1")
    make_vehicle(tenant, "VIN2", hardware=("tractor",))

    listed = caller.get(f"/groups/{group['id']}/vehicles").json()["results"]

    assert group["kind"] == "dynamic"
    assert [row["vehicle_id"] for row in listed] == ["VIN1"]


def test_a_vehicle_that_there_is_not_keeps_the_whole_group_from_being_made(tenant, caller):
    make_vehicle(tenant, "VIN1")

    response = caller.post("/groups", {"name": "trial", "vehicles": ["VIN1", "VIN9"]})

    assert (response.status_code, response.json()["code"]) == (404, "vehicle.not_found")
    assert response.json()["vehicle_ids"] == ["VIN9"]
    assert caller.get("/groups").json()["results"] == []


def test_a_group_name_used_twice_is_a_conflict(tenant, caller):
    make_group(tenant, name="trial")

    response = caller.post("/groups", {"name": "trial"})

    assert (response.status_code, response.json()["code"]) == (409, "group.exists")
