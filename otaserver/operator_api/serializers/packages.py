from typing import Any

from rest_framework import serializers

from firmware_store.models import Package, Release, ReleaseCondition, ReleaseItem, ReleaseSignal
from firmware_store.states import ConditionKind, DirectUploadStanding
from otaserver.operator_api.serializers.fields import ExactField, MetadataField, NotesField

MAX_COUNTER = 2**31 - 1


class PackageDeclaration(serializers.Serializer[Any]):
    """What the file will be. The same declaration again, while the upload is unfinished, resumes it."""

    role = ExactField(max_length=40)
    name = ExactField(max_length=80)
    version = ExactField(max_length=60)
    hardware_ids = serializers.ListField(
        child=ExactField(max_length=64), min_length=1, max_length=64, allow_empty=False
    )
    release_counter = serializers.IntegerField(min_value=0, max_value=MAX_COUNTER, default=0)
    filename = ExactField(max_length=255)
    length = serializers.IntegerField(min_value=0, max_value=2**62)
    sha256 = serializers.RegexField(r"\A[0-9a-f]{64}\Z", trim_whitespace=False, help_text="64 lower-case hex digits")


class PackageSerializer(serializers.ModelSerializer[Package]):
    class Meta:
        model = Package
        fields = [
            "id",
            "state",
            "role",
            "name",
            "version",
            "target_name",
            "hardware_ids",
            "release_counter",
            "filename",
            "length",
            "sha256",
            "sha512",
            "contents",
            "created_by",
            "created_at",
            "published_at",
            "refused_code",
            "refused_reason",
        ]


class ReceivedPackageSerializer(PackageSerializer):
    """A package with the number of its bytes that are here."""

    received = serializers.SerializerMethodField()
    direct_upload = serializers.SerializerMethodField(help_text="whether its bytes may go straight to the bucket")

    class Meta(PackageSerializer.Meta):
        fields = [*PackageSerializer.Meta.fields, "received", "direct_upload"]

    def get_received(self, package: Package) -> int:
        received: int = self.context["received"]
        return received

    def get_direct_upload(self, package: Package) -> DirectUploadStanding:
        standing: DirectUploadStanding = self.context["direct_upload"]
        return standing


class SignedMetadata(serializers.Serializer[Any]):
    metadata = MetadataField()


class SignedRoot(SignedMetadata):
    """The next root. Where it names other keys for the top-level targets, these come along, signed by the new keys."""

    targets = MetadataField(required=False)


class SignedTargets(SignedMetadata):
    """A role's next targets. Where the top level gives a role other keys, that role comes along, signed by the new."""

    resigned = serializers.DictField(child=MetadataField(), required=False)


class OnlineKeySerializer(serializers.Serializer[Any]):
    repository = serializers.CharField()
    role = serializers.CharField()
    public_key = serializers.JSONField()


class OnlineKeys(serializers.Serializer[Any]):
    """The public keys that the next roots must name."""

    keys = OnlineKeySerializer(many=True)


class ReleaseItemSerializer(serializers.ModelSerializer[ReleaseItem]):
    package = serializers.IntegerField(source="package_id")
    target_name = serializers.CharField(source="package.target_name")

    class Meta:
        model = ReleaseItem
        fields = ["package", "target_name", "position"]


class ConditionSerializer(serializers.ModelSerializer[ReleaseCondition]):
    class Meta:
        model = ReleaseCondition
        fields = ["kind", "package_name", "versions"]


class SignalSerializer(serializers.ModelSerializer[ReleaseSignal]):
    class Meta:
        model = ReleaseSignal
        fields = ["name", "limit", "acceptable_rate", "unacceptable_rate"]


class ReleaseSerializer(serializers.ModelSerializer[Release]):
    packages = ReleaseItemSerializer(source="items", many=True)
    conditions = ConditionSerializer(many=True)
    signals = SignalSerializer(many=True)
    stepping_stone = serializers.IntegerField(source="stepping_stone_id", allow_null=True)

    class Meta:
        model = Release
        fields = [
            "id",
            "name",
            "version",
            "packages",
            "conditions",
            "signals",
            "halt_codes",
            "notes",
            "stepping_stone",
            "created_by",
            "created_at",
            "published_at",
        ]


class ReleaseItemDeclaration(serializers.Serializer[Any]):
    package = serializers.IntegerField(min_value=1, max_value=2**62)
    position = serializers.IntegerField(min_value=0, max_value=1000, default=0)


class ConditionDeclaration(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(choices=ConditionKind.choices)
    package_name = ExactField(max_length=80)
    versions = serializers.ListField(child=ExactField(max_length=60), max_length=100, default=list)


class SignalDeclaration(serializers.Serializer[Any]):
    """A vehicle whose worst value in its soak is above the limit counts as bad; rates are fractions of vehicles."""

    name = ExactField(max_length=40)
    limit = serializers.FloatField()
    acceptable_rate = serializers.FloatField(min_value=0, max_value=1)
    unacceptable_rate = serializers.FloatField(min_value=0, max_value=1)


class ReleaseDeclaration(serializers.Serializer[Any]):
    name = ExactField(max_length=80)
    version = ExactField(max_length=60)
    packages = serializers.ListField(child=ReleaseItemDeclaration(), min_length=1, max_length=500)
    conditions = serializers.ListField(child=ConditionDeclaration(), max_length=500, default=list)
    signals = serializers.ListField(child=SignalDeclaration(), max_length=20, default=list)
    halt_codes = serializers.ListField(child=ExactField(max_length=80), max_length=100, default=list)
    notes = NotesField(default=dict)
    stepping_stone = serializers.IntegerField(
        min_value=1,
        max_value=2**62,
        default=None,
        allow_null=True,
        help_text="the release that must run first: a vehicle with older software is taken there by the same campaign",
    )
