"""When: windows, blackouts, time zones, consent."""

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers

from otaserver.campaigns.models import Blackout, ConsentRecord, Report, Window
from otaserver.campaigns.rules import windows
from otaserver.campaigns.rules.windows import WEEKDAYS
from otaserver.campaigns.states import ConsentDecision
from otaserver.operator_api.serializers.fields import ExactField


class WindowDeclaration(serializers.Serializer[Any]):
    """Opens on these weekdays at `start`, by the clock in each vehicle's own time zone; it may reach over midnight."""

    weekdays = serializers.ListField(child=serializers.ChoiceField(choices=WEEKDAYS), max_length=len(WEEKDAYS))
    start = serializers.RegexField(
        r"\A([01][0-9]|2[0-3]):[0-5][0-9]\Z",
        help_text="like 22:00",
        error_messages={"invalid": "Must be a time of day from 00:00 to 23:59."},
    )
    length_minutes = serializers.IntegerField()


def window_of(declared: Mapping[str, Any]) -> windows.Window:
    """Return a declared window in the form that the rules judge."""
    hours, _, minutes = declared["start"].partition(":")
    mask = sum(1 << WEEKDAYS.index(day) for day in set(declared["weekdays"]))
    return windows.Window(mask, int(hours) * 60 + int(minutes), declared["length_minutes"])


class WindowSerializer(serializers.ModelSerializer[Window]):
    weekdays = serializers.SerializerMethodField()
    start = serializers.SerializerMethodField()

    class Meta:
        model = Window
        fields = ["weekdays", "start", "length_minutes"]

    def get_weekdays(self, window: Window) -> list[str]:
        return [day for bit, day in enumerate(WEEKDAYS) if window.weekdays >> bit & 1]

    def get_start(self, window: Window) -> str:
        return f"{window.start_minute // 60:02}:{window.start_minute % 60:02}"


class BlackoutDeclaration(serializers.Serializer[Any]):
    """Without `starts_at` it begins now, without `ends_at` it holds until lifted, without a group it is for all."""

    name = ExactField(max_length=100)
    reason = serializers.CharField(max_length=2000)
    starts_at = serializers.DateTimeField(required=False, allow_null=True)
    ends_at = serializers.DateTimeField(required=False, allow_null=True)
    group = serializers.IntegerField(min_value=1, max_value=2**62, required=False, allow_null=True)


class BlackoutSerializer(serializers.ModelSerializer[Blackout]):
    class Meta:
        model = Blackout
        fields = [
            "id",
            "name",
            "reason",
            "starts_at",
            "ends_at",
            "group",
            "created_by",
            "created_at",
            "lifted_at",
            "lifted_by",
            "lifted_reason",
        ]


class TimeZone(serializers.Serializer[Any]):
    time_zone = ExactField(max_length=64, help_text="a name of the IANA database, like Europe/Berlin")


class ConsentDeclaration(serializers.Serializer[Any]):
    """What an owner answered elsewhere; `text_sha256` is that of the exact text shown, in UTF-8."""

    decision = serializers.ChoiceField(choices=[ConsentDecision.YES, ConsentDecision.NO, ConsentDecision.POSTPONE])
    by = ExactField(max_length=200)
    language = ExactField(max_length=35)
    text_sha256 = ExactField(max_length=64)


class ConsentSerializer(serializers.ModelSerializer[ConsentRecord]):
    class Meta:
        model = ConsentRecord
        fields = [
            "decision",
            "by",
            "recorded_by",
            "language",
            "text_sha256",
            "is_text_known",
            "device_time",
            "received_at",
        ]


class MeasuredSerializer(serializers.ModelSerializer[Report]):
    class Meta:
        model = Report
        fields = ["phase", "code", "measured", "received_at"]
