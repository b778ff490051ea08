"""Who may speak as which vehicle, and who may make one known."""

from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.serialization import pkcs12

from otaserver.fleet import operations as fleet
from otaserver.fleet.models import Credential, Ecu, Vehicle
from tests.factories import NOON, make_tenant
from tests.fleet import provisioned
from tests.vehicle_api.conftest import check_problem

pytestmark = pytest.mark.any_database

ADDRESSES = [
    ("PUT", "director/manifest"),
    ("POST", "director/ecus"),
    ("GET", "director/targets.json"),
    ("GET", "director/snapshot.json"),
    ("GET", "director/timestamp.json"),
    ("GET", "repo/targets/supplier/engine-1.0"),
    ("POST", "events"),
    ("PUT", "system_info"),
    ("PUT", "system_info/network"),
    ("POST", "system_info/config"),
    ("PUT", "core/installed"),
]
DEVICE = {"deviceId": "VIN9", "ttl": "36000"}


def refused_everywhere(client, **others):
    for method, path in ADDRESSES:
        check_problem(client.call(method, path, {}, **others), 401, "credential.invalid")


def state():
    """All that a stranger could change."""
    return (
        list(Vehicle.objects.order_by("pk").values_list("vehicle_id", "protocol", "enrolled_at", "confirmed_at")),
        list(Credential.objects.order_by("pk").values_list("fingerprint", "revoked_at")),
        list(Ecu.objects.order_by("pk").values_list("serial", "keyid")),
    )


def test_forged_proxy_headers_from_any_other_address_mean_nothing(factory):
    client = factory.vehicle()
    before = state()

    for address in ("203.0.113.9", "10.1.2.4", "::1", ""):
        refused_everywhere(client, address=address)
        check_problem(client.call("POST", "devices", DEVICE, address=address), 401, "credential.invalid")

    assert state() == before


@pytest.mark.parametrize("verify", ["NONE", "FAILED:certificate has expired", "", "success"])
def test_what_the_proxy_did_not_verify_is_no_identity(factory, verify):
    client = factory.vehicle()

    refused_everywhere(client, headers={"X-Client-Verify": verify})


def test_a_foreign_certificate_with_the_vehicles_name_is_refused(factory):
    client = factory.vehicle()
    client.serial = "1234567890ABCDEF"

    refused_everywhere(client)


def test_a_vehicles_certificate_speaks_for_no_other(factory):
    first, second = factory.vehicle("VIN1"), factory.vehicle("VIN2")
    first.serial = second.serial

    refused_everywhere(first)


@pytest.mark.parametrize("subject", ["CN=VIN1,CN=VIN2", "O=acme", "", 'CN="VIN1"', "CN=VIN1\\00"])
def test_an_odd_subject_is_nobody(factory, subject):
    client = factory.vehicle()
    client.subject = subject

    refused_everywhere(client)


def test_another_tenants_address_is_not_for_the_vehicle(factory):
    client = factory.vehicle()
    make_tenant("other")
    client.tenant = "other"

    refused_everywhere(client)
    client.tenant = "nobody"
    check_problem(client.call("GET", "director/targets.json"), 404, "tenant.not_found")


def test_a_revoked_certificate_ends_at_once(factory):
    client = factory.vehicle()
    fleet.revoke_credentials(Vehicle.objects.get(), by="alice", at=NOON)

    refused_everywhere(client)


def test_an_expired_certificate_ends(factory, server_clock):
    client = factory.vehicle(registered=False)
    client.provision(factory.shared, "VIN2", ttl="30")
    server_clock.advance(days=30)

    refused_everywhere(client)


def test_the_shared_certificate_speaks_for_no_vehicle(factory):
    client = factory.vehicle()
    client.show(pkcs12.load_pkcs12(factory.shared, b"").cert.certificate)

    refused_everywhere(client)


# Provisioning


def ask(client, body=None, **others):
    return client.call("POST", "devices", DEVICE if body is None else body, **others)


@pytest.fixture
def stranger(factory):
    """A client that shows the shared certificate."""
    client = factory.vehicle()
    client.show(pkcs12.load_pkcs12(factory.shared, b"").cert.certificate)
    return client


def test_the_answer_is_a_pkcs12_that_nobody_keeps(stranger):
    answer = ask(stranger)

    assert (answer.status_code, answer["Content-Type"]) == (200, "application/x-pkcs12")
    assert answer["Cache-Control"] == "no-store"
    assert pkcs12.load_pkcs12(answer.content, b"").cert is not None


def test_a_vehicles_own_certificate_provisions_none(factory):
    client = factory.vehicle()
    before = state()

    check_problem(ask(client), 401, "credential.invalid")

    assert state() == before


def test_a_device_that_is_registered_already_is_told_so_in_the_clients_own_word(stranger):
    before = state()

    check_problem(ask(stranger, {"deviceId": "VIN1", "ttl": "36000"}), 409, "device_already_registered")

    assert state() == before


