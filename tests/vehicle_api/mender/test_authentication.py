"""Asking to be let in, as devices see it."""

import hashlib
import json
from datetime import timedelta

import pytest
from django.test import Client

from otaserver.fleet import operations as fleet
from otaserver.fleet.authentication_models import AuthenticationSet
from otaserver.fleet.errors import CredentialInvalidError
from otaserver.fleet.models import Credential, Vehicle
from otaserver.fleet.operations import authentication
from otaserver.fleet.states import AuthenticationState, CredentialKind, Protocol
from tests.factories import NOON, make_tenant, make_vehicle
from tests.fleet.enrolments import enrol
from tests.vehicle_api.mender.devices import KINDS, Device, make_key, pem_of, signature_of


@pytest.fixture
def tenant(db, server_clock):
    return make_tenant("acme")


@pytest.fixture
def device(tenant):
    return Device(tenant_token=fleet.issue_tenant_token(tenant, name="factory", by="test", at=NOON))


def accept(device):
    """Let in the device that asked last."""
    found = AuthenticationSet.objects.latest("pk")
    fleet.accept_authentication(found, by="mia", at=NOON)
    return device.authenticate()


def check_refused(answer, status, code):
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.content
    assert set(answer.json()) == {"error", "code", "request_id"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_that_nobody_knows_waits_and_is_let_in_once_it_is_accepted(tenant, device, kind):
    device.key = make_key(kind)

    assert device.authenticate().status_code == 401
    answer = accept(device)

    assert answer.status_code == 200
    stored = Credential.objects.get()
    assert (stored.vehicle.vehicle_id, stored.vehicle.protocol) == (device.vehicle_id, Protocol.MENDER)
    assert (stored.kind, stored.fingerprint) == (CredentialKind.SESSION, hashlib.sha256(answer.content).hexdigest())
    assert answer["Cache-Control"] == "no-store"


def test_asking_again_and_again_is_one_wish(tenant, device, server_clock):
    for _ in range(3):
        server_clock.advance(seconds=90)
        check_refused(device.authenticate(), 401, "credential.invalid")

    wish = AuthenticationSet.objects.get()
    assert (wish.tenant, wish.claimed_vehicle_id, wish.state) == (tenant, device.vehicle_id, "pending")
    assert (wish.created_at, wish.requested_at) == (NOON + timedelta(seconds=90), NOON + timedelta(seconds=270))
    assert not Vehicle.objects.exists()


def test_one_identity_is_the_same_in_whatever_order_its_members_stand(device):
    device.identity = {"mac": "02:00:00:00:00:01", "vin": "VIN1"}
    device.authenticate()
    swapped = device.said(id_data='{"vin":"VIN1", "mac":"02:00:00:00:00:01"}')

    device.authenticate(swapped)

    assert AuthenticationSet.objects.get().claimed_vehicle_id == "VIN1"


def test_what_is_expected_is_let_in_at_once(tenant, device):
    fleet.preauthorise(
        tenant, [fleet.ExpectedDevice({"vin": device.vehicle_id}, pem_of(device.key), "CAR1")], by="mia", at=NOON
    )

    assert device.authenticate().status_code == 200
    assert Vehicle.objects.get().vehicle_id == "CAR1"
    assert AuthenticationSet.objects.get().decided_by == "preauthorised"


def test_an_expected_device_whose_vehicle_was_decommissioned_is_not_let_in(tenant, device):
    make_vehicle(tenant, device.vehicle_id)
    fleet.mark_decommissioned(Vehicle.objects.get(), at=NOON)
    fleet.preauthorise(
        tenant, [fleet.ExpectedDevice({"vin": device.vehicle_id}, pem_of(device.key))], by="mia", at=NOON
    )

    check_refused(device.authenticate(), 401, "credential.invalid")

    found = AuthenticationSet.objects.get()
    assert (found.state, found.reason[:20]) == ("preauthorised", f"Vehicle {device.vehicle_id} was decommissioned"[:20])
    assert not Credential.objects.exists()


def test_of_an_expected_identity_another_key_waits(tenant, device):
    fleet.preauthorise(
        tenant, [fleet.ExpectedDevice({"vin": device.vehicle_id}, pem_of(make_key()))], by="mia", at=NOON
    )

    assert device.authenticate().status_code == 401
    assert sorted(AuthenticationSet.objects.values_list("state", flat=True)) == ["pending", "preauthorised"]


def test_a_changed_key_waits_while_the_old_one_serves_on_and_takes_over_when_it_is_accepted(device):
    device.authenticate()
    accept(device)
    old_key, old_token = device.key, device.token
    device.key = make_key()

    assert device.authenticate().status_code == 401
    assert fleet.identify_session(old_token, at=NOON).vehicle.vehicle_id == device.vehicle_id
    assert accept(device).status_code == 200

    device.key = old_key
    assert device.authenticate().status_code == 401
    states = dict(AuthenticationSet.objects.order_by("pk").values_list("pk", "state"))
    assert list(states.values()) == ["rejected", "accepted"]
    with pytest.raises(CredentialInvalidError):
        fleet.identify_session(old_token, at=NOON)


def test_who_is_rejected_is_out_at_once_and_waits_no_more(device):
    device.authenticate()
    accept(device)

    fleet.reject_authentication(AuthenticationSet.objects.get(), reason="Stolen.", by="mia", at=NOON)

    check_refused(device.authenticate(), 401, "credential.invalid")
    assert Credential.objects.filter(revoked_at=None).count() == 0
    assert AuthenticationSet.objects.get().state == AuthenticationState.REJECTED


def test_whose_credentials_are_revoked_does_not_get_itself_another(device):
    device.authenticate()
    accept(device)

    fleet.revoke_credentials(Vehicle.objects.select_related("tenant").get(), by="mia", at=NOON)

    check_refused(device.authenticate(), 401, "credential.invalid")
    assert AuthenticationSet.objects.get().state == AuthenticationState.REJECTED


def test_a_vehicle_that_enrols_by_another_protocol_leaves_its_old_key_behind(device):
    device.authenticate()
    accept(device)
    enrolled = enrol(Vehicle.objects.select_related("tenant").get().tenant, vehicle_id=device.vehicle_id)

    check_refused(device.authenticate(), 401, "credential.invalid")
    assert (enrolled.vehicle.protocol, AuthenticationSet.objects.get().state) == (
        Protocol.UPTANE,
        AuthenticationState.REJECTED,
    )


def test_a_new_token_ends_the_one_before(device):
    device.authenticate()
    accept(device)
    first = device.token

    device.authenticate()

    assert Credential.objects.count() == 1
    assert device.token != first


def test_a_token_ends_after_a_week(device, server_clock):
    device.authenticate()
    accept(device)

    assert fleet.identify_session(device.token, at=NOON + timedelta(days=6)).vehicle.vehicle_id == device.vehicle_id
    with pytest.raises(CredentialInvalidError):
        fleet.identify_session(device.token, at=NOON + timedelta(days=7))


def test_a_device_without_a_tenant_token_is_of_the_default_tenant(device):
    device.tenant_token = ""

    check_refused(device.authenticate(), 401, "tenant_token.unknown")
    make_tenant("default")
    device.authenticate()

    assert AuthenticationSet.objects.get().tenant.name == "default"


def test_a_fleet_keeps_the_token_that_it_was_made_with(tenant, device):
    device.tenant_token = "eyJhbGciOiJSUzI1NiJ9.made.elsewhere"
    check_refused(device.authenticate(), 401, "tenant_token.unknown")
    fleet.issue_tenant_token(tenant, name="old", token=device.tenant_token, by="test", at=NOON)

    device.authenticate()

    assert AuthenticationSet.objects.get().tenant == tenant


def test_a_revoked_tenant_token_is_nobodys(tenant, device):
    fleet.revoke_tenant_token(tenant.device_tokens.get(), by="mia", at=NOON)

    check_refused(device.authenticate(), 401, "tenant_token.unknown")
    assert not AuthenticationSet.objects.exists()


def test_two_tenants_know_a_device_apart(tenant, device):
    other = make_tenant("other")
    device.authenticate()
    accept(device)
    device.tenant_token = fleet.issue_tenant_token(other, name="factory", by="test", at=NOON)

    assert device.authenticate().status_code == 401
    assert set(AuthenticationSet.objects.values_list("tenant__name", "state")) == {
        ("acme", "accepted"),
        ("other", "pending"),
    }


def test_a_signature_without_the_line_end_is_refused(device):
    body = device.said()

    check_refused(
        device.authenticate(body, signature_of(device.key, body.rstrip())), 401, "authentication.signature_invalid"
    )
    assert not AuthenticationSet.objects.exists()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("signature", ["", "%%%", "AAAA", "é"])
def test_a_signature_that_is_none_is_refused(device, kind, signature):
    device.key = make_key(kind)

    check_refused(device.authenticate(signature=signature), 401, "authentication.signature_invalid")
    assert not AuthenticationSet.objects.exists()


def test_a_signature_by_another_key_is_refused_even_of_an_accepted_device(device):
    device.authenticate()
    accept(device)
    body = device.said()

    check_refused(device.authenticate(body, signature_of(make_key(), body)), 401, "authentication.signature_invalid")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"pubkey": "none"}, "authentication.refused"),
        ({"pubkey": None}, "request.fields_invalid"),
        ({"pubkey": "A" * 5000}, "authentication.refused"),
        ({"id_data": "not JSON"}, "request.fields_invalid"),
        ({"id_data": "[]"}, "request.fields_invalid"),
        ({"id_data": "{}"}, "authentication.refused"),
        ({"id_data": '{"vin":7}'}, "authentication.refused"),
        ({"id_data": '{"vin":"a","vin":"b"}'}, "request.fields_invalid"),
        ({"id_data": '{"vin":"\\u0000"}'}, "request.fields_invalid"),
        ({"id_data": json.dumps({"vin": "a" * 256})}, "authentication.refused"),
        ({"id_data": json.dumps({str(number): "a" for number in range(21)})}, "authentication.refused"),
        ({"id_data": '{"vin":[]}'}, "authentication.refused"),
        ({"tenant_token": 7}, "request.fields_invalid"),
    ],
)
def test_a_malformed_wish_is_refused(device, changes, code):
    check_refused(device.authenticate(device.said(**changes)), 400, code)
    assert not AuthenticationSet.objects.exists()


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 20_000])
def test_what_is_no_json_is_refused(device, body):
    answer = device.authenticate(body)

    assert answer.status_code == 400
    assert not AuthenticationSet.objects.exists()


