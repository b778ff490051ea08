import json
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from django.test import Client

from otaserver.campaigns.models import LogTail, Report
from tests.campaigns.campaign_factories import attempt_of, in_turn, make_running
from tests.vehicle_api.conftest import Caller, check_problem, give_token

ATTEMPT = "00000000-0000-0000-0000-000000000007"


def event(**changes):
    values = {
        "id": str(uuid4()),
        "attempt": ATTEMPT,
        "ecu": "",
        "phase": "downloading",
        "outcome": "none",
        "code": "",
        "message": "",
        "progress": None,
        "measured": {},
        "device_time": "2026-06-01T12:00:00Z",
    }
    return values | changes


def test_no_events_are_accepted(caller):
    assert caller.post("events", []).json() == {"accepted": 0, "rejected": []}


def test_one_bad_event_does_not_lose_the_others(caller):
    unknown, malformed = event(), event(phase="dreaming")

    response = caller.post("events", [unknown, malformed, 7])

    body = response.json()
    assert (response.status_code, body["accepted"]) == (200, 0)
    assert [(found["id"], found["code"]) for found in body["rejected"]] == [
        (unknown["id"], "attempt.not_found"),
        (malformed["id"], "request.fields_invalid"),
        (None, "request.fields_invalid"),
    ]
    assert not Report.objects.exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "7"},
        {"attempt": None},
        {"phase": ""},
        {"outcome": "splendid"},
        {"progress": 101},
        {"progress": True},
        {"measured": []},
        {"device_time": "yesterday"},
        {"device_time": "2026-06-01T12:00:00"},
        {"device_time": "2026-13-01T12:00:00Z"},
        {"device_time": "0001-01-01T00:00:00+14:00"},
        {"device_time": "9999-12-31T23:59:59-14:00"},
        {"device_time": "1970-01-01T00:00:00+00:01"},
        {"device_time": "2263-01-01T00:00:00Z"},
        {"device_time": "2026-01-01T00:00:00+99:00"},
        {"message": None},
        {"ecu": None},
    ],
)
def test_an_event_with_a_wrong_field_is_rejected(caller, changes):
    (rejected,) = caller.post("events", [event(**changes)]).json()["rejected"]

    assert rejected["code"] == "request.fields_invalid"


@pytest.fixture
def running(server_clock):
    """Return a vehicle's assignment in a running campaign, and its caller."""
    (assignment,) = in_turn(make_running(vehicles=1))
    tenant = assignment.vehicle.tenant.name
    return assignment, Caller(Client(), tenant, give_token(assignment.vehicle, "otav_running"))


POISON = {
    "infinite": b"1e400",
    "no number": b"NaN",
    "endless": b"9" * 5000,
    # Less deep than what the parser itself gives up on, wherever it is called from.
    "deep": b"[" * 500 + b"]" * 500,
    "with NUL": b'"\\u0000"',
    "half a pair": b'"\\ud800"',
}


@pytest.mark.django_db
@pytest.mark.every_case
@pytest.mark.parametrize("kind", POISON)
def test_an_event_that_no_database_stores_is_rejected_and_the_good_ones_beside_it_count(running, kind):
    assignment, caller = running
    attempt = str(attempt_of(assignment).pk)
    bad = event(attempt=attempt, phase="installing", measured={"x": "POISON"})
    good = event(attempt=attempt, phase="downloading", measured={"volts": 12.5})
    body = json.dumps([bad, good]).encode().replace(b'"POISON"', POISON[kind])

    response = caller.post("events", body)

    answer = response.json()
    assert (response.status_code, answer["accepted"]) == (200, 1)
    assert [(found["id"], found["code"]) for found in answer["rejected"]] == [(bad["id"], "request.fields_invalid")]
    assert [(row.report_id, row.measured) for row in Report.objects.all()] == [(good["id"], {"volts": 12.5})]
    assignment.refresh_from_db()
    assert assignment.state == "downloading"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("2026-06-01T14:00:00+02:00", datetime(2026, 6, 1, 12, tzinfo=UTC)),
        ("1970-01-01T00:00:00Z", datetime(1970, 1, 1, tzinfo=UTC)),
        ("2262-12-31T23:59:59Z", datetime(2262, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ],
)
def test_a_time_of_any_zone_is_kept_in_utc(running, said, meant):
    assignment, caller = running

    caller.post("events", [event(attempt=str(attempt_of(assignment).pk), device_time=said)])

    assert Report.objects.get().device_time == meant


@pytest.mark.parametrize("odd", [{"a": 1}, 7, None, [1]])
def test_an_id_that_is_no_text_is_not_repeated(caller, odd):
    (rejected,) = caller.post("events", [event(id=odd)]).json()["rejected"]

    assert rejected["id"] is None


@pytest.mark.parametrize("body", [{}, [event()] * 501])
def test_what_is_no_list_of_events_is_422(caller, body):
    check_problem(caller.post("events", body), 422, "request.fields_invalid")


def test_a_log_of_an_unknown_attempt_is_404(caller):
    check_problem(caller.post("logs", {"attempt": ATTEMPT, "text": "panic"}), 404, "attempt.not_found")

    assert not LogTail.objects.exists()


def test_a_log_that_is_too_long_is_422(caller):
    check_problem(caller.post("logs", {"attempt": ATTEMPT, "text": "x" * 65537}), 422, "request.fields_invalid")


@pytest.mark.parametrize("path", ["events", "consents", "logs", "renew", "director/manifest"])
def test_a25_nothing_is_taken_without_a_credential(caller, path):
    caller.token = "wrong"

    check_problem(caller.post(path, {}), 401, "credential.invalid")
    check_problem(caller.get(path), 405, "request.method")
