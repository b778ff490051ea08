"""Check my device: what is kept of requests, and that nothing is of all others."""

from datetime import timedelta

import pytest
from django.db import DatabaseError
from django.test import Client

from otaserver.fleet import operations as fleet
from otaserver.fleet.models import Credential, Vehicle
from otaserver.fleet.watch_models import SeenRequest
from otaserver.vehicle_api import seen
from tests.factories import NOON, make_tenant
from tests.vehicle_api.conftest import check_problem

pytestmark = pytest.mark.any_database

POLL = "director/metadata/timestamp.json"


def watch(car, hours=1):
    fleet.watch_vehicle(Vehicle.objects.get(pk=car.vehicle.pk), hours=hours, by="ann", at=NOON)


def watch_address(tenant):
    fleet.watch_address(tenant, "127.0.0.1", hours=1, by="ann", at=NOON)


def the_one():
    return SeenRequest.objects.get()


def test_an_answered_request_of_a_watched_vehicle_is_kept(caller, car):
    watch(car)

    response = caller.get(POLL, User_Agent="ota-vehicle/1")

    found = the_one()
    assert response.status_code == 200
    assert (found.vehicle, found.status, found.code, found.reason) == (car.vehicle, 200, "", "")
    assert (found.method, found.path) == ("GET", f"/uptane/acme/{POLL}")
    assert (found.identity, found.client, found.address) == (
        "a token that begins with otav_sec",
        "ota-vehicle/1",
        "127.0.0.1",
    )
    assert "otav_secret" not in str(vars(found))


def test_a_refusal_of_a_vehicle_that_is_known_says_why(caller, car):
    watch(car)

    response = caller.post("events", b"nonsense")

    body = check_problem(response, 400, "request.malformed")
    assert (the_one().status, the_one().code, the_one().reason) == (400, "request.malformed", body["detail"])


@pytest.mark.parametrize(
    ("ended", "why"),
    [
        ({"revoked_at": NOON}, "revoked on 2026-06-01 12:00"),
        ({"expires_at": NOON - timedelta(days=3)}, "ended on 2026-05-29 12:00"),
    ],
)
def test_of_an_ended_credential_the_operator_is_told_why_and_the_caller_not(caller, car, ended, why):
    watch(car)
    Credential.objects.update(**ended)

    body = check_problem(caller.get(POLL), 401, "credential.invalid")

    assert (the_one().vehicle, the_one().code) == (car.vehicle, "credential.invalid")
    assert why in the_one().reason
    assert why not in body["detail"]


def test_of_a_certificate_that_does_not_hold_it_is_kept_what_the_proxy_said(trust, settings):
    settings.TRUSTED_PROXIES = ["127.0.0.1"]
    watch_address(trust.tenant)
    headers = {
        "X-Client-Verify": "FAILED:certificate has expired",
        "X-Client-Serial": "2A",
        "X-Client-Subject": "CN=VIN1,O=acme",
    }

    Client().get(f"/uptane/acme/{POLL}", headers=headers)

    assert the_one().identity == "a certificate: FAILED:certificate has expired, CN=VIN1,O=acme, serial 2A"
    assert "No vehicle of acme has, or lately had, this certificate." in the_one().reason


@pytest.mark.parametrize(
    ("headers", "identity"),
    [
        ({}, "nothing"),
        ({"Authorization": "Bearer wrong-token-of-somebody"}, "a token that begins with wrong-to"),
        ({"Authorization": "TargetToken abc"}, "Authorization: TargetToken …"),
        ({"X-Client-Verify": "SUCCESS"}, "headers about a certificate, from an address that is no trusted proxy"),
    ],
)
def test_refusals_to_nobody_are_kept_of_watched_addresses(trust, headers, identity):
    Client().get(f"/uptane/acme/{POLL}", headers=headers)
    assert not SeenRequest.objects.exists()
    watch_address(trust.tenant)

    Client().get(f"/uptane/acme/{POLL}", headers=headers)

    assert (the_one().vehicle, the_one().identity, the_one().status) == (None, identity, 401)


def test_a_wrong_claim_code_from_a_watched_address_is_kept(trust):
    watch_address(trust.tenant)
    body = {"vehicle_id": "VIN1", "claim_code": "AAAAA", "ecus": []}

    Client().post("/uptane/acme/enrol", body, content_type="application/json")

    assert (the_one().path, the_one().code) == ("/uptane/acme/enrol", "claim.invalid")


def test_another_tenant_sees_nothing_of_it(caller, car):
    other = make_tenant("other")
    watch_address(other)
    Credential.objects.update(revoked_at=NOON)

    caller.get(POLL)

    assert not SeenRequest.objects.exists()


def test_what_nobody_watches_costs_no_query_at_all(caller, car, django_assert_num_queries, monkeypatch):
    caller.get(POLL)
    monkeypatch.setattr(seen.fleet, "note_request", None)

    with django_assert_num_queries(0):
        request = Client().get("/healthz").wsgi_request
        request.META["otaserver.vehicle"] = car.vehicle
        seen.note(request, None, None, tenant="acme", at=NOON)


def test_a_failure_to_keep_it_changes_nothing_of_the_answer(caller, car, monkeypatch, caplog):
    watch(car)

    def fail(*args, **named):
        raise DatabaseError("full")

    monkeypatch.setattr(seen.fleet, "note_request", fail)

    assert caller.get(POLL).status_code == 200
    assert "request not noted" in caplog.text
