from collections.abc import Mapping

from django.db.models import TextChoices


class EndpointState(TextChoices):
    ACTIVE = "active"
    PAUSED = "paused"  # by a person, or by the server after days of failure
    REMOVED = "removed"


ENDPOINT_TRANSITIONS: Mapping[str, frozenset[str]] = {
    EndpointState.ACTIVE: frozenset({EndpointState.PAUSED, EndpointState.REMOVED}),
    EndpointState.PAUSED: frozenset({EndpointState.ACTIVE, EndpointState.REMOVED}),
    EndpointState.REMOVED: frozenset(),
}


class DeliveryState(TextChoices):
    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


class MailState(TextChoices):
    PENDING = "pending"
    SENT = "sent"
    FAILED = "failed"


class MailKind(TextChoices):
    """What members can be written to about."""

    HALTS = "halts"
    APPROVALS = "approvals"  # what waits for a person: campaigns in review, waves that are undecided
    EXPIRIES = "expiries"
    WEBHOOKS = "webhooks"  # an endpoint was paused after days of failure
