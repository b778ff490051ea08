"""Deciding on devices that ask to be let in."""

import pytest

from otaserver.audit.models import Entry
from otaserver.fleet.authentication_models import AuthenticationSet, TenantToken
from otaserver.fleet.models import Credential, Vehicle
from otaserver.fleet.operations import sessions, tenant_of_token
from otaserver.fleet.states import AuthenticationState, CredentialKind, Protocol
from tests.factories import NOON, make_vehicle
from tests.vehicle_api.conftest import give_token
from tests.vehicle_api.mender.devices import make_key, pem_of


def expect(caller, *vehicle_ids, **fields):
    devices = [{"identity": {"vin": name}, "public_key": pem_of(make_key()), **fields} for name in vehicle_ids]
    return caller.post("/devices", {"devices": devices})


@pytest.fixture
def waiting(tenant):
    return AuthenticationSet.objects.create(
        tenant=tenant,
        identity={"vin": "VIN1"},
        identity_sha256="a" * 64,
        key_sha256="b" * 64,
        public_key="PEM",
        claimed_vehicle_id="VIN1",
        created_at=NOON,
        requested_at=NOON,
    )


def test_a_list_of_devices_is_expected_and_audited(caller):
    answer = expect(caller, "VIN1", "VIN2")

    assert (answer.status_code, answer.json()) == (201, {"expected": 2})
    listed = caller.get("/devices?state=preauthorised").json()["results"]
    assert [(row["vehicle_id"], row["is_key_change"]) for row in listed] == [("VIN2", False), ("VIN1", False)]
    entry = Entry.objects.get()
    assert (entry.action, entry.details["vehicle_ids"]) == ("devices.preauthorised", ["VIN1", "VIN2"])


@pytest.mark.parametrize(
    ("device", "code"),
    [
        ({"identity": {"vin": "VIN 1"}, "public_key": ""}, "request.fields_invalid"),
        ({"identity": {"vin": 7}, "public_key": pem_of(make_key())}, "authentication.refused"),
        ({"identity": {"vin": "VIN1"}, "public_key": "none"}, "authentication.refused"),
        ({"identity": {"a": "1", "b": "2"}, "public_key": pem_of(make_key())}, "authentication.refused"),
        ({"identity": {"vin": "x"}, "public_key": pem_of(make_key()), "vehicle_id": "a b"}, "vehicle.id_refused"),
    ],
)
def test_a_list_with_one_wrong_device_is_refused_whole(caller, device, code):
    good = {"identity": {"vin": "GOOD"}, "public_key": pem_of(make_key())}

    answer = caller.post("/devices", {"devices": [good, device]})

    assert (answer.status_code, answer.json()["code"]) == (422, code), answer.content
    assert not AuthenticationSet.objects.exists()


def test_a_device_is_not_expected_twice(caller):
    device = {"identity": {"vin": "VIN1"}, "public_key": pem_of(make_key())}

    twice = caller.post("/devices", {"devices": [device, device]})
    caller.post("/devices", {"devices": [device]})
    other = caller.post("/devices", {"devices": [{**device, "vehicle_id": "VIN2"}]})

    assert [twice.status_code, other.status_code] == [409, 409]
    assert AuthenticationSet.objects.count() == 1


def test_a_list_of_devices_may_come_again_with_more_in_it(caller):
    first, second = ({"identity": {"vin": vin}, "public_key": pem_of(make_key())} for vin in ("VIN1", "VIN2"))
    caller.post("/devices", {"devices": [first]})

    again = caller.post("/devices", {"devices": [first, second]})
    caller.post("/devices", {"devices": [first, second]})

    assert (again.status_code, again.json()) == (201, {"expected": 2})
    assert AuthenticationSet.objects.count() == 2
    assert [entry.details["vehicle_ids"] for entry in Entry.objects.order_by("pk")] == [["VIN1"], ["VIN2"]]


def test_what_waits_for_a_decision_is_not_decided_by_a_list(caller):
    device = {"identity": {"vin": "VIN1"}, "public_key": pem_of(make_key())}
    caller.post("/devices", {"devices": [device]})
    AuthenticationSet.objects.update(state=AuthenticationState.PENDING)

    assert caller.post("/devices", {"devices": [device]}).status_code == 409


