from typing import Any

from rest_framework import serializers

from otaserver.fleet.lifecycle_models import EcuSwap, RetiredAuthority
from otaserver.fleet.models import Attribute, Credential, FleetAuthority, Vehicle
from otaserver.fleet.states import AttributeType
from otaserver.operator_api.serializers.fields import ExactField


class CredentialSerializer(serializers.ModelSerializer[Credential]):
    """A credential, never its secret: `fingerprint` is a token's hash, or a certificate's serial number."""

    class Meta:
        model = Credential
        fields = ["kind", "fingerprint", "generation", "created_at", "used_at", "expires_at", "revoked_at"]


class RevocationSerializer(serializers.Serializer[Any]):
    revoked = serializers.IntegerField(help_text="credentials that were good until now")


class ExpiringSerializer(serializers.ModelSerializer[Vehicle]):
    """A vehicle whose last credential ends soon, or has ended."""

    credentials_end_at = serializers.DateTimeField()

    class Meta:
        model = Vehicle
        fields = ["vehicle_id", "credentials_end_at", "last_contact_at"]


class EcuSwapSerializer(serializers.ModelSerializer[EcuSwap]):
    class Meta:
        model = EcuSwap
        fields = [
            "old_serial",
            "new_serial",
            "hardware_id",
            "reason",
            "announced_by",
            "announced_at",
            "expires_at",
            "done_at",
        ]


class EcuSwapDeclaration(serializers.Serializer[Any]):
    """Empty `new_serial`: whichever ECU comes; the same as the old one: another key. Empty `hardware_id`: as it was."""

    old_serial = ExactField(max_length=64)
    new_serial = ExactField(max_length=64, default="", allow_blank=True)
    hardware_id = ExactField(max_length=64, default="", allow_blank=True)
    reason = serializers.CharField(max_length=2000)
    valid_hours = serializers.IntegerField(min_value=1, max_value=24 * 366, default=24 * 14)


class SaleDeclaration(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=2000)
    valid_hours = serializers.IntegerField(min_value=1, max_value=24 * 366, default=24 * 30)


class SaleSerializer(serializers.Serializer[Any]):
    """The claim code is shown once; the server keeps its hash."""

    claim_code = serializers.CharField()
    expires_at = serializers.DateTimeField(source="claim_code_expires_at")
    credentials = serializers.IntegerField(source="ended.credentials")
    attributes = serializers.IntegerField(source="ended.attributes")
    consents = serializers.IntegerField()


class DecommissionSerializer(serializers.Serializer[Any]):
    credentials = serializers.IntegerField(source="ended.credentials")
    groups = serializers.IntegerField(source="ended.groups")
    assignments = serializers.IntegerField(help_text="parts in campaigns that had not begun to install")


class IssuingAuthoritySerializer(serializers.ModelSerializer[FleetAuthority]):
    class Meta:
        model = FleetAuthority
        fields = ["created_at", "certificate_pem"]


class RetiredAuthoritySerializer(serializers.ModelSerializer[RetiredAuthority]):
    certificates = serializers.IntegerField(help_text="certificates of it that are still good")

    class Meta:
        model = RetiredAuthority
        fields = ["id", "created_at", "retired_at", "ended_at", "certificates", "certificate_pem"]


class AuthoritiesSerializer(serializers.Serializer[Any]):
    issuing = IssuingAuthoritySerializer(allow_null=True)
    retired = RetiredAuthoritySerializer(many=True)


class AuthorityEnd(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=2000)
    ends_certificates = serializers.BooleanField(
        default=False, help_text="also while vehicles have certificates of it, which then end"
    )


class EndedAuthority(serializers.Serializer[Any]):
    certificates = serializers.IntegerField(help_text="certificates that ended with it")


class AttributeSerializer(serializers.ModelSerializer[Attribute]):
    class Meta:
        model = Attribute
        fields = ["name", "type", "description", "is_personal"]


class AttributeDeclaration(serializers.Serializer[Any]):
    """`is_personal`: it tells of the vehicle's owner, and its values go at a sale."""

    name = ExactField(max_length=63)
    type = serializers.ChoiceField(choices=AttributeType.choices)
    description = serializers.CharField(max_length=200, default="", allow_blank=True)
    is_personal = serializers.BooleanField(default=False)


class AttributeMark(serializers.Serializer[Any]):
    is_personal = serializers.BooleanField()
