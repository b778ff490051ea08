from typing import Any

from rest_framework import serializers

from firmware_store.models import VerificationKey
from firmware_store.states import KeyFormat
from otaserver.operator_api.serializers.fields import ExactField


class VerificationKeySerializer(serializers.ModelSerializer[VerificationKey]):
    class Meta:
        model = VerificationKey
        fields = ["id", "name", "format", "hardware_id", "pem", "created_by", "created_at", "retired_at"]


class VerificationKeyDeclaration(serializers.Serializer[Any]):
    """What vehicles check package files of this format against: certificates, or a public key, in PEM."""

    name = ExactField(max_length=80)
    format = serializers.ChoiceField(choices=KeyFormat.choices)
    hardware_id = ExactField(
        max_length=64, default="", allow_blank=True, help_text="empty: for all hardware without keys of its own"
    )
    pem = ExactField(max_length=65536)
