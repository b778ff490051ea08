import json

import pytest
from django.core.exceptions import RequestDataTooBig
from django.db import OperationalError
from django.http import HttpResponse, UnreadablePostError
from django.test import RequestFactory

from otaserver import clock
from otaserver.errors import RateLimitedError
from otaserver.vehicle_api import bodies, problems
from tests.factories import NOON

pytestmark = pytest.mark.any_database


def answer(view, method="GET"):
    return problems.endpoint("GET")(view)(RequestFactory().generic(method, "/uptane/acme/x"))


def failing(error):
    def view(request, *, at):
        raise error

    return view


def test_a_view_gets_the_time_that_was_read_once():
    seen = []

    def view(request, *, at):
        seen.append(at)
        return HttpResponse("fine")

    with clock.using(lambda: NOON):
        response = answer(view)

    assert (response.content, seen) == (b"fine", [NOON])


def test_a_wrong_method_is_405_with_the_right_ones():
    response = answer(lambda request, *, at: HttpResponse(), method="DELETE")

    assert (response.status_code, response["Allow"]) == (405, "GET")
    assert b'"code": "request.method"' in response.content


def test_a_rate_limit_says_when_to_come_back():
    response = answer(failing(RateLimitedError("Slowly.", retry_after_seconds=30)))

    assert (response.status_code, response["Retry-After"]) == (429, "30")


def test_a_bug_is_a_500_without_a_word_of_it_and_is_logged(caplog):
    response = answer(failing(KeyError("the secret")))

    assert response.status_code == 500
    assert b"secret" not in response.content
    assert b'"code": "server.error"' in response.content
    assert "the secret" in caplog.text


@pytest.mark.parametrize(
    ("message", "status", "code"),
    [("database is locked", 503, b"server.busy"), ("database or disk is full", 507, b"storage.full")],
)
def test_a_database_that_cannot_answer_now_says_so(message, status, code):
    response = answer(failing(OperationalError(message)))

    assert (response.status_code, response["Retry-After"]) == (status, "10")
    assert code in response.content


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [(UnreadablePostError("gone"), 400, b"request.incomplete"), (RequestDataTooBig(), 413, b"request.too_large")],
)
def test_a_body_that_does_not_arrive_is_the_senders_problem(error, status, code, caplog):
    response = answer(failing(error))

    assert response.status_code == status
    assert code in response.content
    assert not caplog.records


def read(body, max_bytes=1000, length=None):
    request = RequestFactory().generic("POST", "/x", body)
    if length is not None:
        request.META["CONTENT_LENGTH"] = length
    return bodies.read_json(request, max_bytes)


@pytest.mark.parametrize("body", [b'{"a": 1}', b'[1.5, "\\u00e4"]', b'"\\\\u0000"'])
def test_json_is_read(body):
    assert read(body) == json.loads(body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"NaN",
        b'{"a":1,"a":2}',
        b"\xff",
        b'"\\u0000"',
        b'"\\\\\\u0000"',
        b'"\\ud800"',
        b"[" * 100_000,
        b'{"a": 1e400}',
        b"[-Infinity]",
        b"9" * 5000,
        b"[" * 51 + b"]" * 51,
    ],
)
def test_what_is_not_storable_json_is_malformed(body):
    with pytest.raises(bodies.BodyMalformedError):
        read(body, 200_000)


def test_a_body_over_the_limit_is_too_large():
    with pytest.raises(bodies.BodyTooLargeError):
        read(b'"long"', 5)


def test_a_body_that_was_cut_is_incomplete():
    with pytest.raises(bodies.BodyIncompleteError):
        read(b'{"a": 1}', length="9")
