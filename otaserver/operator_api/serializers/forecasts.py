from typing import Any

from rest_framework import serializers

from otaserver.campaigns.operations import forecasts


class ForecastRequest(serializers.Serializer[Any]):
    """What to rehearse; what is left out has the server's default."""

    rates = serializers.ListField(
        child=serializers.FloatField(min_value=0, max_value=1),
        min_length=1,
        max_length=forecasts.MAX_RATES,
        required=False,
        help_text="true failure rates, as fractions",
    )
    runs = serializers.IntegerField(min_value=1, max_value=forecasts.MAX_RUNS, required=False)
    seed = serializers.IntegerField(min_value=0, max_value=2**31 - 1, required=False)


class OutlookSerializer(serializers.Serializer[Any]):
    """What comes of the campaign at one true failure rate; seconds since its start, shares as fractions of the runs."""

    rate = serializers.FloatField()
    halted = serializers.FloatField()
    halted_after = serializers.FloatField(allow_null=True, help_text="median, in seconds")
    broken = serializers.FloatField(help_text="vehicles, mean over the runs")
    most_broken = serializers.IntegerField()
    unreached = serializers.FloatField(help_text="vehicles that do not install in time, mean")
    asked = serializers.FloatField(help_text="share of the runs in which a person is asked")
    wave_ends = serializers.ListField(child=serializers.FloatField(allow_null=True), help_text="medians, in seconds")
    load = serializers.DictField(child=serializers.IntegerField(), help_text="bytes by hours since the start, mean")


class ForecastSerializer(serializers.Serializer[Any]):
    starts_at = serializers.DateTimeField()
    fitting = serializers.IntegerField()
    places = serializers.ListField(child=serializers.IntegerField(), help_text="vehicles of each wave")
    never_heard_of = serializers.FloatField(help_text="share of the vehicles that have never called")
    outlooks = OutlookSerializer(many=True)
