"""Request ids, discreet logs, metrics and readiness: what an operator of the server sees of it."""

import io
import json
import logging
import os
import re
from types import SimpleNamespace

import pytest
from django.conf import settings as django_settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from otaserver import clock, discreet, exposition, health, logs, metrics, observing, request_ids, task_context
from otaserver.campaigns.models import Assignment, Campaign
from otaserver.celery import app
from otaserver.events import tasks
from otaserver.events.models import Heartbeat
from otaserver.events.queries import standing
from tests.events.test_feed import make_campaign
from tests.factories import NOON, make_tenant, make_vehicle

VIN = "WVWZZZ1JZXW000017"


def written(*processors_for, is_json=True, log=None):
    """What one log line looks like."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    made = dict(logs.formatter(is_json=is_json))
    handler.setFormatter(made.pop("()")(**made))
    handler.addFilter(discreet.Discreet())
    logger = logging.Logger("otaserver.test")
    logger.addHandler(handler)
    log(logger)
    return stream.getvalue()


def as_json(log):
    return json.loads(written(log=log))


def test_a_line_is_json_with_its_values_as_fields():
    line = as_json(lambda logger: logger.warning("manifest refused code=%s tenant=%s", "manifest.nonce", "acme"))

    assert line.pop("timestamp")
    assert line == {
        "event": "manifest refused",
        "code": "manifest.nonce",
        "tenant": "acme",
        "level": "warning",
        "logger": "otaserver.test",
    }


def test_a_line_for_people_is_one_line():
    line = written(is_json=False, log=lambda logger: logger.info("unfinished uploads ended: %s", 3))

    assert "unfinished uploads ended: 3" in line
    assert line.count("\n") == 1


def test_no_line_holds_a_whole_vehicle_id_or_a_secret():
    vehicle = SimpleNamespace(vehicle_id="test-car-000017")
    secrets = [
        "ota_" + "a" * 43,
        "otap_" + "a" * 43,
        "whsec_" + "b" * 43,
        "TargetToken c0ffee",
        "Bearer eyJhbGciOiJIUzI1.eyJzdWI",
    ]

    def log(logger):
        logger.warning("refused vehicle=%s", vehicle)
        logger.warning("request failed path=/acme/controller/v1/%s/configData", "gate-12345678")
        logger.warning("request failed path=/api/v1/vehicles/%s/record", "car-alpha-0002")
        logger.warning("Internal Server Error: /console/invitations/%s", "l1nk")
        logger.warning("vehicle %s: %s", VIN, " ".join(secrets))
        try:
            raise ValueError(f"no such vehicle {VIN}, token {secrets[0]}")
        except ValueError:
            logger.exception("failed")

    text = written(log=log)

    named = (vehicle.vehicle_id, "gate-12345678", "car-alpha-0002", VIN)
    assert [each for each in (*named, "l1nk", "c0ffee", *secrets) if each in text] == []
    shortened = discreet.shortened("test-car-000017")
    assert json.loads(text.splitlines()[0])["vehicle"] == shortened
    assert shortened.endswith("~0017") and text.count(discreet.shortened(VIN)) == 2


def test_short_ids_leave_nothing_of_them_and_the_hash_needs_the_servers_key(settings):
    before = discreet.shortened("CAR1")
    settings.SECRET_KEY = "another"

    assert before.endswith("~") and "CAR1" not in before
    assert discreet.shortened("CAR1") != before


@pytest.mark.parametrize("text", ["0123456789abcdef0" * 2, "A" * 17, "12345678901234567", "supplier/engine-1.0"])
def test_what_is_no_vehicle_stays(text):
    assert discreet.cleaned(text) == text


@pytest.fixture
def at_noon():
    with clock.using(lambda: NOON):
        yield


def test_a_request_keeps_its_id_and_gets_one_where_it_has_none(db):
    kept = Client().get("/healthz", headers={"X-Request-Id": "abc-1.2_3"})
    made = Client().get("/healthz")
    refused = Client().get("/healthz", headers={"X-Request-Id": "a b\tc" + "x" * 99})

    assert kept["X-Request-Id"] == "abc-1.2_3"
    for answer in (made, refused):
        assert re.fullmatch(r"[0-9a-f]{32}", answer["X-Request-Id"])


def test_what_is_logged_during_a_request_has_its_id():
    lines = []

    def view(request):
        lines.append(as_json(lambda logger: logger.info("seen")))
        return {}

    request = SimpleNamespace(META={"HTTP_X_REQUEST_ID": "r-1"}, resolver_match=None, path="/x")
    answer = observing.observe(lambda r: (view(r), Answer())[1])(request)

    assert (lines[0]["request_id"], answer["X-Request-Id"]) == ("r-1", "r-1")
    assert "request_id" not in as_json(lambda logger: logger.info("after"))


class Answer(dict):
    status_code = 200


def test_a_task_logs_with_the_id_of_the_request_that_it_comes_from():
    headers = {}
    request = SimpleNamespace(META={"HTTP_X_REQUEST_ID": "r-2"}, resolver_match=None, path="/x")
    observing.observe(lambda r: (task_context._send_context(headers=headers), Answer())[1])(request)
    task = SimpleNamespace(name="a.task", request=SimpleNamespace(headers=headers))

    task_context._begin(task=task, task_id="t")
    inside = as_json(lambda logger: logger.info("working"))
    task_context._end(task=task)

    assert (inside["request_id"], inside["task"]) == ("r-2", "a.task")
    assert sample(metrics.task_lag_seconds, "_count", task="a.task") == 1
    assert sample(metrics.task_seconds, "_count", task="a.task") == 1


def test_celery_calls_what_listens():
    headers = {}
    app.tasks  # noqa: B018 - loads them
    from celery.signals import before_task_publish

    before_task_publish.send(sender="x", headers=headers)

    assert set(headers) == {"request_id", "sent_at"}


def sample(metric, suffix="_total", **labels):
    """The value in this process."""
    for family in metric.collect():
        for each in family.samples:
            if each.name.endswith(suffix) and each.labels == labels:
                return each.value
    return 0


@pytest.mark.parametrize(
    ("path", "labels"),
    [
        ("/uptane/nobody/director/metadata/timestamp.json", ("uptane", "poll")),
        ("/nobody/controller/v1/CAR1", ("ddi", "poll")),
        ("/api/devices/v1/deployments/device/deployments/next", ("mender", "poll")),
        ("/aktualizr/nobody/director/timestamp.json", ("aktualizr", "poll")),
    ],
)
def test_polls_are_counted_by_protocol_and_outcome(db, path, labels):
    expected = dict(zip(("protocol", "kind"), labels, strict=True), outcome="refused")
    before = sample(metrics.vehicle_requests, **expected)

    Client().get(path)

    assert sample(metrics.vehicle_requests, **expected) == before + 1


def test_outcomes_are_three():
    assert [observing.outcome_of(status) for status in (200, 304, 404, 429, 500, 503)] == [
        *("ok", "ok", "refused", "refused", "failed", "failed")
    ]


@pytest.mark.parametrize(
    ("headers", "extra", "status"),
    [
        ({}, {"REMOTE_ADDR": "127.0.0.1"}, 200),
        ({}, {"REMOTE_ADDR": "::1"}, 200),
        ({}, {"REMOTE_ADDR": "192.0.2.1"}, 403),
        ({}, {"REMOTE_ADDR": "127.0.0.2"}, 403),
        ({"X-Forwarded-For": "127.0.0.1"}, {"REMOTE_ADDR": "127.0.0.1"}, 403),
        ({"Authorization": "Bearer m3trics"}, {"REMOTE_ADDR": "192.0.2.1"}, 200),
        ({"Authorization": "Bearer wrong"}, {"REMOTE_ADDR": "127.0.0.1"}, 403),
        ({"Authorization": "Bearer "}, {"REMOTE_ADDR": "192.0.2.1"}, 403),
    ],
)
def test_metrics_are_for_this_host_or_with_their_token(db, settings, headers, extra, status):
    settings.METRICS_TOKEN, settings.TRUSTED_PROXIES = "m3trics", ["127.0.0.2"]

    assert Client().get("/metrics", headers=headers, **extra).status_code == status


def test_without_a_token_none_opens_metrics(db, settings):
    settings.METRICS_TOKEN = ""

    answer = Client().get("/metrics", headers={"Authorization": "Bearer "}, REMOTE_ADDR="192.0.2.1")

    assert (answer.status_code, answer.json()["code"]) == (403, "metrics.closed")


def test_metrics_say_how_the_server_stands(db, at_noon):
    tenant = make_tenant("acme")
    campaign = make_campaign(tenant, started_at=NOON.replace(minute=0, hour=11))
    for rank, state in enumerate(("waiting", "waiting", "succeeded", "held")):
        Assignment.objects.create(campaign=campaign, vehicle=make_vehicle(tenant), rank=rank, state=state, due_at=NOON)
    tasks.beat()
    Client().get("/nobody/controller/v1/CAR1")
    exposition._Standing.forget()

    text = Client().get("/metrics").content.decode()

    for line in (
        'ota_assignments{state="waiting"} 2.0',
        'ota_assignments{state="succeeded"} 1.0',
        'ota_campaigns{state="running"} 1.0',
        "ota_orders_open 1.0",
        "ota_tick_age_seconds 3600.0",
        "ota_beat_age_seconds 0.0",
        "ota_webhook_deliveries_pending 0.0",
    ):
        assert line in text.splitlines()
    assert "# TYPE ota_vehicle_requests_total counter" in text
    exposition._Standing.forget()


def test_however_often_metrics_are_read_the_database_is_asked_once(db, at_noon):
    exposition._Standing.forget()
    with CaptureQueriesContext(connection) as first:
        Client().get("/metrics")
    with CaptureQueriesContext(connection) as second:
        Client().get("/metrics")

    assert (len(first) > 5, len(second)) == (True, 0)
    exposition._Standing.forget()


def test_how_the_server_stands_takes_as_many_queries_for_more_campaigns(db, at_noon):
    tenant = make_tenant("acme")
    counts = []
    for name in ("a", "b", "c"):
        make_campaign(tenant, name)
        with CaptureQueriesContext(connection) as captured:
            standing.standing(NOON)
        counts.append(len(captured))

    assert len(set(counts)) == 1
    assert Campaign.objects.count() == 3


@pytest.fixture
def well(db, at_noon, monkeypatch):
    """All parts work."""
    tasks.beat()
    monkeypatch.setattr(health, "_redis", lambda: health.OK)


def ready(query=""):
    answer = Client().get(f"/readyz{query}")
    return answer.status_code, answer.json()


def test_a_server_that_works_is_ready(well):
    assert ready() == (
        200,
        {"status": "ready", "database": "ok", "migrations": "ok", "disk": "ok", "redis": "ok", "beat": "ok"},
    )
    assert ready("?strict")[0] == 200


def test_without_the_clock_polls_are_served_and_who_watches_is_told(well):
    Heartbeat.objects.update(at=NOON.replace(hour=11))

    status, found = ready()

    assert (status, found["status"], found["beat"]) == (200, "degraded", "silent")
    assert ready("?strict")[0] == 503


def test_with_a_full_disk_a_server_is_not_ready(well, settings):
    settings.MIN_FREE_BYTES = 2**62

    status, found = ready()

    assert (status, found["status"], found["disk"]) == (503, "not ready", "full")


def test_with_a_migration_missing_a_server_is_not_ready(well):
    health._applied.cache_clear()
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'events'")

    status, found = ready()

    assert (status, found["migrations"]) == (503, "missing")
    health._applied.cache_clear()


def test_logs_are_json_in_production_alone():
    assert django_settings.LOGGING["formatters"]["line"]["foreign_pre_chain"]
    kinds = {is_json: type(logs.processors(is_json=is_json)[-1]).__name__ for is_json in (True, False)}
    assert kinds == {True: "JSONRenderer", False: "ConsoleRenderer"}


def test_ids_that_are_made_are_not_made_again_not_even_by_a_process_made_of_this_one():
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.write(writing, request_ids.request_id(None).encode())
        os._exit(0)
    os.waitpid(child, 0)
    ids = [request_ids.request_id(None), request_ids.request_id("no id\xff"), os.read(reading, 100).decode()]

    assert len({each[:20] for each in ids}) == 2
    assert len(set(ids)) == 3
    assert all(re.fullmatch(r"[0-9a-f]{32}", each) for each in ids)
