import pytest

from otaserver.audit.models import Entry
from otaserver.fleet.models import Credential, Ecu, Vehicle
from otaserver.fleet.operations import identify_pre_shared
from otaserver.fleet.protocol_models import DdiSettings, GatewayToken
from tests.factories import NOON

DEFAULTS = {
    "default_hardware_id": "unknown",
    "hardware_attribute": "",
    "version_attribute": "",
    "chunk_parts": {},
    "authorities": [],
}
BOARD = {"serial": "dev1", "hardware_id": "board"}


def test_settings_are_the_defaults_until_they_are_changed(caller):
    assert caller.get("/tenant/ddi").json() == DEFAULTS

    changed = caller("PATCH", "/tenant/ddi", {"chunk_parts": {"mcu": "bApp"}, "version_attribute": "sw"})
    caller("PATCH", "/tenant/ddi", {"authorities": ["Fleet CA"]})

    wanted = DEFAULTS | {"chunk_parts": {"mcu": "bApp"}, "version_attribute": "sw"}
    assert (changed.status_code, changed.json()) == (200, wanted)
    assert caller.get("/tenant/ddi").json() == wanted | {"authorities": ["Fleet CA"]}
    assert [entry.action for entry in Entry.objects.all()] == ["ddi_settings.changed"] * 2


@pytest.mark.parametrize(
    "changes",
    [
        {"default_hardware_id": "with space"},
        {"hardware_attribute": "a\n"},
        {"chunk_parts": {"mcu": "with space"}},
        {"chunk_parts": {f"h{n}": "os" for n in range(101)}},
        {"authorities": ["a,b"]},
        {"authorities": [f"a{n}" for n in range(21)]},
    ],
)
def test_settings_out_of_their_form_are_refused(caller, changes):
    response = caller("PATCH", "/tenant/ddi", changes)

    assert response.status_code in (400, 422)
    assert not DdiSettings.objects.exists()


def test_a_vehicle_is_declared_with_its_computers_and_a_token(caller, tenant):
    body = {"vehicle_id": "dev1", "ecus": [BOARD, {"serial": "mcu1", "hardware_id": "mcu"}]}

    made = caller.post("/ddi/vehicles", body)

    assert made.status_code == 201
    assert identify_pre_shared(tenant, "dev1", made.json()["token"], at=NOON).vehicle == Vehicle.objects.get()
    assert list(Ecu.objects.order_by("pk").values_list("hardware_id", flat=True)) == ["board", "mcu"]
    shown = caller.get("/vehicles/dev1").json()
    assert (shown["protocol"], shown["ecus"][0]["is_asserted"], shown["client"]) == ("ddi", False, "")


def test_a_vehicle_that_was_flashed_with_a_token_keeps_it(caller, tenant):
    caller.post("/ddi/vehicles", {"vehicle_id": "dev1", "ecus": [BOARD], "token": "flashed-token"})

    identify_pre_shared(tenant, "dev1", "flashed-token", at=NOON)
    replaced = caller.post("/vehicles/dev1/target-token", {})

    assert replaced.status_code == 201
    assert Credential.objects.filter(revoked_at=None).count() == 1
    assert "flashed-token" not in str(list(Entry.objects.values_list("details", flat=True)))


@pytest.mark.parametrize(
    "body",
    [
        {"vehicle_id": "dev1", "ecus": []},
        {"vehicle_id": "../x", "ecus": [BOARD]},
        {"vehicle_id": "dev1", "ecus": [BOARD], "token": "short"},
        {"vehicle_id": "dev1", "ecus": [BOARD, BOARD]},
    ],
)
def test_a_declaration_is_taken_whole_or_not_at_all(caller, body):
    assert caller.post("/ddi/vehicles", body).status_code in (400, 422)
    assert not Vehicle.objects.exists()


def test_gateway_tokens_are_shown_once_listed_and_ended(caller, tenant):
    made = caller.post("/gateway-tokens", {"name": "line"})
    assert made.status_code == 201
    assert caller.post("/gateway-tokens", {"name": "line"}).status_code == 409

    listed = caller.get("/gateway-tokens").json()["results"]
    ended = caller.post(f"/gateway-tokens/{listed[0]['id']}/revoke")

    assert [set(row) for row in listed] == [{"id", "name", "created_by", "created_at", "revoked_at"}]
    assert (ended.status_code, ended.json()["revoked_at"]) == (200, "2026-06-01T12:00:00Z")
    assert made.json()["token"] not in str(list(GatewayToken.objects.values()))
