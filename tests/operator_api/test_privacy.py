import json
from datetime import timedelta

import pytest

from firmware_store.models import OnlineKey, RoleMetadata
from otaserver.audit.models import Entry
from otaserver.campaigns.models import Blackout, Campaign
from otaserver.fleet.models import Group, Vehicle
from otaserver.privacy.rules import KINDS
from tests.factories import NOON, make_group, make_package, make_release, make_vehicle

pytestmark = pytest.mark.any_database


def test_retention_is_shown_and_changed(caller):
    before = caller.get("/tenant/retention").json()["kinds"]
    changed = caller("PATCH", "/tenant/retention", {"days": {"logs": 30}}).json()["kinds"]

    assert {row["kind"]: row["days"] for row in before} == {name: kind.days for name, kind in KINDS.items()}
    assert {row["kind"]: row["days"] for row in changed}["logs"] == 30
    refused = caller("PATCH", "/tenant/retention", {"days": {"nothing": 30}})
    assert (refused.status_code, refused.json()["code"]) == (422, "retention.refused")


def test_what_packages_take_is_shown_beside_the_quota(tenant, caller):
    make_package(tenant, length=700)

    caller("PATCH", "/tenant", {"storage_quota_bytes": 1000})

    assert caller.get("/tenant/storage").json() == {"used_bytes": 700, "quota_bytes": 1000}


def test_all_that_is_held_of_a_vehicle_is_lines_and_on_record(tenant, caller):
    make_vehicle(tenant, "VIN1")

    response = caller.get("/vehicles/VIN1/record")

    rows = [json.loads(line) for line in b"".join(response.streaming_content).splitlines()]
    assert (response["Content-Type"], response["Cache-Control"]) == ("application/jsonl", "no-store")
    assert [row["kind"] for row in rows] == ["vehicle", "ecu", "spelling", "entry"]
    assert Entry.objects.get().action == "vehicle.record_exported"


def test_a_decommissioned_vehicle_is_pseudonymised_and_the_chain_verified(tenant, caller):
    make_vehicle(tenant, "VIN1")
    early = caller.post("/vehicles/VIN1/pseudonymise", {"reason": "Asked for."})
    caller.post("/vehicles/VIN1/decommission", {"reason": "Scrapped."})

    done = caller.post("/vehicles/VIN1/pseudonymise", {"reason": "Asked for."})

    assert (early.status_code, early.json()["code"]) == (409, "vehicle.in_service")
    assert done.json() == {"vehicle_id": Vehicle.objects.get().vehicle_id, "entries": 1}
    assert caller.get("/vehicles/VIN1").status_code == 404
    whole = caller.get("/audit/verification").json()
    assert (whole["is_whole"], whole["first_break"], whole["erased"], whole["length"]) == (True, None, 1, 3)


def test_a_changed_entry_shows(tenant, caller):
    make_vehicle(tenant, "VIN1")
    caller.post("/vehicles/VIN1/decommission", {"reason": "Scrapped."})
    Entry.objects.update(actor="mallory")

    found = caller.get("/audit/verification").json()

    assert (found["is_whole"], found["first_break"]) == (False, 1)


def test_ages_of_keys_and_ends_of_metadata_are_told(tenant, caller):
    OnlineKey.objects.create(
        tenant=tenant, repository="image", role="snapshot", keyid="a", public_key={}, created_at=NOON
    )
    for version, days in ((1, 1), (2, 9)):
        RoleMetadata.objects.create(
            tenant=tenant,
            repository="image",
            role="root",
            profile="tuf-1.0",
            version=version,
            body=b"{}",
            sha256="a",
            created_at=NOON,
            expires_at=NOON + timedelta(days=days),
        )

    found = caller.get("/trust/ages").json()

    assert [(row["role"], row["activated_at"]) for row in found["online_keys"]] == [("snapshot", None)]
    assert [(row["role"], row["version"], row["expires_at"]) for row in found["metadata"]] == [
        ("root", 2, "2026-06-10T12:00:00Z")
    ]