def test_a_wish_that_is_too_long_is_refused(device):
    check_refused(device.authenticate(b" " * 40_000), 413, "request.too_large")


def test_only_post_asks(device):
    answer = Client().get("/api/devices/v1/authentication/auth_requests")

    check_refused(answer, 405, "request.method")
    assert answer["Allow"] == "POST"


def test_what_waits_is_bounded_and_who_waits_already_is_still_heard(device, monkeypatch):
    monkeypatch.setattr(authentication, "MAX_WAITING_PER_ADDRESS", 1)
    device.authenticate()
    flood = Device("VIN2", device.tenant_token)

    answer = flood.authenticate()

    check_refused(answer, 429, "authentication.too_many")
    assert answer["Retry-After"] == "600"
    assert device.authenticate().status_code == 401
    assert AuthenticationSet.objects.count() == 1


def test_an_identity_that_names_no_vehicle_waits_for_somebody_who_does(tenant, device):
    device.identity = {"colour": "red", "size": "large"}
    device.authenticate()
    found = AuthenticationSet.objects.get()

    assert found.claimed_vehicle_id == ""
    assert fleet.accept_authentication(found, vehicle_id="CAR7", by="mia", at=NOON).vehicle_id == "CAR7"
    assert device.authenticate().status_code == 200
