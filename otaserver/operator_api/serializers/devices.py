from typing import Any

from rest_framework import serializers

from otaserver.fleet.authentication_models import AuthenticationSet, TenantToken
from otaserver.fleet.models import VEHICLE_ID_MAX_LENGTH
from otaserver.operator_api.serializers.fields import ExactField

MAX_BULK = 10_000


class DeviceSerializer(serializers.ModelSerializer[AuthenticationSet]):
    """One identity with one public key: who asked to be let in, or may come in when it asks."""

    vehicle_id = serializers.CharField(
        source="claimed_vehicle_id", help_text="the vehicle that it is, or would be; empty: say so when accepting"
    )
    is_key_change = serializers.BooleanField(help_text="the vehicle has another key that is accepted")

    class Meta:
        model = AuthenticationSet
        fields = [
            "id",
            "vehicle_id",
            "identity",
            "public_key",
            "key_sha256",
            "state",
            "is_key_change",
            "address",
            "created_at",
            "requested_at",
            "decided_by",
            "decided_at",
            "reason",
        ]


class ExpectedDeviceSerializer(serializers.Serializer[Any]):
    identity = serializers.DictField()
    public_key = ExactField(max_length=4096)
    vehicle_id = ExactField(max_length=VEHICLE_ID_MAX_LENGTH, default="", allow_blank=True)


class ExpectedDevices(serializers.Serializer[Any]):
    devices = serializers.ListField(child=ExpectedDeviceSerializer(), min_length=1, max_length=MAX_BULK)


class ExpectedCount(serializers.Serializer[Any]):
    expected = serializers.IntegerField()


class Acceptance(serializers.Serializer[Any]):
    vehicle_id = ExactField(
        max_length=VEHICLE_ID_MAX_LENGTH, default="", allow_blank=True, help_text="empty: as its identity says"
    )


class TenantTokenSerializer(serializers.ModelSerializer[TenantToken]):
    class Meta:
        model = TenantToken
        fields = ["id", "name", "created_by", "created_at", "revoked_at"]


class TenantTokenRequest(serializers.Serializer[Any]):
    name = ExactField(max_length=100)
    token = ExactField(
        max_length=4096, default="", allow_blank=True, help_text="one that a fleet sends already; empty: a new one"
    )


class IssuedTenantToken(serializers.Serializer[Any]):
    """The token is shown once; the server keeps its hash."""

    token = serializers.CharField()
