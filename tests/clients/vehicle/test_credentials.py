import json
import stat
from datetime import timedelta

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding

from clients.vehicle.agent import Agent
from clients.vehicle.hooks import WillingHooks
from tests.clients.vehicle.repositories import stamp
from tests.clients.vehicle.vehicles import Vehicle, make_config

AUTHORITY = generate_private_key(SECP256R1())


def issue(at, public_key):
    """A certificate of the fleet CA, in PEM."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "VIN1")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(public_key)
    builder = builder.serial_number(1).not_valid_before(at).not_valid_after(at + timedelta(days=30))
    return builder.sign(AUTHORITY, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


def requested(body):
    """The key that an enrolment or a renewal wants certified."""
    return x509.load_pem_x509_csr(body["certificate_request"].encode()).public_key()


@pytest.fixture
def answers(oem):
    """Enrolments as the server hears them; it answers with a certificate."""
    heard = []

    def enrol(request):
        heard.append(json.loads(request.read()))
        is_requested = heard[-1]["certificate_request"] is not None
        answer = {
            "vehicle_id": "VIN1",
            "token": "t",
            "token_expires_at": stamp(oem.at + timedelta(days=90)),
            "certificate": issue(oem.at, requested(heard[-1])) if is_requested else None,
            "certificate_expires_at": stamp(oem.at + timedelta(days=30)),
            "authority": issue(oem.at, AUTHORITY.public_key()) if is_requested else None,
            "polling_seconds": 60,
        }
        return httpx.Response(201, json=answer)

    oem.overrides["/enrol"] = enrol
    oem.overrides["/director/manifest"] = lambda _request: httpx.Response(503)
    return heard


def test_a_vehicle_asks_for_a_certificate_with_a_key_of_its_own(oem, tmp_path, answers):
    vehicle = Vehicle(oem, tmp_path, wants_certificate=True)

    vehicle.run()

    request = x509.load_pem_x509_csr(answers[0]["certificate_request"].encode())
    key = request.public_key()
    assert isinstance(key, EllipticCurvePublicKey)
    assert isinstance(key.curve, SECP256R1)
    assert request.subject.rfc4514_string() == "CN=VIN1"
    assert request.is_signature_valid
    folder = vehicle.config.state_dir
    leaf, authority = x509.load_pem_x509_certificates((folder / "certificate.pem").read_bytes())
    assert (leaf.public_key(), authority.public_key()) == (key, AUTHORITY.public_key())
    for name in ("certificate.key", "credentials.json"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
    # The certificate ends first, so it decides: two thirds of 30 days.
    assert json.loads((folder / "credentials.json").read_text())["renew_at"] == stamp(oem.at + timedelta(days=20))


def test_a_vehicle_names_its_ecus_once(oem, tmp_path, answers):
    vehicle = Vehicle(oem, tmp_path)
    vehicle.run()
    vehicle.restart()
    vehicle.run()

    (body,) = answers
    assert (body["vehicle_id"], body["claim_code"], body["certificate_request"]) == ("VIN1", "claim", None)
    assert [(ecu["serial"], ecu["hardware_id"], ecu["is_primary"]) for ecu in body["ecus"]] == [
        ("P1", "gateway", True),
        ("S1", "engine", False),
        ("S2", "seat", False),
    ]
    assert len({ecu["public_key"]["keyval"]["public"] for ecu in body["ecus"]}) == 3


def renewals(oem):
    heard = []

    def renew(request):
        heard.append(request)
        return httpx.Response(200, json={"token": "t2", "token_expires_at": stamp(oem.at + timedelta(days=90))})

    oem.overrides["/renew"] = renew
    return heard


def test_a_clock_that_stood_ahead_at_enrolment_delays_no_renewal_past_the_end(oem, tmp_path, answers):
    heard = renewals(oem)
    vehicle = Vehicle(oem, tmp_path)
    vehicle.later(days=200)
    vehicle.run()
    assert len(answers) == 1

    vehicle.at = oem.at + timedelta(days=2)
    vehicle.run()

    # The credential ends in 28 days; how long it lasts could not be told.
    assert len(heard) == 1


def test_a_clock_that_stays_ahead_renews_once_a_day_and_not_at_every_poll(oem, tmp_path, answers):
    heard = renewals(oem)
    vehicle = Vehicle(oem, tmp_path)
    vehicle.later(days=200)
    for _ in range(8):
        vehicle.later(hours=6)
        vehicle.run()

    assert len(heard) == 1


@pytest.mark.parametrize("answer", [None, [], {}, {"token": "t2"}, {"token": "t2", "token_expires_at": "soon"}])
def test_a_renewal_that_cannot_be_read_leaves_the_old_credential_and_the_poll(oem, tmp_path, answers, answer):
    oem.overrides["/renew"] = lambda _request: httpx.Response(200, json=answer)
    vehicle = Vehicle(oem, tmp_path)
    vehicle.run()
    before = (vehicle.config.state_dir / "credentials.json").read_bytes()

    vehicle.later(days=25)
    vehicle.run()

    assert (vehicle.config.state_dir / "credentials.json").read_bytes() == before
    renewal = next(n for n, request in enumerate(oem.requests) if request.url.path.endswith("/renew"))
    assert any(request.url.path.endswith("/timestamp.json") for request in oem.requests[renewal:])


def broken(_at, _body):
    return "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


def for_another_key(at, _body):
    return issue(at, generate_private_key(SECP256R1()).public_key())


def half_a_surrogate_pair(_at, _body):
    return "\ud800"


@pytest.mark.parametrize("forge", [broken, for_another_key, half_a_surrogate_pair])
def test_a_certificate_that_tls_would_not_take_replaces_nothing(oem, tmp_path, answers, forge):
    def renew(request):
        certificate = forge(oem.at, json.loads(request.read()))
        expiry = stamp(oem.at + timedelta(days=90))
        return httpx.Response(200, json={"token": "t2", "token_expires_at": expiry, "certificate": certificate})

    oem.overrides["/renew"] = renew
    vehicle = Vehicle(oem, tmp_path, wants_certificate=True)
    vehicle.run()
    folder = vehicle.config.state_dir
    before = {path.name: path.read_bytes() for path in folder.glob("c*") if path.is_file()}

    vehicle.later(days=25)
    vehicle.run()

    assert any(request.url.path.endswith("/renew") for request in oem.requests)
    assert {path.name: path.read_bytes() for path in folder.glob("c*") if path.is_file()} == before


def test_a_certificate_that_went_bad_on_disk_leaves_the_token(oem, tmp_path, answers):
    Vehicle(oem, tmp_path, wants_certificate=True).run()
    (tmp_path / "state/certificate.pem").write_text("")
    config = make_config(oem, tmp_path, server_url="https://ota.example", wants_certificate=True)

    agent = Agent(config, hooks=WillingHooks(), clock=lambda: oem.at)

    agent.close()


def test_another_claim_code_enrols_anew(oem, tmp_path, answers):
    Vehicle(oem, tmp_path).run()
    vehicle = Vehicle(oem, tmp_path, claim_code="second")

    vehicle.run()

    assert [body["claim_code"] for body in answers] == ["claim", "second"]
    assert answers[0]["ecus"] == answers[1]["ecus"]


def test_without_claim_code_nothing_is_asked(oem, tmp_path):
    vehicle = Vehicle(oem, tmp_path, claim_code="")

    assert vehicle.run().detail.startswith("claim.missing:")
    assert oem.requests == []
