"""Webhooks, events and mail over the operator API."""

import csv
import json
from ipaddress import ip_network

import pytest

from otaserver.audit import operations as audit
from otaserver.events import operations
from otaserver.events.models import Delivery, Endpoint, Event
from otaserver.tenants.models import Member, User
from otaserver.tenants.states import Role
from tests.factories import NOON

pytestmark = [pytest.mark.django_db, pytest.mark.any_database]
URL = "https://93.184.216.34/hook"


@pytest.fixture
def webhook(caller):
    return caller.post("/webhooks", {"url": URL, "types": ["package.*"]}).json()


@pytest.fixture
def delivery(caller, webhook):
    audit.record("package.published", "x", tenant=caller.tenant, by="ci", at=NOON)
    operations.publish(caller.tenant, at=NOON)
    return Delivery.objects.get()


def test_a_secret_is_shown_once(caller, webhook):
    shown = caller.get(f"/webhooks/{webhook['id']}").json()

    assert webhook["secret"].startswith("whsec_")
    assert "secret" not in shown and not any("salt" in name for name in shown)
    assert {name: shown[name] for name in ("url", "types", "state")} == {
        "url": URL,
        "types": ["package.*"],
        "state": "active",
    }
    rotated = caller.post(f"/webhooks/{webhook['id']}/rotate-secret").json()
    assert rotated["secret"] not in ("", webhook["secret"])
    assert rotated["previous_until"] == "2026-06-02T12:00:00Z"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"url": "http://10.0.0.1/"}, "webhook.refused"),
        ({"url": "ftp://example.com/"}, "webhook.refused"),
        ({"url": URL, "types": ["campaign.nothing"]}, "webhook.refused"),
        ({"url": ["x"]}, "request.fields_invalid"),
        ({"types": []}, "request.fields_invalid"),
        ({"url": URL, "types": "campaign.*"}, "request.fields_invalid"),
    ],
)
def test_a_webhook_that_cannot_be_is_refused_and_nothing_is_kept(caller, body, code):
    answer = caller.post("/webhooks", body)

    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert Endpoint.objects.count() == 0


def test_a_webhook_is_changed_paused_resumed_and_removed(caller, webhook):
    path = f"/webhooks/{webhook['id']}"

    states = [
        caller("PATCH", path, {"description": "CI"}).json()["description"],
        caller.post(f"{path}/pause", {"reason": "Moving."}).json()["state"],
        caller.post(f"{path}/pause", {"reason": "Again."}).status_code,
        caller.post(f"{path}/test").json()["code"],
        caller.post(f"{path}/resume").json()["state"],
        caller.post(f"{path}/remove").json()["state"],
        caller.get(path).status_code,
    ]

    assert states == ["CI", "paused", 409, "webhook.not_active", "active", "removed", 404]
    assert caller.get("/webhooks").json()["results"] == []


def test_deliveries_are_listed_and_made_again(caller, webhook, delivery):
    listed = caller.get(f"/webhooks/{webhook['id']}/deliveries?state=pending").json()["results"]
    again = caller.post(f"/webhook-deliveries/{delivery.pk}/replay")
    span = caller.post(
        f"/webhooks/{webhook['id']}/replay", {"since": "2026-06-01T00:00:00Z", "until": "2026-06-02T00:00:00Z"}
    )

    event = str(Event.objects.get().public_id)
    assert [(row["event"], row["type"], row["log"]) for row in listed] == [(event, "package.published", [])]
    assert (again.status_code, again.json()["is_replay"], again.json()["event"]) == (201, True, event)
    assert (span.status_code, span.json()) == (201, {"events": 1})
    assert Delivery.objects.count() == 3
    assert caller.get(f"/webhook-deliveries/{delivery.pk}").json()["state"] == "pending"


def test_events_are_listed_as_they_are_delivered(caller, delivery):
    (event,) = caller.get("/events?type=package.published").json()["results"]

    assert event == operations.document_of(Event.objects.get(), tenant="acme")
    assert caller.get("/events?type=wave.passed").json()["results"] == []
    types = {row["type"]: row for row in caller.get("/event-types").json()}
    assert types["assignment.settled"]["only_when_named"] is True


