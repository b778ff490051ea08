"""Credentials that vehicles share to become known (aktualizr's shared-credential provisioning)."""

import base64
from typing import Any

from rest_framework import serializers

from otaserver.fleet.operations import IssuedProvisioning
from otaserver.fleet.provisioning_models import ProvisioningCredential
from otaserver.operator_api.serializers.fields import ExactField


class ProvisioningCredentialSerializer(serializers.ModelSerializer[ProvisioningCredential]):
    class Meta:
        model = ProvisioningCredential
        fields = ["id", "name", "fingerprint", "created_by", "created_at", "expires_at", "revoked_at"]


class ProvisioningCredentialRequest(serializers.Serializer[Any]):
    name = ExactField(max_length=40)
    address = ExactField(max_length=500, help_text="where vehicles find this server: https://…/aktualizr/<tenant>")
    valid_days = serializers.IntegerField(min_value=1, max_value=3 * 366, default=365)


class IssuedProvisioningSerializer(ProvisioningCredentialSerializer):
    """The archive (`credentials.zip`, base64) is shown once; the server keeps no copy of the key in it."""

    archive = serializers.CharField()

    class Meta(ProvisioningCredentialSerializer.Meta):
        fields = [*ProvisioningCredentialSerializer.Meta.fields, "archive"]


class ProvisioningPermitRequest(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=2000)
    valid_hours = serializers.IntegerField(min_value=1, max_value=24 * 90, default=24 * 7)


def issued(found: IssuedProvisioning) -> dict[str, Any]:
    shown = dict(ProvisioningCredentialSerializer(found.credential).data)
    return shown | {"archive": base64.b64encode(found.archive).decode()}
