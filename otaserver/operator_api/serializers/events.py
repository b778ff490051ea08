"""Events, webhooks with their deliveries, and who is written to about what."""

from typing import Any

from rest_framework import serializers

from otaserver.events import operations
from otaserver.events.models import Delivery, DeliveryTry, Endpoint, Event
from otaserver.events.states import MailKind
from otaserver.operator_api.serializers.fields import ExactField


class EventTypeSerializer(serializers.Serializer[Any]):
    type = serializers.CharField(source="name")
    sentence = serializers.CharField()
    details = serializers.ListField(child=serializers.CharField())
    only_when_named = serializers.BooleanField()


class EventDataSerializer(serializers.Serializer[Any]):
    """What an event tells; version v1 may gain fields, and never loses or changes one."""

    tenant = serializers.CharField()
    actor = serializers.CharField()
    object = serializers.DictField()
    sentence = serializers.CharField()
    wave = serializers.IntegerField(allow_null=True)
    details = serializers.DictField()


class EventSerializer(serializers.Serializer[Event]):
    """An event as CloudEvents 1.0 has it: what is delivered, word for word."""

    specversion = serializers.CharField()
    id = serializers.UUIDField()
    source = serializers.CharField()  # type: ignore[assignment]
    type = serializers.CharField()
    subject = serializers.CharField()
    time = serializers.DateTimeField()
    datacontenttype = serializers.CharField()
    dataschema = serializers.CharField()
    sequence = serializers.CharField(help_text="rises within the tenant")
    data = EventDataSerializer()  # type: ignore[assignment]

    def to_representation(self, instance: Event) -> dict[str, Any]:
        return operations.document_of(instance, tenant=instance.tenant.name)


class EndpointSerializer(serializers.ModelSerializer[Endpoint]):
    types = serializers.ListField(child=serializers.CharField())

    class Meta:
        model = Endpoint
        fields = [
            "id",
            "url",
            "description",
            "types",
            "state",
            "reason",
            "failing_since",
            "previous_until",
            "created_by",
            "created_at",
        ]


class EndpointWithSecretSerializer(EndpointSerializer):
    """With the secret, which is shown this once."""

    secret = serializers.CharField(read_only=True)

    class Meta(EndpointSerializer.Meta):
        fields = [*EndpointSerializer.Meta.fields, "secret"]


_TYPES_HELP = "names, or campaign.* and the like; none: all but those that have to be named"


class EndpointDeclaration(serializers.Serializer[Any]):
    url = ExactField(max_length=500)
    types = serializers.ListField(child=ExactField(max_length=60), default=list, max_length=100, help_text=_TYPES_HELP)
    description = serializers.CharField(max_length=200, default="", allow_blank=True)


class EndpointChange(serializers.Serializer[Any]):
    url = ExactField(max_length=500, required=False)
    types = serializers.ListField(
        child=ExactField(max_length=60), required=False, max_length=100, help_text=_TYPES_HELP
    )
    description = serializers.CharField(max_length=200, required=False, allow_blank=True)


class Span(serializers.Serializer[Any]):
    since = serializers.DateTimeField()
    until = serializers.DateTimeField()


class ReplayedSpanSerializer(serializers.Serializer[Any]):
    events = serializers.IntegerField()


class DeliveryTrySerializer(serializers.ModelSerializer[DeliveryTry]):
    class Meta:
        model = DeliveryTry
        fields = ["number", "at", "status", "latency_ms", "answer", "problem"]


class DeliverySerializer(serializers.ModelSerializer[Delivery]):
    """One event for one endpoint, with each try; `event` is the id in the header webhook-id."""

    event = serializers.UUIDField(source="event.public_id")
    type = serializers.CharField(source="event.type")
    subject = serializers.CharField(source="event.subject")
    log = DeliveryTrySerializer(many=True)

    class Meta:
        model = Delivery
        fields = [
            "id",
            "endpoint",
            "event",
            "type",
            "subject",
            "state",
            "is_replay",
            "tries",
            "due_at",
            "created_at",
            "settled_at",
            "log",
        ]


class MailSettingsSerializer(serializers.Serializer[Any]):
    """What members are written to about at all, and which further addresses are written to about all of it."""

    kinds = serializers.ListField(child=serializers.ChoiceField(choices=MailKind.choices), max_length=20)
    addresses = serializers.ListField(child=ExactField(max_length=254), max_length=20)


class MailReaderSerializer(serializers.Serializer[Any]):
    """A member and what they are written to about; `is_chosen`: not by their role."""

    username = serializers.CharField()
    email = serializers.CharField()
    role = serializers.CharField()
    kinds = serializers.ListField(child=serializers.CharField())
    is_chosen = serializers.BooleanField()


class MailChoice(serializers.Serializer[Any]):
    kinds = serializers.ListField(child=serializers.ChoiceField(choices=MailKind.choices), max_length=20)
