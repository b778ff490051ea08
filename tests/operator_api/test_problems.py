import json

import pytest
from django.core.exceptions import PermissionDenied
from django.db import OperationalError, connection
from django.http import Http404
from rest_framework import exceptions

from otaserver.errors import ConflictError, OtaError, RateLimitedError, StorageFullError, UnauthenticatedError
from otaserver.fleet.models import Group
from otaserver.operator_api.problems import exception_response, field_messages


def answer(error):
    response = exception_response(error, {})
    return response, json.loads(response.content)


@pytest.mark.parametrize("error", [OtaError, ConflictError, UnauthenticatedError, StorageFullError])
def test_a_refusal_keeps_its_status_code_sentence_and_values(error):
    response, problem = answer(error("No.", name="x"))

    assert response["Content-Type"] == "application/problem+json"
    assert (response.status_code, problem["status"], problem["code"]) == (error.status, error.status, error.code)
    assert (problem["detail"], problem["name"], problem["type"]) == ("No.", "x", "about:blank")


def test_the_values_of_a_refusal_replace_no_standard_member():
    _, problem = answer(ConflictError("No.", status=200, code="fine", detail="yes", title="OK", type="x"))

    assert (problem["status"], problem["code"], problem["detail"]) == (409, "resource.conflict", "No.")
    assert (problem["title"], problem["type"]) == ("Conflict", "about:blank")


@pytest.mark.parametrize(
    "error", [RateLimitedError("Later.", retry_after_seconds=7), exceptions.Throttled(wait=7, detail="Later.")]
)
def test_too_many_requests_tell_when_to_come_back(error):
    response, problem = answer(error)

    assert (response.status_code, response["Retry-After"]) == (429, "7")
    assert problem["code"] == "rate.limited"


def test_who_is_not_known_is_told_how_to_say_it():
    assert answer(UnauthenticatedError("Who?"))[0]["WWW-Authenticate"] == "Bearer"
    assert answer(exceptions.NotAuthenticated())[0]["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Http404(), 404, "resource.not_found"),
        (PermissionDenied(), 403, "permission.missing"),
        (exceptions.ParseError(), 400, "request.malformed"),
        (exceptions.MethodNotAllowed("GET"), 405, "request.method"),
        (exceptions.NotAcceptable(), 406, "request.not_acceptable"),
        (exceptions.UnsupportedMediaType("x"), 415, "request.media_type"),
        (exceptions.APIException(), 500, "request.invalid"),
    ],
)
def test_errors_of_the_framework_get_codes_of_ours(error, status, code):
    response, problem = answer(error)

    assert (response.status_code, problem["code"]) == (status, code)
    assert problem["detail"]


def test_a_disk_that_is_full_for_the_database_is_a_507_and_changes_nothing(caller):
    def refuse_to_grow(execute, sql, *arguments):
        if sql.startswith("INSERT"):
            raise OperationalError("database or disk is full")
        return execute(sql, *arguments)

    with connection.execute_wrapper(refuse_to_grow):
        response = caller.post("/groups", {"name": "north", "filter": ""})

    assert (response.status_code, response["Retry-After"]) == (507, "10")
    assert response["Content-Type"] == "application/problem+json"
    assert response.json()["code"] == "storage.full"
    assert not Group.objects.exists()


def test_a_bug_is_no_problem_document():
    assert exception_response(ValueError("bug"), {}) is None


@pytest.mark.parametrize(
    ("detail", "messages"),
    [
        ({"a": ["x", "y"]}, {"a": ["x", "y"]}),
        ({"a": {"b": ["x"]}}, {"a.b": ["x"]}),
        ({"a": [{}, {"b": ["x"]}]}, {"a[1].b": ["x"]}),
        ({"a": {0: ["x"], 2: ["y"]}}, {"a[0]": ["x"], "a[2]": ["y"]}),
        ({"non_field_errors": ["x"]}, {"body": ["x"]}),
        ({"a": {"non_field_errors": ["x"]}}, {"a": ["x"]}),
        (["x"], {"body": ["x"]}),
        ("x", {"body": ["x"]}),
        ([], {}),
    ],
)
def test_nested_errors_are_named_by_their_path(detail, messages):
    assert field_messages(detail) == messages
