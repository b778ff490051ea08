"""What actions take: mostly why."""

from typing import Any

from rest_framework import serializers


class NoFields(serializers.Serializer[Any]):
    """An empty object."""


class Reason(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=2000)


class OptionalReason(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=2000, default="", allow_blank=True)


class Schedule(serializers.Serializer[Any]):
    starts_at = serializers.DateTimeField()


class WaveDecision(Reason):
    passed = serializers.BooleanField()