def test_a_group_gets_another_name_and_filter(tenant, caller):
    made = caller.post("/groups", {"name": "north", "filter": 'ecu.hardware_id = "a"'}).json()["id"]

    changed = caller("PATCH", f"/groups/{made}", {"name": "south", "filter": 'ecu.hardware_id = "b"'})

    assert (changed.json()["name"], changed.json()["filter"]) == ("south", 'ecu.hardware_id = "b"')
    assert Entry.objects.latest("number").details["before"] == {"name": "north", "filter": 'ecu.hardware_id = "a"'}


def test_vehicles_are_put_into_a_group_made_by_hand_and_taken_out_again(tenant, caller):
    cars = [make_vehicle(tenant, name) for name in ("VIN1", "VIN2")]
    path = f"/groups/{make_group(tenant, cars[0]).pk}/vehicles"

    put_in = caller.post(path, {"vehicles": ["VIN1", "VIN2"]})
    taken_out = [caller.post(f"{path}/remove", {"vehicles": ["VIN1"]}) for _ in range(2)]
    unknown = caller.post(f"{path}/remove", {"vehicles": ["VIN2", "VIN3"]})

    assert [put_in.json(), *(each.json() for each in taken_out)] == [{"changed": 1}, {"changed": 1}, {"changed": 0}]
    assert (unknown.status_code, unknown.json()["code"]) == (404, "vehicle.not_found")
    assert [row["vehicle_id"] for row in caller.get(path).json()["results"]] == ["VIN2"]
    assert [entry.action for entry in Entry.objects.order_by("number")] == [
        "group.vehicles_added",
        "group.vehicles_removed",
    ]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"name": "taken"}, "group.exists"),
        ({"filter": 'ecu.hardware_id = "b"'}, "group.dynamic"),
        ({"name": " "}, "group.name_refused"),
    ],
)
def test_what_a_group_cannot_become_changes_nothing(tenant, caller, changes, code):
    make_group(tenant, name="taken")
    group = make_group(tenant, name="north")

    refused = caller("PATCH", f"/groups/{group.pk}", changes)

    assert refused.json()["code"] == code
    assert (Group.objects.get(pk=group.pk).name, Entry.objects.count()) == ("north", 0)


def test_the_filter_of_a_group_that_a_campaign_is_approved_for_stays(tenant, caller):
    made = caller.post("/groups", {"name": "north", "filter": 'ecu.hardware_id = "a"'}).json()["id"]
    release = make_release(tenant, make_package(tenant))
    Campaign.objects.create(
        tenant=tenant, name="spring", group_id=made, release=release, state="approved", created_by="x", created_at=NOON
    )

    refused = caller("PATCH", f"/groups/{made}", {"filter": 'ecu.hardware_id = "b"'})

    assert (refused.status_code, refused.json()["code"]) == (409, "group.in_use")
    assert refused.json()["campaigns"] == ["spring"]
    assert Group.objects.get(pk=made).filter == 'ecu.hardware_id = "a"'


def test_a_group_that_nothing_is_for_is_deleted_with_a_reason(tenant, caller):
    free, used = make_group(tenant), make_group(tenant)
    Blackout.objects.create(
        tenant=tenant, name="x", reason="x", starts_at=NOON, group=used, created_by="x", created_at=NOON
    )

    unreasoned = caller("DELETE", f"/groups/{free.pk}")
    in_use = caller("DELETE", f"/groups/{used.pk}?reason=Old.")
    done = caller("DELETE", f"/groups/{free.pk}?reason=Old.")

    assert (unreasoned.status_code, in_use.status_code, done.status_code) == (422, 409, 204)
    assert in_use.json()["code"] == "group.in_use"
    assert list(Group.objects.all()) == [used]
    assert [entry.action for entry in Entry.objects.all()] == ["group.deleted"]
