from typing import Any

from rest_framework import serializers

from otaserver.fleet.models import VEHICLE_ID_MAX_LENGTH
from otaserver.fleet.protocol_models import DdiSettings, GatewayToken
from otaserver.operator_api.serializers.fields import ExactField

MAX_ECUS = 100


class DdiSettingsSerializer(serializers.ModelSerializer[DdiSettings]):
    class Meta:
        model = DdiSettings
        fields = ["default_hardware_id", "hardware_attribute", "version_attribute", "chunk_parts", "authorities"]


class DdiSettingsChange(serializers.Serializer[Any]):
    """What is left out stays as it is."""

    default_hardware_id = ExactField(
        max_length=64, required=False, help_text="of a vehicle that registers itself, until it says otherwise"
    )
    hardware_attribute = ExactField(
        max_length=128,
        required=False,
        allow_blank=True,
        help_text="the configData key that tells a vehicle's hardware id",
    )
    version_attribute = ExactField(
        max_length=128,
        required=False,
        allow_blank=True,
        help_text="the configData key that tells the version that runs",
    )
    chunk_parts = serializers.DictField(
        child=ExactField(max_length=64), required=False, help_text="by hardware id, what its packages' part is called"
    )
    authorities = serializers.ListField(
        child=ExactField(max_length=128),
        required=False,
        help_text="who may vouch for vehicles by headers of a trusted proxy",
    )


class GatewayTokenSerializer(serializers.ModelSerializer[GatewayToken]):
    class Meta:
        model = GatewayToken
        fields = ["id", "name", "created_by", "created_at", "revoked_at"]


class GatewayTokenDeclaration(serializers.Serializer[Any]):
    """Without a token the server makes one; with one that a fleet was flashed with, that one serves."""

    name = ExactField(max_length=100)
    token = ExactField(max_length=128, required=False)


class TargetTokenDeclaration(serializers.Serializer[Any]):
    """Without a token the server makes one."""

    token = ExactField(max_length=128, required=False)


class SecretToken(serializers.Serializer[Any]):
    """Shown once; the server keeps a hash."""

    token = serializers.CharField()


class KeylessEcuDeclaration(serializers.Serializer[Any]):
    serial = ExactField(max_length=64)
    hardware_id = ExactField(max_length=64)


class DdiVehicleDeclaration(serializers.Serializer[Any]):
    """A vehicle that speaks DDI, with the computers in it; the first is the Primary."""

    vehicle_id = ExactField(max_length=VEHICLE_ID_MAX_LENGTH)
    ecus = serializers.ListField(child=KeylessEcuDeclaration(), min_length=1, max_length=MAX_ECUS)
    token = ExactField(max_length=128, required=False, help_text="a target token that it was flashed with")
