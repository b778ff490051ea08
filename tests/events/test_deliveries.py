"""Webhooks as an endpoint gets them, over a real socket."""

import base64
import hashlib
import hmac
import json
import socket
import threading
from datetime import timedelta
from ipaddress import ip_network

import pytest

from otaserver import clock
from otaserver.audit import operations as audit
from otaserver.audit.models import Entry
from otaserver.events import delivering, operations, posting
from otaserver.events.errors import (
    EndpointNotActiveError,
    EndpointRefusedError,
    SpanRefusedError,
    TooManyEndpointsError,
)
from otaserver.events.models import Delivery, DeliveryTry, Endpoint, Event
from otaserver.events.operations import endpoints
from otaserver.events.rules import retries
from otaserver.events.states import DeliveryState, EndpointState
from tests.events.conftest import free_port, make_endpoint
from tests.factories import NOON

pytestmark = pytest.mark.django_db


def happen(tenant, *names, action="package.published"):
    for name in names:
        audit.record(action, name, tenant=tenant, by="ci", at=NOON)
    operations.publish(tenant, at=NOON)


def deliver(endpoint, *, at=NOON):
    with clock.using(lambda: at):
        return delivering.deliver(endpoint.pk)


def states():
    return list(Delivery.objects.order_by("pk").values_list("state", flat=True))


