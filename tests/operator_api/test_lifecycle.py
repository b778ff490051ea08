"""Credentials, ECU swaps, sale, end, CAs and attributes, as requests."""

from datetime import timedelta

import pytest

from otaserver.audit.models import Entry
from otaserver.fleet import operations as fleet
from otaserver.fleet.lifecycle_models import EcuSwap, RetiredAuthority
from otaserver.fleet.models import Attribute, Credential, Vehicle
from tests.factories import NOON, make_tenant
from tests.fleet.enrolments import enrol, make_csr, make_ecu
from tests.operator_api.conftest import make_caller


@pytest.fixture
def car(tenant):
    fleet.create_fleet_authority(tenant, at=NOON)
    return enrol(tenant, "VIN1", make_ecu("P1"), make_ecu("BRAKE", "brake"), csr=make_csr()).vehicle


def test_credentials_are_shown_without_their_secrets_and_end_for_a_reason(caller, car):
    shown = caller.get("/vehicles/VIN1/credentials").json()["results"]
    unreasoned = caller.post("/vehicles/VIN1/credentials/revoke")
    ended = caller.post("/vehicles/VIN1/credentials/revoke", {"reason": "Stolen."})

    assert [(one["kind"], one["generation"], one["revoked_at"]) for one in shown] == [
        ("certificate", 1, None),
        ("token", 1, None),
    ]
    assert unreasoned.status_code == 422
    assert ended.json() == {"revoked": 2}
    assert not Credential.objects.filter(revoked_at=None).exists()
    assert Entry.objects.get(action="vehicle.credentials_revoked").details == {"count": 2, "reason": "Stolen."}


def test_vehicles_whose_credentials_end_are_listed_the_most_urgent_first(caller, tenant):
    for days, name in ((10, "SOON"), (400, "LATER"), (-5, "OVER")):
        vehicle = enrol(tenant, name).vehicle
        Credential.objects.filter(vehicle=vehicle).update(expires_at=NOON + timedelta(days=days))
    fleet.give_token(enrol(tenant, "FOREVER").vehicle, by="ann", at=NOON)

    found = caller.get("/credentials/expiring?days=30").json()["results"]

    assert sorted(one["vehicle_id"] for one in found) == ["OVER", "SOON"]
    for wrong in ("-1", "3651", "0000000009999999999"):
        assert caller.get(f"/credentials/expiring?days={wrong}").status_code == 422


def test_a_swap_is_announced_and_shown(caller, car):
    made = caller.post("/vehicles/VIN1/ecu-swaps", {"old_serial": "BRAKE", "reason": "Crash.", "valid_hours": 48})
    shown = caller.get("/vehicles/VIN1/ecu-swaps").json()["results"]

    assert (made.status_code, made.json()["hardware_id"]) == (201, "brake")
    assert [one["old_serial"] for one in shown] == ["BRAKE"]
    assert EcuSwap.objects.get().expires_at == NOON + timedelta(hours=48)
    assert caller.post("/vehicles/VIN1/ecu-swaps", {"old_serial": "X", "reason": "Crash."}).status_code == 422


def test_a_sale_answers_with_the_claim_code_of_the_next_owner(caller, car):
    sale = caller.post("/vehicles/VIN1/sale", {"reason": "Sold."})

    assert sale.status_code == 201
    body = sale.json()
    assert (body["credentials"], body["attributes"], body["consents"]) == (2, 0, 0)
    assert len(body["claim_code"]) == 23


def test_a_vehicle_ends_and_comes_back(caller, car):
    ended = caller.post("/vehicles/VIN1/decommission", {"reason": "Scrapped."})
    again = caller.post("/vehicles/VIN1/decommission", {"reason": "Scrapped."})
    shown = caller.get("/vehicles/VIN1").json()["decommissioned_at"]
    back = caller.post("/vehicles/VIN1/recommission", {"reason": "A mistake."})

    assert ended.json() == {"credentials": 2, "groups": 0, "assignments": 0}
    assert (again.status_code, again.json()["code"]) == (409, "vehicle.decommissioned")
    assert (shown, back.json()["decommissioned_at"]) == ("2026-06-01T12:00:00Z", None)


def test_a_ca_is_rotated_shown_and_ended(caller, car):
    rotated = caller.post("/fleet-authorities/rotate", {"reason": "Every few years."})
    retired = RetiredAuthority.objects.get()
    refused = caller.post(f"/fleet-authorities/{retired.pk}/end", {"reason": "Done."})
    ended = caller.post(f"/fleet-authorities/{retired.pk}/end", {"reason": "Done.", "ends_certificates": True})
    shown = caller.get("/fleet-authorities").json()

    assert (rotated.status_code, rotated.json()["retired"][0]["certificates"]) == (201, 1)
    assert (refused.status_code, refused.json()["code"]) == (409, "fleet_authority.in_use")
    assert ended.json() == {"certificates": 1}
    assert (shown["retired"][0]["ended_at"], shown["retired"][0]["certificates"]) == ("2026-06-01T12:00:00Z", 0)


def test_attributes_are_declared_and_marked_personal(caller, tenant):
    made = caller.post("/attributes", {"name": "owner", "type": "text", "is_personal": True})
    other = caller.post("/attributes", {"name": "plant", "type": "text"})
    marked = caller("PATCH", "/attributes/plant", {"is_personal": True})
    unknown = caller("PATCH", "/attributes/nobody", {"is_personal": True})

    assert (made.json()["is_personal"], other.json()["is_personal"], marked.json()["is_personal"]) == (
        True,
        False,
        True,
    )
    assert (unknown.status_code, unknown.json()["code"]) == (404, "resource.not_found")
    assert Attribute.objects.filter(is_personal=True).count() == 2
    assert [one["name"] for one in caller.get("/attributes").json()["results"]] == ["plant", "owner"]


def test_how_late_vehicles_may_renew_is_a_setting(caller, tenant):
    changed = caller("PATCH", "/tenant", {"late_renewal_days": 0})
    refused = caller("PATCH", "/tenant", {"late_renewal_days": 3651})

    assert (changed.status_code, changed.json()["late_renewal_days"], refused.status_code) == (200, 0, 422)


WRITES = ["credentials/revoke", "ecu-swaps", "sale", "decommission", "recommission"]


@pytest.mark.parametrize("path", WRITES)
def test_another_tenants_vehicle_is_not_found_and_a_viewer_may_not(tenant, car, path):
    body = {"reason": "Why not."} | ({"old_serial": "BRAKE"} if path == "ecu-swaps" else {})
    foreign = make_caller(make_tenant("other")).post(f"/vehicles/VIN1/{path}", body)
    viewer = make_caller(tenant, "viewer").post(f"/vehicles/VIN1/{path}", body)

    assert (foreign.status_code, viewer.status_code) == (404, 403)
    assert Credential.objects.filter(revoked_at=None).count() == 2
    assert Vehicle.objects.get().decommissioned_at is None


def test_another_tenants_ca_is_not_found_and_a_fleet_manager_may_not_touch_ones_own(tenant, car):
    fleet.rotate_fleet_authority(tenant, reason="Age.", by="ann", at=NOON)
    retired = RetiredAuthority.objects.get()
    body = {"reason": "Why not.", "ends_certificates": True}

    foreign = make_caller(make_tenant("other")).post(f"/fleet-authorities/{retired.pk}/end", body)
    manager = make_caller(tenant, "fleet_manager").post(f"/fleet-authorities/{retired.pk}/end", body)

    assert (foreign.status_code, manager.status_code) == (404, 403)
    assert RetiredAuthority.objects.get().ended_at is None
