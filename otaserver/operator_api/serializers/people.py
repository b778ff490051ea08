"""Who approves a campaign, and how its plan is changed."""

from typing import Any

from rest_framework import serializers

from otaserver.campaigns.records import Approval


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
