"""Events made from the audit record, who is told of them, and what came of it."""

from django.db import models
from django.db.models import Q

from otaserver.campaigns.models import Assignment
from otaserver.events.states import ENDPOINT_TRANSITIONS, DeliveryState, EndpointState, MailState
from otaserver.statemachine import StatefulModel
from otaserver.tenants.models import Tenant, User


class Feed(models.Model):
    """How far one tenant's audit record has been made into events, and the number of its last event."""

    tenant = models.OneToOneField(Tenant, models.CASCADE, related_name="event_feed")
    position = models.PositiveBigIntegerField(default=0)
    sequence = models.PositiveBigIntegerField(default=0)
    # From when on ends of assignments are looked for; null: nobody has asked for them yet.
    outcomes_since = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"events of {self.tenant}"


class Event(models.Model):
    """One thing that happened, as it is told; made once, and kept for some weeks."""

    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="events", db_index=False)
    sequence = models.PositiveBigIntegerField()
    public_id = models.UUIDField(unique=True)
    type = models.CharField(max_length=60)
    subject = models.CharField(max_length=320)
    at = models.DateTimeField()
    data = models.JSONField()

    class Meta:
        constraints = [models.UniqueConstraint("tenant", "sequence", name="event_sequence_once_per_tenant")]
        indexes = [models.Index("tenant", "at", name="event_by_time")]

    def __str__(self) -> str:
        return f"{self.type} {self.subject}"


class ToldOutcome(models.Model):
    """An assignment's end that has been told; kept for as long as the search for new ones looks back."""

    assignment = models.ForeignKey(Assignment, models.CASCADE, related_name="+", db_index=False)
    settled_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint("assignment", "settled_at", name="told_outcome_once")]
        indexes = [models.Index("settled_at", name="told_outcome_by_time")]

    def __str__(self) -> str:
        return f"end of {self.assignment_id}"


class Endpoint(StatefulModel):
    """Where one tenant's events are posted to."""

    TRANSITIONS = ENDPOINT_TRANSITIONS
    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="webhook_endpoints")
    url = models.CharField(max_length=500)
    description = models.CharField(max_length=200, blank=True)
    # Names and `noun.*`; none: all but those that have to be named.
    types = models.JSONField(default=list)
    state = models.CharField(max_length=10, choices=EndpointState.choices, default=EndpointState.ACTIVE)
    reason = models.CharField(max_length=500, blank=True)
    # With the server's secret they make the keys; a copy of the database alone signs nothing.
    salt = models.CharField(max_length=64)
    previous_salt = models.CharField(max_length=64, blank=True)
    previous_until = models.DateTimeField(null=True, blank=True)
    created_by = models.CharField(max_length=200)
    created_at = models.DateTimeField()
    failing_since = models.DateTimeField(null=True, blank=True)
    failures = models.PositiveIntegerField(default=0)
    rests_until = models.DateTimeField(null=True, blank=True)
    # Held by whoever delivers to it now; a killed one's ends by itself.
    leased_until = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="endpoint_previous_secret_has_an_end",
                condition=Q(previous_salt="") | Q(previous_until__isnull=False),
            )
        ]

    def __str__(self) -> str:
        return self.url


class Delivery(models.Model):
    """One event for one endpoint: tried until it is delivered or given up."""

    endpoint = models.ForeignKey(Endpoint, models.CASCADE, related_name="deliveries", db_index=False)
    event = models.ForeignKey(Event, models.CASCADE, related_name="deliveries")
    state = models.CharField(max_length=10, choices=DeliveryState.choices, default=DeliveryState.PENDING)
    is_replay = models.BooleanField(default=False)
    tries = models.PositiveSmallIntegerField(default=0)
    due_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "deliveries"
        constraints = [
            models.CheckConstraint(
                name="delivery_pending_has_due_time",
                condition=Q(state=DeliveryState.PENDING, due_at__isnull=False, settled_at__isnull=True)
                | (~Q(state=DeliveryState.PENDING) & Q(due_at__isnull=True, settled_at__isnull=False)),
            )
        ]
        indexes = [
            models.Index("endpoint", "id", name="delivery_of_endpoint"),
            models.Index("endpoint", "event", "id", name="delivery_pending", condition=Q(state=DeliveryState.PENDING)),
        ]

    def __str__(self) -> str:
        return f"{self.event} to {self.endpoint}"


class DeliveryTry(models.Model):
    """One try of a delivery: what was answered, how soon, or why nothing was."""

    delivery = models.ForeignKey(Delivery, models.CASCADE, related_name="log", db_index=False)
    number = models.PositiveSmallIntegerField()
    at = models.DateTimeField()
    status = models.PositiveSmallIntegerField(null=True, blank=True)
    latency_ms = models.PositiveIntegerField()
    # The first bytes, as text.
    answer = models.TextField(blank=True)
    problem = models.CharField(max_length=300, blank=True)

    class Meta:
        verbose_name_plural = "delivery tries"
        constraints = [models.UniqueConstraint("delivery", "number", name="delivery_try_number_once")]

    def __str__(self) -> str:
        return f"try {self.number} of {self.delivery}"


class ExpiryNotice(models.Model):
    """A warning that was given, by what it is about and how near the end was: each is given once."""

    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="+", db_index=False)
    key = models.CharField(max_length=200)
    at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint("tenant", "key", name="expiry_notice_once")]

    def __str__(self) -> str:
        return self.key


class Heartbeat(models.Model):
    """When a task of the clock last ran: the clock, Redis and a worker all work."""

    name = models.CharField(max_length=40, unique=True)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name} at {self.at:%Y-%m-%d %H:%M:%S}"


class MailSettings(models.Model):
    """What a tenant's members are written to about at all, and which further addresses are (a team's mailbox)."""

    tenant = models.OneToOneField(Tenant, models.CASCADE, related_name="mail_settings")
    kinds = models.JSONField()
    addresses = models.JSONField(default=list)

    class Meta:
        verbose_name_plural = "mail settings"

    def __str__(self) -> str:
        return f"mail of {self.tenant}"


class MailPreference(models.Model):
    """What one member is written to about, in place of what their role says."""

    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="mail_preferences", db_index=False)
    user = models.ForeignKey(User, models.CASCADE, related_name="mail_preferences")
    kinds = models.JSONField()

    class Meta:
        constraints = [models.UniqueConstraint("tenant", "user", name="mail_preference_once_per_member")]

    def __str__(self) -> str:
        return f"mail of {self.user} for {self.tenant}"


class Mail(models.Model):
    """One letter to one address about one subject: it takes in what happens until it is due."""

    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="mails", db_index=False)
    address = models.EmailField()
    subject = models.CharField(max_length=320)
    events = models.ManyToManyField(Event, related_name="mails")
    state = models.CharField(max_length=10, choices=MailState.choices, default=MailState.PENDING)
    tries = models.PositiveSmallIntegerField(default=0)
    due_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True, blank=True)
    problem = models.CharField(max_length=300, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                "tenant",
                "address",
                "subject",
                name="mail_one_pending_per_subject",
                condition=Q(state=MailState.PENDING),
            )
        ]
        indexes = [
            models.Index("tenant", "address", "subject", "sent_at", name="mail_last_sent"),
            models.Index("due_at", name="mail_due", condition=Q(state=MailState.PENDING)),
        ]

    def __str__(self) -> str:
        return f"to {self.address} about {self.subject}"