def test_accepting_makes_the_vehicle(caller, waiting):
    answer = caller.post(f"/devices/{waiting.pk}/accept")

    assert (answer.status_code, answer.json()["state"]) == (200, AuthenticationState.ACCEPTED)
    vehicle = Vehicle.objects.get()
    assert (vehicle.vehicle_id, vehicle.protocol, vehicle.enrolled_at) == ("VIN1", Protocol.MENDER, NOON)
    assert (Entry.objects.get().action, Entry.objects.get().actor) == ("device.accepted", "token:a administrator")


def test_deciding_twice_is_a_conflict(caller, waiting):
    caller.post(f"/devices/{waiting.pk}/accept")

    assert caller.post(f"/devices/{waiting.pk}/accept").json()["code"] == "state.invalid_transition"
    assert Entry.objects.count() == 1


def test_a_vehicle_with_other_credentials_is_not_taken_over(caller, tenant, waiting):
    vehicle = make_vehicle(tenant, "VIN1")
    give_token(vehicle, "otav_secret")

    answer = caller.post(f"/devices/{waiting.pk}/accept")

    assert (answer.status_code, answer.json()["code"]) == (409, "authentication.vehicle_taken")
    waiting.refresh_from_db()
    vehicle.refresh_from_db()
    assert (waiting.state, vehicle.protocol, vehicle.ecus.count()) == ("pending", "uptane", 1)
    assert Credential.objects.get().revoked_at is None


def test_a_key_change_is_shown_as_one(caller, tenant, waiting):
    caller.post(f"/devices/{waiting.pk}/accept")
    AuthenticationSet.objects.create(
        tenant=tenant,
        identity={"vin": "VIN1"},
        identity_sha256="a" * 64,
        key_sha256="c" * 64,
        claimed_vehicle_id="VIN1",
        created_at=NOON,
    )

    listed = caller.get("/devices?vehicle=VIN1").json()["results"]

    assert [(row["state"], row["is_key_change"]) for row in listed] == [("pending", True), ("accepted", False)]


def test_rejecting_ends_what_the_device_was_given(caller, waiting):
    caller.post(f"/devices/{waiting.pk}/accept")
    sessions.begin_session(Vehicle.objects.get(), at=NOON)

    answer = caller.post(f"/devices/{waiting.pk}/reject", {"reason": "Stolen."})

    assert (answer.json()["state"], answer.json()["reason"]) == ("rejected", "Stolen.")
    assert Credential.objects.get(kind=CredentialKind.SESSION).revoked_at == NOON
    assert [entry.action for entry in Entry.objects.order_by("number")] == ["device.accepted", "device.rejected"]


def test_a_rejection_needs_a_reason(caller, waiting):
    assert caller.post(f"/devices/{waiting.pk}/reject").status_code == 422
    waiting.refresh_from_db()
    assert waiting.state == "pending"


def test_a_tenant_token_is_shown_once_and_ends(caller, tenant):
    token = caller.post("/tenant-tokens", {"name": "factory"}).json()["token"]

    assert tenant_of_token(token) == tenant
    listed = caller.get("/tenant-tokens").json()["results"][0]
    assert token not in str(listed)
    assert caller.post(f"/tenant-tokens/{listed['id']}/revoke").json()["revoked_at"] is not None
    assert [entry.action for entry in Entry.objects.order_by("number")] == [
        "tenant_token.issued",
        "tenant_token.revoked",
    ]


@pytest.mark.parametrize("token", ["short", "ü" * 20, "line\nend of a token", "a" * 4097])
def test_a_tenant_token_that_cannot_be_one_is_refused(caller, token):
    assert caller.post("/tenant-tokens", {"name": "factory", "token": token}).status_code == 422
    assert not TenantToken.objects.exists()


def test_a_token_of_one_tenant_does_not_become_anothers(caller, stranger):
    caller.post("/tenant-tokens", {"name": "factory", "token": "made somewhere else"})

    answer = stranger.post("/tenant-tokens", {"name": "ours", "token": "made somewhere else"})

    assert (answer.status_code, answer.json()["code"]) == (409, "tenant_token.exists")
    assert TenantToken.objects.get().tenant == caller.tenant
