from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from firmware_store.direct_models import DirectUpload
from firmware_store.operations.direct_uploads import MAX_ADDRESSES
from firmware_store.parts import MAX_PARTS


class PartSerializer(serializers.Serializer[Any]):
    number = serializers.IntegerField()
    length = serializers.IntegerField()


class DirectUploadSerializer(serializers.ModelSerializer[DirectUpload]):
    """The parts that the bucket has; all but the last are `part_bytes` long."""

    package = serializers.IntegerField(source="package_id")
    length = serializers.IntegerField(source="package.length")
    parts = serializers.SerializerMethodField()

    class Meta:
        model = DirectUpload
        fields = ["package", "state", "length", "part_bytes", "parts", "created_at"]

    @extend_schema_field(PartSerializer(many=True))
    def get_parts(self, upload: DirectUpload) -> list[dict[str, Any]]:
        return list(PartSerializer(self.context["parts"], many=True).data)


class PartsWanted(serializers.Serializer[Any]):
    parts = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=MAX_PARTS), min_length=1, max_length=MAX_ADDRESSES
    )


class PartAddressSerializer(serializers.Serializer[Any]):
    """Where to PUT a part: exactly `length` bytes, with no header but their Content-Length."""

    number = serializers.IntegerField()
    length = serializers.IntegerField()
    url = serializers.CharField()


class PartAddresses(serializers.Serializer[Any]):
    addresses = PartAddressSerializer(many=True)
    expires_at = serializers.DateTimeField()