@pytest.mark.parametrize("end", ["revoke", "expire"])
def test_a_shared_certificate_that_ended_provisions_none(factory, stranger, server_clock, end):
    if end == "revoke":
        fleet.revoke_provisioning_credential(factory.provisioner, by="alice", at=NOON)
    else:
        server_clock.advance(days=365)
    before = state()

    check_problem(ask(stranger), 401, "credential.invalid")

    assert state() == before


def test_what_vehicles_got_by_it_outlives_a_revoked_shared_certificate(factory):
    client = factory.vehicle()
    fleet.revoke_provisioning_credential(factory.provisioner, by="alice", at=NOON)

    assert client.send_manifest().status_code == 200


def test_a_shared_certificate_is_of_one_tenant(factory, stranger):
    provisioned.issue(make_tenant("other"))
    stranger.tenant = "other"

    check_problem(ask(stranger), 401, "credential.invalid")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "request.malformed"),
        (b"[]", 422, "request.fields_invalid"),
        ({"ttl": "36000"}, 422, "request.fields_invalid"),
        ({"deviceId": "VIN9"}, 422, "request.fields_invalid"),
        ({"deviceId": "VIN9", "ttl": 36000}, 422, "request.fields_invalid"),
        ({"deviceId": "VIN9", "ttl": "soon"}, 422, "request.fields_invalid"),
        ({"deviceId": "VIN9", "ttl": "0"}, 422, "request.fields_invalid"),
        ({"deviceId": "VIN9", "ttl": "²"}, 422, "request.fields_invalid"),
        ({"deviceId": 9, "ttl": "1"}, 422, "request.fields_invalid"),
        ({"deviceId": "../VIN9", "ttl": "1"}, 422, "vehicle.id_refused"),
        ({"deviceId": "", "ttl": "1"}, 422, "vehicle.id_refused"),
        ({"deviceId": "provisioning line-1", "ttl": "1"}, 422, "vehicle.id_refused"),
        (b" " * 5000, 413, "request.too_large"),
    ],
)
def test_a_malformed_request_provisions_none(stranger, body, status, code):
    before = state()

    check_problem(ask(stranger, body), status, code)

    assert state() == before


def test_a_very_long_life_is_cut_to_the_authoritys(stranger):
    assert ask(stranger, {"deviceId": "VIN9", "ttl": "9999999999"}).status_code == 200

    assert Credential.objects.get(vehicle__vehicle_id="VIN9").expires_at < NOON + timedelta(days=21 * 365)


def test_other_methods_are_405(stranger):
    assert stranger.call("GET", "devices")["Allow"] == "POST"
    assert stranger.call("POST", "director/manifest").status_code == 405


# ECUs


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        (lambda body: body.pop("primary_ecu_serial"), 422, "request.fields_invalid"),
        (lambda body: body.update(primary_ecu_serial="ANOTHER"), 422, "ecu.refused"),
        (lambda body: body.update(ecus=[]), 422, "ecu.refused"),
        (lambda body: body.update(ecus={}), 422, "request.fields_invalid"),
        (lambda body: body.update(ecus=["x"]), 422, "request.fields_invalid"),
        (lambda body: body.update(ecus=body["ecus"] * 2), 422, "ecu.refused"),
        (lambda body: body["ecus"][0].pop("clientKey"), 422, "request.fields_invalid"),
        (lambda body: body["ecus"][0].update(hardware_identifier="a b"), 422, "ecu.refused"),
        (lambda body: body["ecus"][0]["clientKey"].update(keytype="ECDSA"), 422, "request.fields_invalid"),
        (lambda body: body["ecus"][0]["clientKey"].update(keyval={"public": "F3"}), 422, "ecu.key_refused"),
        (lambda body: body["ecus"][0]["clientKey"].update(keytype="RSA"), 422, "ecu.key_refused"),
    ],
)
def test_malformed_ecus_are_refused_and_change_nothing(factory, change, status, code):
    client = factory.vehicle()
    before = state()
    ecus = [{"ecu_serial": "NEW", "hardware_identifier": "gateway", "clientKey": client.primary.public}]
    body = {"primary_ecu_serial": "NEW", "ecus": ecus}
    change(body)

    check_problem(client.call("POST", "director/ecus", body), status, code)

    assert state() == before


def test_an_ecu_of_another_vehicle_is_told_so_in_the_clients_own_word(factory):
    factory.vehicle("VIN1")
    client = factory.vehicle("VIN2", registered=False)
    before = state()
    client.ecus[0].serial = "PRIM-VIN1"

    check_problem(client.register(), 409, "ecu_already_registered")

    assert state() == before


def test_one_key_in_two_spellings_is_one_key(factory):
    client = factory.vehicle(registered=False)
    public = client.primary.public["keyval"]["public"]
    ecus = [
        {
            "ecu_serial": serial,
            "hardware_identifier": "gateway",
            "clientKey": {"keytype": "ED25519", "keyval": {"public": spelt}},
        }
        for serial, spelt in (("A", public.lower()), ("B", public.upper()))
    ]

    answer = client.call("POST", "director/ecus", {"primary_ecu_serial": "A", "ecus": ecus})

    check_problem(answer, 422, "ecu.refused")
