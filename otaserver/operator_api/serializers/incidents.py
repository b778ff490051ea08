from typing import Any

from rest_framework import serializers

from otaserver.campaigns.models import SoftwareChange, WorkshopCase
from otaserver.campaigns.states import Counts, FailureCategory, FailureOrigin


class FailureSerializer(serializers.Serializer[Any]):
    """What a code means, what to do about it, and what follows from it by itself."""

    code = serializers.CharField()
    category = serializers.ChoiceField(choices=FailureCategory.choices)
    origin = serializers.ChoiceField(choices=FailureOrigin.choices)
    meaning = serializers.CharField()
    advice = serializers.CharField()
    is_retried = serializers.BooleanField()
    counts = serializers.ChoiceField(choices=Counts.choices)
    needs_hands = serializers.BooleanField()


class WorkshopCaseSerializer(serializers.ModelSerializer[WorkshopCase]):
    vehicle = serializers.CharField(source="vehicle.vehicle_id")
    campaign = serializers.CharField(source="assignment.campaign.name", default=None, allow_null=True)

    class Meta:
        model = WorkshopCase
        fields = ["id", "vehicle", "campaign", "code", "reason", "opened_at", "closed_at", "closed_by", "note"]


class ClosingNote(serializers.Serializer[Any]):
    note = serializers.CharField(max_length=2000, help_text="what was done to the vehicle")


class SoftwareChangeSerializer(serializers.ModelSerializer[SoftwareChange]):
    vehicle = serializers.CharField(source="vehicle.vehicle_id")
    campaign = serializers.CharField(source="campaign.name", default=None, allow_null=True)

    class Meta:
        model = SoftwareChange
        fields = [
            "id",
            "vehicle",
            "ecu_serial",
            "from_target",
            "from_sha256",
            "to_target",
            "to_sha256",
            "at",
            "cause",
            "policy",
            "campaign",
        ]
