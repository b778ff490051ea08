"""Who approves a campaign, and whether its decisions follow from their records."""

from typing import Any

from rest_framework import serializers

from otaserver.campaigns.records import Approval


class ReplayedSerializer(serializers.Serializer[Any]):
    """One decision of the engine, or another record that decisions rest on, made again."""

    kind = serializers.CharField()
    at = serializers.DateTimeField(allow_null=True)
    decision = serializers.IntegerField(allow_null=True)
    is_same = serializers.BooleanField()
    detail = serializers.CharField()


class ReplaySerializer(serializers.Serializer[Any]):
    """Whether all that the engine decided follows again from its records, and what does not."""

    is_same = serializers.BooleanField()
    replayed = ReplayedSerializer(source="items", many=True)


class Approve(serializers.Serializer[Any]):
    """The revision that the approver has read; without one, the campaign as it now is."""

    revision = serializers.IntegerField(min_value=1, max_value=2**31 - 1, required=False)


class ApprovalSerializer(serializers.ModelSerializer[Approval]):
    class Meta:
        model = Approval
        fields = ["by", "at"]


class ApprovalsSerializer(serializers.Serializer[Any]):
    """How many people other than the authors must approve, who has, and how many are missing."""

    needed = serializers.IntegerField(source="required")
    missing = serializers.IntegerField()
    authors = serializers.ListField(child=serializers.CharField())
    given = ApprovalSerializer(many=True)
