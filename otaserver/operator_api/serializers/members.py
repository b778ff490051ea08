"""Members, the ways to become one, and tokens: nobody's secret is ever read back."""

from typing import Any

from rest_framework import serializers

from otaserver.operator_api.serializers.fields import ExactField
from otaserver.people.models import Invitation, PersonalToken
from otaserver.tenants.models import Member, ServiceToken
from otaserver.tenants.states import Permission, Role


class MemberSerializer(serializers.ModelSerializer[Member]):
    """A person's role in the tenant."""

    username = serializers.CharField(source="user.username")
    email = serializers.CharField(source="user.email")
    is_active = serializers.BooleanField(source="user.is_active")
    last_sign_in_at = serializers.DateTimeField(source="user.last_login", allow_null=True)

    class Meta:
        model = Member
        fields = ["id", "username", "email", "role", "is_active", "is_from_single_sign_on", "last_sign_in_at"]


class MemberChange(serializers.Serializer[Any]):
    role = serializers.ChoiceField(choices=Role.choices)


class InvitationRequest(serializers.Serializer[Any]):
    role = serializers.ChoiceField(choices=Role.choices)
    email = serializers.EmailField(
        max_length=254, default="", allow_blank=True, help_text="where the link is sent, if the server sends e-mail"
    )


class InvitationSerializer(serializers.ModelSerializer[Invitation]):
    email = serializers.CharField(help_text="empty: nobody was written to")

    class Meta:
        model = Invitation
        fields = [
            "id",
            "role",
            "email",
            "created_by",
            "created_at",
            "expires_at",
            "accepted_at",
            "accepted_by",
            "revoked_at",
        ]


class IssuedInvitation(InvitationSerializer):
    """An invitation with its link, which is shown this once."""

    link = serializers.CharField()

    class Meta(InvitationSerializer.Meta):
        fields = [*InvitationSerializer.Meta.fields, "link"]


class ScopesField(serializers.ListField):
    """Which permissions a token carries; null: all of its role."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            child=serializers.ChoiceField(choices=Permission.choices), allow_null=True, max_length=50, **options
        )


class ServiceTokenSerializer(serializers.ModelSerializer[ServiceToken]):
    permissions = ScopesField()

    class Meta:
        model = ServiceToken
        fields = [
            "id",
            "name",
            "role",
            "permissions",
            "created_by",
            "created_at",
            "expires_at",
            "revoked_at",
            "last_used_at",
        ]


class ServiceTokenRequest(serializers.Serializer[Any]):
    name = ExactField(max_length=100)
    role = serializers.ChoiceField(choices=Role.choices)
    permissions = ScopesField(default=None)
    expires_at = serializers.DateTimeField(allow_null=True, default=None, help_text="null: it does not end by itself")


class IssuedServiceToken(ServiceTokenSerializer):
    """A service token with what it is sent as, which is shown this once."""

    token = serializers.CharField()

    class Meta(ServiceTokenSerializer.Meta):
        fields = [*ServiceTokenSerializer.Meta.fields, "token"]


class PersonalTokenSerializer(serializers.ModelSerializer[PersonalToken]):
    """A token that acts as one member, with the role that they have at the time."""

    permissions = ScopesField()

    class Meta:
        model = PersonalToken
        fields = ["id", "name", "permissions", "created_at", "expires_at", "revoked_at", "last_used_at"]


class PersonalTokenRequest(serializers.Serializer[Any]):
    name = ExactField(max_length=100)
    permissions = ScopesField(default=None)
    expires_at = serializers.DateTimeField(
        required=False, help_text="within 366 days; left out: in 90 days, and no later than the token that asks"
    )


class IssuedPersonalToken(PersonalTokenSerializer):
    """A personal token with what it is sent as, which is shown this once."""

    token = serializers.CharField()

    class Meta(PersonalTokenSerializer.Meta):
        fields = [*PersonalTokenSerializer.Meta.fields, "token"]


class RevokedCount(serializers.Serializer[Any]):
    revoked = serializers.IntegerField()