def verify(secret, headers, body):
    """Check a webhook as its receiver does."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    return expected in headers["webhook-signature"].split(" ")


def test_an_event_arrives_signed_and_is_noted(tenant, listener):
    endpoint, secret = make_endpoint(tenant, listener.url)
    happen(tenant, "x")

    assert deliver(endpoint) == 1

    headers, body = listener.seen[0]
    event = Event.objects.get()
    assert headers["content-type"] == "application/cloudevents+json"
    assert headers["host"] == f"127.0.0.1:{listener.port}"
    assert json.loads(body) == operations.document_of(event, tenant="acme")
    assert headers["webhook-id"] == str(event.public_id)
    assert verify(secret, headers, body)
    assert states() == [DeliveryState.DELIVERED]
    row = DeliveryTry.objects.get()
    assert (row.number, row.status, row.answer, row.problem) == (1, 200, "ok", "")


def test_a_body_that_was_changed_on_its_way_does_not_hold(tenant, listener):
    endpoint, secret = make_endpoint(tenant, listener.url)
    happen(tenant, "x")
    deliver(endpoint)

    headers, body = listener.seen[0]

    assert not verify(secret, headers, body + b" ")
    assert not verify("whsec_" + base64.b64encode(b"other").decode(), headers, body)


def test_both_secrets_sign_for_a_day_after_rotation(tenant, listener):
    endpoint, old = make_endpoint(tenant, listener.url)
    new = operations.rotate_secret(endpoint, by="alice", at=NOON)
    happen(tenant, "x")
    deliver(endpoint)
    happen(tenant, "y")
    deliver(endpoint, at=NOON + timedelta(days=1))

    held = [[verify(secret, *seen) for secret in (old, new)] for seen in listener.seen]

    assert held == [[True, True], [False, True]]


def test_a_failure_is_tried_again_with_the_same_id_until_it_is_taken(tenant, endpoint, listener):
    listener.answers = [(500, b"busy"), (200, b"")]
    happen(tenant, "x")
    assert deliver(endpoint) == 0
    assert deliver(endpoint, at=NOON + timedelta(seconds=1)) == 0
    assert len(listener.seen) == 1

    deliver(endpoint, at=NOON + timedelta(seconds=10))

    assert len(set(listener.ids)) == 1 and len(listener.ids) == 2
    assert states() == [DeliveryState.DELIVERED]
    log = list(DeliveryTry.objects.order_by("number").values_list("number", "status", "answer"))
    assert log == [(1, 500, "busy"), (2, 200, "")]
    assert Endpoint.objects.get().failing_since is None


def test_an_event_that_is_never_taken_is_given_up_in_the_end(tenant, endpoint, listener):
    listener.answers = [(400, b"no")]
    happen(tenant, "x")
    Delivery.objects.update(tries=retries.TRIES - 1)

    deliver(endpoint)

    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.tries, delivery.due_at) == (DeliveryState.FAILED, retries.TRIES, None)


def test_an_endpoint_that_fails_for_days_is_paused_and_the_administrators_are_told(tenant, endpoint, listener):
    listener.answers = [(503, b"")]
    happen(tenant, "x")
    deliver(endpoint)
    assert Endpoint.objects.get().state == EndpointState.ACTIVE

    deliver(endpoint, at=NOON + timedelta(days=3))

    found = Endpoint.objects.get()
    assert found.state == EndpointState.PAUSED
    assert found.reason == "Nothing could be delivered since 2026-06-01 12:00 UTC: 503"
    assert Entry.objects.latest("number").action == "webhook.paused"
    operations.publish(tenant, at=NOON)
    assert Event.objects.latest("sequence").type == "webhook.paused"
    assert deliver(endpoint, at=NOON + timedelta(days=9)) == 0


def test_events_of_one_subject_arrive_in_order_and_others_do_not_wait(tenant, endpoint, listener):
    listener.answers = [(400, b""), (200, b"")]
    happen(tenant, "a", "a", "b")

    deliver(endpoint)
    first = list(listener.ids)
    deliver(endpoint, at=NOON + timedelta(seconds=10))

    a1, a2, b = [str(event.public_id) for event in Event.objects.order_by("sequence")]
    assert first == [a1, b]
    assert listener.ids == [a1, b, a1, a2]


def test_what_is_refused_again_and_again_is_overtaken(tenant, endpoint, listener):
    happen(tenant, "a", "a")
    Delivery.objects.filter(pk=Delivery.objects.earliest("pk").pk).update(tries=4, due_at=NOON + timedelta(hours=1))

    deliver(endpoint)

    assert listener.ids == [str(Event.objects.latest("sequence").public_id)]


def test_of_two_workers_one_delivers(tenant, endpoint, listener):
    happen(tenant, "x")
    held = operations.lease(endpoint.pk, at=NOON)

    assert deliver(endpoint) == 0
    assert operations.endpoints_due(at=NOON) == []
    operations.release(held)
    assert operations.endpoints_due(at=NOON) == [endpoint.pk]
    assert deliver(endpoint) == 1
    assert len(listener.seen) == 1


def test_what_a_killed_worker_had_sent_is_sent_again_with_the_same_id(tenant, endpoint, listener, monkeypatch):
    def die(*_, **__):
        raise SystemExit

    happen(tenant, "x")
    with monkeypatch.context() as patched, pytest.raises(SystemExit):
        patched.setattr(operations, "record_answer", die)
        deliver(endpoint)
    assert deliver(endpoint, at=NOON + timedelta(seconds=59)) == 0
    assert len(listener.seen) == 1

    deliver(endpoint, at=NOON + timedelta(seconds=61))

    assert len(listener.ids) == 2 and len(set(listener.ids)) == 1
    assert states() == [DeliveryState.DELIVERED]


@pytest.mark.django_db(transaction=True)
def test_a_slow_endpoint_does_not_hold_up_another(tenant, endpoint, listener):
    listener.gate = threading.Event()
    sink = socket.create_server(("127.0.0.1", 0))
    slow = make_endpoint(tenant, f"http://127.0.0.1:{sink.getsockname()[1]}/")[0]
    happen(tenant, "x")
    listener.gate.set()

    with clock.using(lambda: NOON):
        delivering.start(slow.pk)
        delivering.start(endpoint.pk)
        assert listener.arrived.wait(5)
        for _ in range(100):
            if Delivery.objects.filter(endpoint=endpoint, state=DeliveryState.DELIVERED).exists():
                break
            threading.Event().wait(0.05)

        assert Delivery.objects.get(endpoint=endpoint).state == DeliveryState.DELIVERED
        assert Delivery.objects.get(endpoint=slow).state == DeliveryState.PENDING
        sink.close()
        for _ in range(100):
            if DeliveryTry.objects.filter(delivery__endpoint=slow).exists():
                break
            threading.Event().wait(0.05)


def test_an_answer_is_kept_up_to_some_bytes_and_as_text(tenant, endpoint, listener):
    listener.answers = [(200, b"\xff\0" + b"x" * 100_000)]
    happen(tenant, "x")

    deliver(endpoint)

    assert DeliveryTry.objects.get().answer == "\N{REPLACEMENT CHARACTER}" * 2 + "x" * (posting.ANSWER_BYTES - 2)


def test_a_redirect_is_not_followed(tenant, endpoint, listener):
    listener.answers, listener.headers = [(307, b"")], [("Location", f"http://127.0.0.1:{listener.port}/elsewhere")]
    happen(tenant, "x")

    deliver(endpoint)

    assert len(listener.seen) == 1
    assert DeliveryTry.objects.get().status == 307
    assert states() == [DeliveryState.PENDING]


def test_a_name_that_leads_into_the_own_network_is_not_followed(tenant, endpoint, listener, settings):
    Endpoint.objects.update(url=f"http://localhost:{listener.port}/")
    settings.WEBHOOK_NETWORKS = [ip_network("10.0.0.0/8")]
    happen(tenant, "x")

    deliver(endpoint)

    assert listener.seen == []
    row = DeliveryTry.objects.get()
    assert row.status is None
    assert row.problem.startswith("ValueError: localhost is ")


def test_the_address_that_was_checked_is_the_one_connected_to(tenant, endpoint, listener, monkeypatch):
    looked_up = []
    real = socket.getaddrinfo

    def once(host, *rest, **more):
        looked_up.append(host)
        return real("127.0.0.1" if host == "hooks.example" else host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", once)
    Endpoint.objects.update(url=f"http://hooks.example:{listener.port}/")
    happen(tenant, "x")

    deliver(endpoint)

    assert looked_up.count("hooks.example") == 1
    assert listener.seen[0][0]["host"] == f"hooks.example:{listener.port}"


def test_an_endpoint_that_says_nothing_costs_limited_time(tenant, endpoint, listener, monkeypatch):
    monkeypatch.setattr(posting, "SECONDS", 0.3)
    listener.gate = threading.Event()
    happen(tenant, "x")

    deliver(endpoint)
    listener.gate.set()

    assert DeliveryTry.objects.get().problem == "no answer within 0.3 seconds"


def test_nobody_at_the_address_is_a_failure_like_any(tenant, endpoint, listener):
    Endpoint.objects.update(url=f"http://127.0.0.1:{free_port()}/")
    happen(tenant, "x", "y")

    assert deliver(endpoint) == 0

    assert DeliveryTry.objects.get().problem.startswith("ConnectError")
    assert Endpoint.objects.get().rests_until == NOON + timedelta(seconds=2)
    assert states() == [DeliveryState.PENDING] * 2


@pytest.mark.parametrize("url", ["http://10.0.0.1/", "http://169.254.169.254/latest", "ftp://example.com/"])
def test_an_endpoint_in_the_own_network_is_not_made(tenant, url):
    with pytest.raises(EndpointRefusedError):
        make_endpoint(tenant, url)

    assert (Endpoint.objects.count(), Entry.objects.count()) == (0, 0)


def test_in_production_an_endpoint_has_tls(tenant, settings):
    settings.WEBHOOKS_NEED_HTTPS = True

    with pytest.raises(EndpointRefusedError):
        make_endpoint(tenant, "http://example.com/")

    assert Endpoint.objects.count() == 0


def test_a_tenant_has_so_many_endpoints_at_most(tenant, listener, monkeypatch):
    monkeypatch.setattr(endpoints, "MAX_ENDPOINTS", 1)
    make_endpoint(tenant, listener.url)

    with pytest.raises(TooManyEndpointsError):
        make_endpoint(tenant, listener.url)

    assert Endpoint.objects.count() == 1


def test_a_delivery_is_made_again_with_the_id_that_it_had(tenant, endpoint, listener):
    happen(tenant, "x")
    deliver(endpoint)

    again = operations.replay_delivery(Delivery.objects.get(), by="alice", at=NOON)
    deliver(endpoint)

    assert again.is_replay
    assert len(listener.ids) == 2 and len(set(listener.ids)) == 1


def test_a_time_span_is_delivered_again_in_order(tenant, endpoint, listener):
    for hour, name in enumerate(("a", "b", "c", "d")):
        audit.record("package.published", name, tenant=tenant, by="ci", at=NOON + timedelta(hours=hour))
    operations.publish(tenant, at=NOON)
    Delivery.objects.all().delete()

    count = operations.replay_span(
        endpoint, since=NOON + timedelta(hours=1), until=NOON + timedelta(hours=3), by="alice", at=NOON
    )
    deliver(endpoint)

    assert count == 2
    assert [json.loads(body)["subject"] for _, body in listener.seen] == ["package/b", "package/c"]
    with pytest.raises(SpanRefusedError):
        operations.replay_span(endpoint, since=NOON, until=NOON, by="alice", at=NOON)


def test_a_test_reaches_an_endpoint_that_wants_something_else(tenant, listener):
    endpoint = make_endpoint(tenant, listener.url, ("wave.*",))[0]

    operations.send_test(endpoint, by="alice", at=NOON)
    deliver(endpoint)

    assert json.loads(listener.seen[0][1])["type"] == "webhook.test"
    assert len(listener.seen) == 1


def test_nothing_is_sent_to_an_endpoint_that_is_paused(tenant, endpoint, listener):
    happen(tenant, "x")
    operations.pause_endpoint(endpoint, reason="Maintenance.", by="alice", at=NOON)

    assert deliver(endpoint) == 0
    for refused in (
        lambda: operations.send_test(endpoint, by="alice", at=NOON),
        lambda: operations.replay_delivery(Delivery.objects.get(), by="alice", at=NOON),
    ):
        with pytest.raises(EndpointNotActiveError):
            refused()
    assert listener.seen == []

    operations.resume_endpoint(endpoint, by="alice", at=NOON)
    deliver(endpoint)
    assert len(listener.seen) == 1


def test_a_removed_endpoint_gets_nothing_more(tenant, endpoint, listener):
    happen(tenant, "x")

    operations.remove_endpoint(endpoint, by="alice", at=NOON)

    assert states() == [DeliveryState.FAILED]
    assert deliver(endpoint) == 0
    happen(tenant, "y")
    assert Delivery.objects.count() == 1
