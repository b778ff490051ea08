from uuid import uuid4

import pytest

from otaserver.campaigns.models import LogTail, Report
from tests.vehicle_api.conftest import check_problem

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
        {"message": None},
        {"ecu": None},
    ],
)
def test_an_event_with_a_wrong_field_is_rejected(caller, changes):
    (rejected,) = caller.post("events", [event(**changes)]).json()["rejected"]

    assert rejected["code"] == "request.fields_invalid"


@pytest.mark.parametrize("body", [{}, [event()] * 501])
def test_what_is_no_list_of_events_is_422(caller, body):
    check_problem(caller.post("events", body), 422, "request.fields_invalid")


def test_a_log_of_an_unknown_attempt_is_404(caller):
    check_problem(caller.post("logs", {"attempt": ATTEMPT, "text": "panic"}), 404, "attempt.not_found")

    assert not LogTail.objects.exists()


def test_a_log_that_is_too_long_is_422(caller):
    check_problem(caller.post("logs", {"attempt": ATTEMPT, "text": "x" * 65537}), 422, "request.fields_invalid")


@pytest.mark.parametrize("path", ["events", "logs", "renew", "director/manifest"])
def test_a25_nothing_is_taken_without_a_credential(caller, path):
    caller.token = "wrong"

    check_problem(caller.post(path, {}), 401, "credential.invalid")
    check_problem(caller.get(path), 405, "request.method")
