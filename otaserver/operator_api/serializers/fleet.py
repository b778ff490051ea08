from typing import Any

from rest_framework import serializers

from otaserver.fleet.models import VEHICLE_ID_MAX_LENGTH, Ecu, Group, Vehicle
from otaserver.operator_api.serializers.fields import ExactField

MAX_BULK = 10_000


class EcuSerializer(serializers.ModelSerializer[Ecu]):
    class Meta:
        model = Ecu
        fields = [
            "serial",
            "hardware_id",
            "is_primary",
            "keyid",
            "installed_target",
            "installed_sha256",
            "installed_length",
            "installed_name",
            "installed_version",
            "installed_at",
            "is_asserted",
        ]


class VehicleSerializer(serializers.ModelSerializer[Vehicle]):
    ecus = EcuSerializer(many=True)

    class Meta:
        model = Vehicle
        fields = [
            "id",
            "vehicle_id",
            "created_at",
            "enrolled_at",
            "last_contact_at",
            "confirmed_at",
            "blocked_at",
            "blocked_reason",
            "decommissioned_at",
            "watched_until",
            "time_zone",
            "protocol",
            "client",
            "is_test_bench",
            "ecus",
        ]


class AnswerSerializer(serializers.Serializer[Any]):
    """One reason: the rule with its value (limit), the vehicle's value, and what would change it."""

    code = serializers.CharField()
    sentence = serializers.CharField()
    rule = serializers.CharField()
    limit = serializers.CharField()
    value = serializers.CharField()
    remedy = serializers.CharField()
    campaign = serializers.CharField(help_text="empty: about the vehicle, whatever campaigns say")


class ExplanationSerializer(serializers.Serializer[Any]):
    """Why a vehicle is, or is not, being updated."""

    vehicle_id = serializers.CharField()
    is_being_updated = serializers.BooleanField()
    answers = AnswerSerializer(many=True)


class GroupSerializer(serializers.ModelSerializer[Group]):
    class Meta:
        model = Group
        fields = ["id", "name", "kind", "filter", "blocks_updates_reason", "created_at"]


class GroupDeclaration(serializers.Serializer[Any]):
    """A filter makes a dynamic group; vehicles chosen by hand a static one."""

    name = ExactField(max_length=100)
    filter = ExactField(max_length=10_000, default="", allow_blank=True)
    vehicles = serializers.ListField(
        child=ExactField(max_length=VEHICLE_ID_MAX_LENGTH),
        max_length=MAX_BULK,
        default=list,
        help_text="vehicle ids",
    )


class GroupChanges(serializers.Serializer[Any]):
    """What is left out stays as it is. Only a dynamic group has a filter."""

    name = ExactField(max_length=100, required=False)
    filter = ExactField(max_length=10_000, required=False)


class FilterDeclaration(serializers.Serializer[Any]):
    filter = ExactField(max_length=10_000)


class PreviewSerializer(serializers.Serializer[Any]):
    """How many vehicles match now, and a few of them. Where the count is not exact, there are at least so many."""

    count = serializers.IntegerField()
    is_exact = serializers.BooleanField()
    sample = serializers.ListField(child=serializers.CharField())


class VehicleIds(serializers.Serializer[Any]):
    vehicles = serializers.ListField(
        child=ExactField(max_length=VEHICLE_ID_MAX_LENGTH), min_length=1, max_length=MAX_BULK
    )


class MembershipChange(serializers.Serializer[Any]):
    changed = serializers.IntegerField(help_text="vehicles that were put in, or taken out")


class TestBenchMark(serializers.Serializer[Any]):
    is_test_bench = serializers.BooleanField(default=True)
    reason = serializers.CharField(max_length=2000)


class DirectOrder(serializers.Serializer[Any]):
    release = serializers.IntegerField(min_value=1, max_value=2**62)
    reason = serializers.CharField(max_length=2000)


class ClaimCodeRequest(serializers.Serializer[Any]):
    vehicle_ids = serializers.ListField(
        child=ExactField(max_length=VEHICLE_ID_MAX_LENGTH), min_length=1, max_length=MAX_BULK
    )
    valid_hours = serializers.IntegerField(min_value=1, max_value=24 * 366, default=24 * 30)


class ClaimCodeSerializer(serializers.Serializer[Any]):
    vehicle_id = serializers.CharField()
    claim_code = serializers.CharField()


class ClaimCodes(serializers.Serializer[Any]):
    """The codes are shown once; the server keeps hashes."""

    claim_codes = ClaimCodeSerializer(many=True)
    expires_at = serializers.DateTimeField()
