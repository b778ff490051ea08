import json
import sqlite3

import psycopg
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from django.db import DataError, IntegrityError, InterfaceError, OperationalError, ProgrammingError

from otaserver.errors import DatabaseUnavailableError, StorageFullError, StorageUnavailableError
from otaserver.operator_api import problems as operator_problems
from otaserver.outages import outage


def raised(error, cause=None):
    """Return the error as Django raises it: because of the driver's own."""
    error.__cause__ = cause
    return error


FULL = [
    raised(OperationalError("database or disk is full"), sqlite3.OperationalError("database or disk is full")),
    raised(OperationalError('could not extend file "base/5/1": No space'), psycopg.errors.DiskFull()),
]
AWAY = [
    raised(OperationalError("database is locked"), sqlite3.OperationalError("database is locked")),
    raised(OperationalError("connection failed"), psycopg.OperationalError("connection failed")),
    raised(OperationalError("too many"), psycopg.errors.TooManyConnections()),
    raised(OperationalError("the statement is full of locks"), psycopg.errors.DeadlockDetected()),
    InterfaceError("the connection is closed"),
]


@pytest.mark.parametrize(
    ("error", "kind"), [(e, StorageFullError) for e in FULL] + [(e, DatabaseUnavailableError) for e in AWAY]
)
def test_a_database_that_cannot_serve_now_says_when_to_come_back(error, kind):
    refusal = outage(error)

    assert type(refusal) is kind
    assert refusal.details == {"retry_after_seconds": 10}


@pytest.mark.parametrize(
    "error", [DataError("x"), IntegrityError("x"), ProgrammingError("x"), ValueError("disk is full")]
)
def test_another_failure_is_no_outage(error):
    assert outage(error) is None


@pytest.mark.parametrize(("error", "status", "code"), [(FULL[0], 507, "storage.full"), (AWAY[0], 503, "server.busy")])
def test_the_operator_api_says_so_too(error, status, code, caplog):
    response = operator_problems.exception_response(error, {})

    assert (response.status_code, response["Retry-After"]) == (status, "10")
    assert json.loads(response.content)["code"] == code
    assert str(error) in caplog.text


def said_by_bucket(code, status):
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "PutObject")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (EndpointConnectionError(endpoint_url="http://127.0.0.1:9"), StorageUnavailableError),
        (said_by_bucket("AccessDenied", 403), StorageUnavailableError),
        (said_by_bucket("SlowDown", 503), StorageUnavailableError),
        (said_by_bucket("XMinioStorageFull", 507), StorageFullError),
        (said_by_bucket("QuotaExceeded", 403), StorageFullError),
    ],
)
def test_a_bucket_that_cannot_serve_now_says_when_to_come_back(error, kind):
    refusal = outage(error)

    assert (type(refusal), refusal.details) == (kind, {"retry_after_seconds": 10})
