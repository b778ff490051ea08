"""Deliveries made again, and a test: each is a delivery of its own, with the id that its event has always had."""

from datetime import datetime

from django.db import transaction

from otaserver.audit import operations as audit
from otaserver.events.errors import EndpointNotActiveError, SpanRefusedError
from otaserver.events.models import Delivery, Endpoint, Event
from otaserver.events.operations import feed
from otaserver.events.rules import types as rules
from otaserver.events.rules.envelope import Object, data_of
from otaserver.events.states import EndpointState

MAX_REPLAYED = 10_000


@transaction.atomic
def replay_delivery(delivery: Delivery, *, by: str, at: datetime) -> Delivery:
    """Deliver one event again.

    Raises:
        EndpointNotActiveError: its endpoint is paused or removed.
    """
    _require_active(delivery.endpoint)
    made = Delivery.objects.create(
        endpoint=delivery.endpoint, event=delivery.event, is_replay=True, due_at=at, created_at=at
    )
    endpoint = delivery.endpoint
    audit.record("webhook.replayed", endpoint, tenant=endpoint.tenant, by=by, at=at, event=str(made.event.public_id))
    return made


@transaction.atomic
def replay_span(endpoint: Endpoint, *, since: datetime, until: datetime, by: str, at: datetime) -> int:
    """Deliver again what an endpoint wants of a time span, in order; return how many events that is.

    Raises:
        EndpointNotActiveError: it is paused or removed.
        SpanRefusedError: the span ends before it begins, or holds too many events.
    """
    _require_active(endpoint)
    if until <= since:
        raise SpanRefusedError(f"The span ends at {until.isoformat()}, not after it begins at {since.isoformat()}.")
    wanted = [name for name in rules.TYPES if rules.is_wanted(name, endpoint.types)]
    rows = Event.objects.filter(tenant=endpoint.tenant, at__gte=since, at__lt=until, type__in=wanted)
    found = list(rows.order_by("sequence").values_list("pk", flat=True)[: MAX_REPLAYED + 1])
    if len(found) > MAX_REPLAYED:
        raise SpanRefusedError(f"The span holds more than {MAX_REPLAYED} events.", limit=MAX_REPLAYED)
    Delivery.objects.bulk_create(
        Delivery(endpoint=endpoint, event_id=pk, is_replay=True, due_at=at, created_at=at) for pk in found
    )
    span = {"since": since.isoformat(), "until": until.isoformat(), "events": len(found)}
    audit.record("webhook.replayed", endpoint, tenant=endpoint.tenant, by=by, at=at, **span)
    return len(found)


@transaction.atomic
def send_test(endpoint: Endpoint, *, by: str, at: datetime) -> Delivery:
    """Deliver an event that says nothing, whatever the endpoint wants.

    Raises:
        EndpointNotActiveError: it is paused or removed.
        StaleStateError: events were being written at this moment; the same again will do.
    """
    _require_active(endpoint)
    type = rules.TYPES[rules.TEST]
    about = Object("endpoint", endpoint.pk, endpoint.url)
    data = data_of(type, about, tenant=endpoint.tenant.name, actor=by, details={})
    draft = feed.Draft(type.name, about.subject, at, data)
    event = feed.store(feed.locked_feed(endpoint.tenant), [draft], at=at)[0]
    made, _ = Delivery.objects.get_or_create(endpoint=endpoint, event=event, defaults={"due_at": at, "created_at": at})
    return made


def _require_active(endpoint: Endpoint) -> None:
    if endpoint.state != EndpointState.ACTIVE:
        raise EndpointNotActiveError(f"Webhooks to {endpoint} are {endpoint.state}.", state=endpoint.state)
