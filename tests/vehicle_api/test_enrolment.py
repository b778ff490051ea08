from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.test import Client

from otaserver.fleet import operations as fleet
from otaserver.fleet.models import Credential, Vehicle
from tests.director.signing_vehicle import EcuKey
from tests.factories import NOON, make_tenant
from tests.vehicle_api.conftest import Caller, check_problem


@pytest.fixture
def tenant(db, server_clock):
    return make_tenant("acme", polling_seconds=60)


@pytest.fixture
def stranger(tenant):
    return Caller(Client(), "acme", "none-yet")


def request(code, **changes):
    ecus = [
        {"serial": "A", "hardware_id": "gateway", "is_primary": True, "public_key": EcuKey().public},
        {"serial": "B", "hardware_id": "brake", "is_primary": False, "public_key": EcuKey().public},
    ]
    return {"vehicle_id": "VIN1", "claim_code": code, "ecus": ecus, "certificate_request": None} | changes


def code_for(tenant, vehicle_id="VIN1"):
    return fleet.create_claim_code(tenant, vehicle_id, at=NOON)


def test_a_claim_code_makes_a_vehicle_with_a_token_that_works(stranger, tenant):
    response = stranger.post("enrol", request(code_for(tenant)))

    body = response.json()
    assert (response.status_code, response["Cache-Control"]) == (201, "no-store")
    token = body.pop("token")
    assert body == {
        "vehicle_id": "VIN1",
        "token_expires_at": "2027-06-01T12:00:00Z",
        "certificate": None,
        "certificate_expires_at": None,
        "authority": None,
        "polling_seconds": 60,
    }
    assert list(Vehicle.objects.get().ecus.order_by("serial").values_list("serial", "is_primary")) == [
        ("A", True),
        ("B", False),
    ]
    renewed = Caller(Client(), "acme", token).post("renew", {"certificate_request": None})
    assert (renewed.status_code, renewed.json()["vehicle_id"]) == (200, "VIN1")
    assert renewed.json()["token"] != token


def test_a_replaced_token_lives_on_until_the_new_one_is_used(stranger, tenant, server_clock):
    old = Caller(Client(), "acme", stranger.post("enrol", request(code_for(tenant))).json()["token"])
    old.post("renew", {"certificate_request": None})
    server_clock.advance(days=30)
    # The answer was lost while the vehicle was parked.
    new = Caller(Client(), "acme", old.post("renew", {"certificate_request": None}).json()["token"])
    assert old.post("events", []).status_code == 200

    assert new.post("events", []).status_code == 200

    check_problem(old.post("events", []), 401, "credential.invalid")
    check_problem(old.post("renew", {"certificate_request": None}), 401, "credential.invalid")


def test_a_used_code_is_409(stranger, tenant):
    code = code_for(tenant)
    stranger.post("enrol", request(code))

    check_problem(stranger.post("enrol", request(code)), 409, "claim.used")

    assert Credential.objects.count() == 1


def test_a_code_of_another_tenant_is_403(stranger):
    check_problem(stranger.post("enrol", request(code_for(make_tenant()))), 403, "claim.invalid")

    assert not Vehicle.objects.exists()


def test_guessing_is_429_and_says_when_to_try_again(stranger, tenant):
    for _ in range(10):
        check_problem(stranger.post("enrol", request("GUESS")), 403, "claim.invalid")

    response = stranger.post("enrol", request(code_for(tenant)))

    check_problem(response, 429, "claim.rate_limited")
    assert 0 < int(response["Retry-After"]) <= 600
    assert not Vehicle.objects.exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"ecus": None},
        {"ecus": ["A"]},
        {"ecus": [{"serial": "A"}]},
        {"vehicle_id": 7},
        {"vehicle_id": "x" * 300},
        {"claim_code": None},
        {"certificate_request": 5},
    ],
)
def test_a_request_of_another_shape_is_422_and_uses_up_nothing(stranger, tenant, changes):
    code = code_for(tenant)

    check_problem(stranger.post("enrol", request(code, **changes)), 422, "request.fields_invalid")

    assert not Vehicle.objects.exists()
    assert stranger.post("enrol", request(code)).status_code == 201


def test_malformed_json_is_400_with_its_position(stranger):
    problem = check_problem(stranger.post("enrol", b'{"vehicle_id": '), 400, "request.malformed")

    assert (problem["line"], problem["column"]) == (1, 16)


def test_an_old_token_is_worth_nothing_after_a_new_enrolment(stranger, tenant):
    token = stranger.post("enrol", request(code_for(tenant))).json()["token"]
    fleet_code = fleet.create_claim_code(tenant, "VIN1", at=NOON + timedelta(minutes=1))
    stranger.post("enrol", request(fleet_code))

    check_problem(Caller(Client(), "acme", token).post("events", []), 401, "credential.invalid")


def test_a_certificate_request_gets_a_certificate_of_the_fleet_authority(stranger, tenant):
    fleet.create_fleet_authority(tenant, at=NOON)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "VIN1")])
    csr = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    pem = csr.public_bytes(serialization.Encoding.PEM).decode()

    body = stranger.post("enrol", request(code_for(tenant), certificate_request=pem)).json()

    certificate = x509.load_pem_x509_certificate(body["certificate"].encode())
    authority = x509.load_pem_x509_certificate(body["authority"].encode())
    certificate.verify_directly_issued_by(authority)
    assert certificate.public_key() == key.public_key()
    assert body["certificate_expires_at"] == certificate.not_valid_after_utc.strftime("%Y-%m-%dT%H:%M:%SZ")
