from datetime import timedelta

import pytest
from django.test import Client, RequestFactory

from otaserver.fleet.models import Credential
from otaserver.fleet.states import CredentialKind
from otaserver.vehicle_api import identity
from tests.director.signing_vehicle import make_signing_vehicle
from tests.factories import NOON, make_tenant
from tests.vehicle_api.conftest import check_problem

TIMESTAMP = "/uptane/acme/director/metadata/timestamp.json"
PROXY = "10.1.2.3"


@pytest.fixture
def certified(car):
    """The car with a client certificate, serial 0x2a."""
    Credential.objects.create(
        vehicle=car.vehicle,
        kind=CredentialKind.CERTIFICATE,
        fingerprint="2a",
        created_at=NOON,
        expires_at=NOON + timedelta(days=30),
    )
    return car


def poll(subject, *, address=PROXY, serial="2A", verify="SUCCESS"):
    headers = {"X-Client-Verify": verify, "X-Client-Serial": serial, "X-Client-Subject": subject}
    return Client().get(TIMESTAMP, headers=headers, REMOTE_ADDR=address)


def test_a_certificate_that_a_trusted_proxy_verified_is_an_identity(certified, settings):
    settings.TRUSTED_PROXIES = ["10.1.0.0/16"]

    response = poll(f"CN={certified.vehicle.vehicle_id},O=acme")

    assert response.json()["signed"]["vehicle_id"] == certified.vehicle.vehicle_id


# A25: forged, foreign, revoked and expired identities.
def test_a25_certificate_headers_from_anybody_else_mean_nothing(certified, settings):
    settings.TRUSTED_PROXIES = ["10.1.0.0/16"]

    check_problem(poll(f"CN={certified.vehicle.vehicle_id}", address="10.2.0.1"), 401, "credential.invalid")


def test_a25_without_trusted_proxies_certificate_headers_mean_nothing(certified):
    check_problem(poll(f"CN={certified.vehicle.vehicle_id}", address="127.0.0.1"), 401, "credential.invalid")


@pytest.mark.parametrize(
    "changes",
    [
        {"verify": "FAILED:certificate has expired"},
        {"verify": "NONE"},
        {"serial": "2b"},
        {"serial": ""},
        {"subject": "CN=VIN-OF-SOMEBODY"},
        {"subject": ""},
    ],
)
def test_a25_an_unverified_or_unknown_certificate_is_refused(certified, settings, changes):
    settings.TRUSTED_PROXIES = [PROXY]

    response = poll(**{"subject": f"CN={certified.vehicle.vehicle_id}"} | changes)

    check_problem(response, 401, "credential.invalid")


def test_a25_another_vehicles_certificate_with_ones_own_name_is_refused(certified, settings):
    settings.TRUSTED_PROXIES = [PROXY]
    other = make_signing_vehicle(certified.vehicle.tenant)

    check_problem(poll(f"CN={other.vehicle.vehicle_id}"), 401, "credential.invalid")


@pytest.mark.parametrize("ended", [{"revoked_at": NOON}, {"expires_at": NOON}])
@pytest.mark.parametrize("kind", [CredentialKind.TOKEN, CredentialKind.CERTIFICATE])
def test_a25_a_revoked_or_expired_credential_is_refused(certified, caller, settings, ended, kind):
    settings.TRUSTED_PROXIES = [PROXY]
    Credential.objects.filter(kind=kind).update(**ended)

    if kind == CredentialKind.TOKEN:
        response = caller.get("director/metadata/timestamp.json")
    else:
        response = poll(f"CN={certified.vehicle.vehicle_id}")

    check_problem(response, 401, "credential.invalid")


@pytest.mark.parametrize("header", ["", "Basic eDp5", "Bearer", "Bearer ", "Bearer wrong", "Bearer a b", "Bearer ä"])
def test_what_is_no_good_token_is_refused(trust, header):
    response = Client().get(TIMESTAMP, headers={"Authorization": header})

    check_problem(response, 401, "credential.invalid")


def test_tenants_compare_without_case(caller):
    caller.tenant = "AcMe"

    assert caller.get("director/metadata/timestamp.json").status_code == 200


def test_an_unknown_tenant_is_404(caller):
    caller.tenant = "nobody"

    check_problem(caller.get("director/metadata/timestamp.json"), 404, "tenant.not_found")


@pytest.mark.parametrize(
    ("subject", "name"),
    [
        ("CN=VIN1", "VIN1"),
        ("O=acme,CN=VIN1,C=DE", "VIN1"),
        ("cn=VIN1", "VIN1"),
        (r"CN=A\+B\,C", "A+B,C"),
        ("CN=A/B", "A/B"),
        ("O=acme", None),
        ("CN=VIN1,CN=VIN2", None),
        ("CN=VIN1+CN=VIN2", None),
        (r"O=x\,CN=VIN2", None),
        (r"O=a\,CN=VIN2,CN=VIN1", "VIN1"),
        ("CN=VÍN", None),
        (r"CN=V\C3\8DN", None),
        ('CN="VIN1"', None),
        ("CN=VIN1,", "VIN1"),
        ("/C=DE/CN=VIN1", None),
        ("", None),
    ],
)
def test_a25_only_one_plain_common_name_counts(subject, name):
    assert identity.common_name(subject) == name


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("203.0.113.9", "", "203.0.113.9"),
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),
        (PROXY, "198.51.100.1", "198.51.100.1"),
        (PROXY, "198.51.100.1, 192.0.2.7", "192.0.2.7"),
        (PROXY, "192.0.2.7, 10.1.9.9", "192.0.2.7"),
        ("::ffff:10.1.2.3", "192.0.2.7", "192.0.2.7"),
        ("", "192.0.2.7", ""),
    ],
)
def test_an_address_is_taken_from_trusted_proxies_only(settings, peer, forwarded, address):
    settings.TRUSTED_PROXIES = ["10.1.0.0/16"]
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}

    assert identity.client_address(RequestFactory().get("/", headers=headers, REMOTE_ADDR=peer)) == address


def test_a_vehicle_of_another_tenant_with_the_same_id_is_another_vehicle(certified, settings):
    settings.TRUSTED_PROXIES = [PROXY]
    other = make_tenant("other")
    make_signing_vehicle(other, vehicle_id=certified.vehicle.vehicle_id)
    headers = {
        "X-Client-Verify": "SUCCESS",
        "X-Client-Serial": "2a",
        "X-Client-Subject": f"CN={certified.vehicle.vehicle_id}",
    }

    response = Client().get(TIMESTAMP.replace("acme", "other"), headers=headers, REMOTE_ADDR=PROXY)

    check_problem(response, 401, "credential.invalid")
