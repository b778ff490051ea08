"""Kinds of values that several bodies carry."""

import base64
import binascii
import re
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from firmware_store.states import Profile
from otaserver.campaigns.states import CampaignPriority

_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*\Z")


class ExactField(serializers.CharField):
    """Text that is signed or compared elsewhere, so that not even a blank at its end may be dropped here."""

    def __init__(self, **options: Any) -> None:
        super().__init__(trim_whitespace=False, **options)


@extend_schema_field(OpenApiTypes.BYTE)
class Base64BytesField(serializers.Field[bytes, str, str, Any]):
    """Bytes as standard base64 (RFC 4648, 4), nothing else in between."""

    def to_internal_value(self, data: Any) -> bytes:
        if not isinstance(data, str):
            raise serializers.ValidationError("Not a base64 string.")
        try:
            return base64.b64decode(data.encode("ascii"), validate=True)
        except (UnicodeEncodeError, binascii.Error) as error:
            raise serializers.ValidationError("Not a base64 string.") from error

    def to_representation(self, value: bytes) -> str:
        return base64.b64encode(value).decode("ascii")


class MetadataField(serializers.DictField):
    """Signed metadata by profile: `{"tuf-1.0": base64, "aktualizr": base64}`."""

    child = Base64BytesField()

    def to_internal_value(self, data: Any) -> dict[Profile, bytes]:
        bodies: dict[Any, bytes] = super().to_internal_value(data)
        unknown = sorted(set(bodies) - set(Profile.values))
        if unknown or not bodies:
            raise serializers.ValidationError(f"Profiles are {', '.join(Profile.values)}; got {unknown or 'none'}.")
        return {Profile(name): body for name, body in bodies.items()}


_PRIORITIES = {one.name.lower(): one for one in CampaignPriority}


@extend_schema_field({"type": "string", "enum": list(_PRIORITIES)})
class PriorityField(serializers.Field[CampaignPriority, str, str, Any]):
    """A campaign's class by its name; the numbers behind them are the server's own."""

    def to_internal_value(self, data: Any) -> CampaignPriority:
        if not isinstance(data, str) or data not in _PRIORITIES:
            raise serializers.ValidationError(f"The priority is one of {', '.join(_PRIORITIES)}; {data!r} is not.")
        return _PRIORITIES[data]

    def to_representation(self, value: Any) -> str:
        return CampaignPriority(value).name.lower()


class NotesField(serializers.DictField):
    """Release notes by language tag (RFC 5646)."""

    child = serializers.CharField(max_length=10_000)

    def to_internal_value(self, data: Any) -> dict[Any, Any]:
        notes: dict[Any, Any] = super().to_internal_value(data)
        wrong = sorted(tag for tag in notes if not _LANGUAGE.match(tag))
        if wrong:
            raise serializers.ValidationError(f"Not a language tag: {wrong[0]!r}.")
        return notes