def test_events_are_a_table_with_all_of_their_columns(caller, delivery):
    shown = caller.get("/events").json()["results"][0]

    header, row = csv.reader(b"".join(caller.get("/events?format=csv").streaming_content).decode().splitlines())

    assert sorted(header) == sorted(shown)
    told = dict(zip(header, row, strict=True))
    assert {name: told[name] for name in ("id", "type", "subject", "time")} == {
        name: shown[name] for name in ("id", "type", "subject", "time")
    }
    assert json.loads(told["data"]) == shown["data"]


def test_nothing_of_another_tenant_is_there(caller, stranger, webhook, delivery):
    own = f"/webhooks/{webhook['id']}"
    requests = [
        ("GET", own, None),
        ("PATCH", own, {"description": "x"}),
        ("POST", f"{own}/pause", {"reason": "x"}),
        ("POST", f"{own}/resume", {}),
        ("POST", f"{own}/remove", {}),
        ("POST", f"{own}/rotate-secret", {}),
        ("POST", f"{own}/test", {}),
        ("POST", f"{own}/replay", {"since": "2026-06-01T00:00:00Z", "until": "2026-06-02T00:00:00Z"}),
        ("GET", f"{own}/deliveries", None),
        ("GET", f"/webhook-deliveries/{delivery.pk}", None),
        ("POST", f"/webhook-deliveries/{delivery.pk}/replay", {}),
    ]

    assert [stranger(method, path, body).status_code for method, path, body in requests] == [404] * len(requests)
    assert stranger.get("/events").json()["results"] == stranger.get("/webhooks").json()["results"] == []
    assert (Endpoint.objects.get().state, Delivery.objects.count()) == ("active", 1)


def test_lists_ask_the_database_as_often_for_more_rows(caller, webhook, delivery):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    def queries(path):
        with CaptureQueriesContext(connection) as captured:
            assert caller.get(path).status_code == 200
        return len(captured)

    paths = ["/events", "/webhooks", f"/webhooks/{webhook['id']}/deliveries", "/mail-readers"]
    queries(paths[0])
    with_one = [queries(path) for path in paths]
    for number in range(2):
        caller.post("/webhooks", {"url": URL})
        audit.record("package.published", str(number), tenant=caller.tenant, by="ci", at=NOON)
        Member.objects.create(tenant=caller.tenant, user=User.objects.create(username=str(number)), role=Role.VIEWER)
    operations.publish(caller.tenant, at=NOON)

    assert [queries(path) for path in paths] == with_one


def test_who_is_written_to_about_what_is_seen_and_set(caller, stranger):
    user = User.objects.create(username="ada", email="ada@example.com")
    Member.objects.create(tenant=caller.tenant, user=user, role=Role.APPROVER)

    before = caller.get("/mail-readers").json()
    chosen = caller("PUT", "/mail-readers/ada", {"kinds": ["expiries"]}).json()
    settings = caller("PUT", "/mail-settings", {"kinds": ["halts"], "addresses": ["team@example.com"]}).json()

    assert [(row["username"], row["kinds"], row["is_chosen"]) for row in before] == [
        ("ada", ["approvals", "halts"], False)
    ]
    assert (chosen["kinds"], chosen["is_chosen"]) == (["expiries"], True)
    assert settings == caller.get("/mail-settings").json() == {"kinds": ["halts"], "addresses": ["team@example.com"]}
    assert caller("PUT", "/mail-readers/ada", {"kinds": ["spam"]}).status_code == 422
    assert caller("PUT", "/mail-settings", {"kinds": [], "addresses": ["nobody"]}).json()["code"] == "mail.settings"
    assert stranger("PUT", "/mail-readers/ada", {"kinds": []}).json()["code"] == "member.not_found"


def test_networks_that_are_named_may_be_hooked(caller, settings):
    settings.WEBHOOK_NETWORKS = [ip_network("10.0.0.0/8")]

    assert caller.post("/webhooks", {"url": "http://10.0.0.1/"}).status_code == 201
