"""Deliveries: taken up one at a time for each endpoint, in order for each subject, and noted try by try."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet

from otaserver.events.models import Delivery, DeliveryTry, Endpoint, Event
from otaserver.events.operations import endpoints
from otaserver.events.rules import envelope, retries, signatures
from otaserver.events.states import DeliveryState, EndpointState

# Longer than one request may take: a lease is renewed before each.
LEASE = timedelta(seconds=60)
# For so many tries, some minutes, what follows about the same subject waits; then it overtakes.
HELD_TRIES = 4
SERVER = "server"


@dataclass(frozen=True)
class Parcel:
    """One request that is to be made: nothing of it needs the database."""

    delivery_id: int
    url: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """What came of a request: a status, or a problem in a sentence."""

    status: int | None
    latency_ms: int
    text: str = ""
    problem: str = ""

    @property
    def is_good(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    @property
    def is_endpoint_down(self) -> bool:
        """Whether the endpoint as a whole fails, and not only at this event."""
        return self.status is None or self.status >= 500 or self.status == 429


def endpoints_due(*, at: datetime) -> Sequence[int]:
    """Return the endpoints to which something is due and nobody delivers, in no particular order."""
    waiting = Delivery.objects.filter(endpoint=OuterRef("pk"), state=DeliveryState.PENDING, due_at__lte=at)
    return list(_free(at=at).filter(Exists(waiting)).values_list("pk", flat=True))


def lease(endpoint_id: int, *, at: datetime) -> Endpoint | None:
    """Take up an endpoint, for a minute; None: another does, or it rests. Of two callers one gets it."""
    if not _free(at=at).filter(pk=endpoint_id).update(leased_until=at + LEASE):
        return None
    return Endpoint.objects.select_related("tenant").get(pk=endpoint_id)


def keep(endpoint: Endpoint, *, at: datetime) -> bool:
    """Renew a lease before the next request; False: it has been lost, or the endpoint is no longer active."""
    held = Endpoint.objects.filter(pk=endpoint.pk, state=EndpointState.ACTIVE, leased_until=endpoint.leased_until)
    endpoint.leased_until = at + LEASE
    return bool(held.update(leased_until=endpoint.leased_until))


def release(endpoint: Endpoint) -> None:
    """Let another take up an endpoint."""
    Endpoint.objects.filter(pk=endpoint.pk, leased_until=endpoint.leased_until).update(leased_until=None)


def next_parcel(endpoint: Endpoint, *, at: datetime) -> Parcel | None:
    """Return the next request to an endpoint: the oldest due, and for some minutes none before what it follows."""
    pending = Delivery.objects.filter(endpoint=endpoint, state=DeliveryState.PENDING)
    earlier = pending.filter(event__subject=OuterRef("event__subject"), pk__lt=OuterRef("pk"), tries__lt=HELD_TRIES)
    found = pending.filter(~Exists(earlier), due_at__lte=at).select_related("event").order_by("pk").first()
    if found is None:
        return None
    body = envelope.body(document_of(found.event, tenant=endpoint.tenant.name))
    keys = endpoints.keys_of(endpoint, at=at)
    signed = signatures.headers(keys, id=str(found.event.public_id), at=at, body=body)
    return Parcel(found.pk, endpoint.url, {"content-type": envelope.CONTENT_TYPE, **signed}, body)


def document_of(event: Event, *, tenant: str) -> dict[str, object]:
    """Return an event as it is delivered."""
    return envelope.document(
        id=str(event.public_id),
        type=event.type,
        tenant=tenant,
        subject=event.subject,
        sequence=event.sequence,
        at=event.at,
        data=event.data,
    )


@transaction.atomic
def record_answer(endpoint: Endpoint, delivery_id: int, answer: Answer, *, at: datetime) -> None:
    """Note one try. A good answer settles the delivery; else it is tried again, or given up, and the endpoint may rest
    or, after days, be paused."""
    delivery = Delivery.objects.select_for_update().filter(pk=delivery_id, state=DeliveryState.PENDING).first()
    if delivery is None:
        return
    tries = delivery.tries + 1
    DeliveryTry.objects.create(
        delivery=delivery,
        number=tries,
        at=at,
        status=answer.status,
        latency_ms=answer.latency_ms,
        answer=answer.text,
        problem=answer.problem[:300],
    )
    rows = Delivery.objects.filter(pk=delivery.pk)
    if answer.is_good:
        rows.update(state=DeliveryState.DELIVERED, tries=tries, due_at=None, settled_at=at)
        Endpoint.objects.filter(pk=endpoint.pk).update(failing_since=None, failures=0, rests_until=None)
        return
    due = retries.next_try(tries, at=at, draw=random.random())
    if due is None:
        rows.update(state=DeliveryState.FAILED, tries=tries, due_at=None, settled_at=at)
    else:
        rows.update(tries=tries, due_at=due)
    _note_failure(endpoint, answer, at=at)


def _note_failure(endpoint: Endpoint, answer: Answer, *, at: datetime) -> None:
    rows = Endpoint.objects.filter(pk=endpoint.pk)
    rows.filter(failing_since=None).update(failing_since=at)
    if answer.is_endpoint_down:
        rows.update(failures=F("failures") + 1)
        found = rows.get()
        rows.update(rests_until=at + retries.rest(found.failures))
    found = rows.select_related("tenant").get()
    since = found.failing_since
    if found.state == EndpointState.ACTIVE and since is not None and retries.must_pause(since, at=at):
        reason = f"Nothing could be delivered since {since:%Y-%m-%d %H:%M} UTC: {answer.problem or answer.status}"
        endpoints.pause_endpoint(found, reason=reason[:500], by=SERVER, at=at)


def _free(*, at: datetime) -> QuerySet[Endpoint]:
    rows = Endpoint.objects.filter(state=EndpointState.ACTIVE)
    rows = rows.filter(Q(leased_until=None) | Q(leased_until__lte=at))
    return rows.filter(Q(rests_until=None) | Q(rests_until__lte=at))
