"""The audit record made into events: it is written in the transaction of each change, and so loses and invents none."""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F, Q

from otaserver import metrics
from otaserver.audit.models import Chain, Entry
from otaserver.events.models import Delivery, Endpoint, Event, Feed
from otaserver.events.operations import letters
from otaserver.events.rules import envelope
from otaserver.events.rules import types as rules
from otaserver.events.states import EndpointState
from otaserver.statemachine import StaleStateError
from otaserver.tenants.models import Tenant

CHUNK = 500


@dataclass(frozen=True)
class Draft:
    """An event that has no number yet."""

    type: str
    subject: str
    at: datetime
    data: dict[str, Any]


def tenants_with_news() -> Sequence[int]:
    """Return the tenants whose audit record has entries that were not looked at yet."""
    news = Q(tenant__event_feed=None) | Q(length__gt=F("tenant__event_feed__position"))
    return list(Chain.objects.filter(news, length__gt=0).order_by("pk").values_list("tenant_id", flat=True))


@transaction.atomic
def publish(tenant: Tenant, *, at: datetime) -> bool:
    """Make the next entries of a tenant's audit record into events with their deliveries and letters.

    Return whether there may be more. All or nothing: of two workers one stores nothing.

    Raises:
        StaleStateError: another worker was faster.
    """
    feed = locked_feed(tenant)
    entries = list(Entry.objects.filter(tenant=tenant, number__gt=feed.position).order_by("number")[:CHUNK])
    if not entries:
        return False
    drafts = [drafted for entry in entries if (drafted := _draft(tenant, entry)) is not None]
    store(feed, drafts, position=entries[-1].number, at=at)
    return len(entries) == CHUNK


def locked_feed(tenant: Tenant) -> Feed:
    Feed.objects.get_or_create(tenant=tenant)
    return Feed.objects.select_for_update().get(tenant=tenant)


def store(feed: Feed, drafts: Sequence[Draft], *, at: datetime, **changes: Any) -> list[Event]:
    """Number and store events of a feed that is locked, with what is to be delivered and written about them."""
    # Where a lock does nothing, the second writer finds that the feed has moved.
    unmoved = Feed.objects.filter(pk=feed.pk, position=feed.position, sequence=feed.sequence)
    if not unmoved.update(sequence=feed.sequence + len(drafts), **changes):
        raise StaleStateError(f"The events of tenant {feed.tenant_id} are being written by another.")
    events = Event.objects.bulk_create(
        Event(
            tenant_id=feed.tenant_id,
            sequence=number,
            public_id=uuid.uuid4(),
            type=draft.type,
            subject=draft.subject,
            at=draft.at,
            data=draft.data,
        )
        for number, draft in enumerate(drafts, start=feed.sequence + 1)
    )
    _address(feed, events, at=at)
    letters.write(feed.tenant, events, at=at)
    transaction.on_commit(lambda: _count(events))
    return events


def _count(events: Iterable[Event]) -> None:
    for event in events:
        metrics.events.labels(event.type).inc()


def _draft(tenant: Tenant, entry: Entry) -> Draft | None:
    type = rules.type_of(entry.action, actor=entry.actor)
    if type is None:
        return None
    about = envelope.object_of(entry.subject, action=entry.action)
    data = envelope.data_of(type, about, tenant=tenant.name, actor=entry.actor, details=entry.details)
    return Draft(type.name, about.subject, entry.at, data)


def _address(feed: Feed, events: Iterable[Event], *, at: datetime) -> None:
    endpoints = list(Endpoint.objects.filter(tenant=feed.tenant_id, state=EndpointState.ACTIVE))
    Delivery.objects.bulk_create(
        Delivery(endpoint=endpoint, event=event, due_at=at, created_at=at)
        for event in events
        for endpoint in endpoints
        if rules.is_wanted(event.type, endpoint.types)
    )
