from typing import Any

from rest_framework import serializers

from firmware_store.models import OnlineKey, RoleMetadata
from otaserver.tenants.keeping_models import MAX_DAYS


class RetentionSerializer(serializers.Serializer[Any]):
    """For how many days one kind of record is kept."""

    kind = serializers.CharField()
    description = serializers.CharField()
    days = serializers.IntegerField()
    default_days = serializers.IntegerField()


class Retentions(serializers.Serializer[Any]):
    kinds = RetentionSerializer(many=True)


class RetentionChanges(serializers.Serializer[Any]):
    """Days by kind; null: as by default. What is left out stays as it is."""

    days = serializers.DictField(child=serializers.IntegerField(min_value=1, max_value=MAX_DAYS, allow_null=True))


class PseudonymSerializer(serializers.Serializer[Any]):
    vehicle_id = serializers.CharField(help_text="what the vehicle is called from now on")
    entries = serializers.IntegerField(help_text="audit entries in which something was erased")


class StorageSerializer(serializers.Serializer[Any]):
    """What a tenant's packages and uploads take, as they count against its quota."""

    used_bytes = serializers.IntegerField()
    quota_bytes = serializers.IntegerField(allow_null=True)


class KeyAgeSerializer(serializers.ModelSerializer[OnlineKey]):
    class Meta:
        model = OnlineKey
        fields = ["repository", "role", "keyid", "created_at", "activated_at", "retired_at"]


class MetadataAgeSerializer(serializers.ModelSerializer[RoleMetadata]):
    class Meta:
        model = RoleMetadata
        fields = ["repository", "role", "profile", "version", "created_at", "expires_at"]


class AgesSerializer(serializers.Serializer[Any]):
    """How old the server's own keys are, and when the current version of each role's signed metadata ends."""

    online_keys = KeyAgeSerializer(many=True)
    metadata = MetadataAgeSerializer(many=True)
