from typing import Any

from rest_framework import serializers

from otaserver.campaigns.forecast_models import CampaignForecast
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


class TallySerializer(serializers.Serializer[Any]):
    succeeded = serializers.FloatField()
    failed = serializers.FloatField()
    neutral = serializers.FloatField()
    length = serializers.FloatField(help_text="bytes, as they are ordered")


class ProspectSerializer(serializers.Serializer[Any]):
    """The mean course of the runs, in bars of equal width from the start on."""

    bar_seconds = serializers.FloatField()
    bars = TallySerializer(many=True)


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
    prospect = ProspectSerializer()


class ForecastSerializer(serializers.Serializer[Any]):
    starts_at = serializers.DateTimeField()
    fitting = serializers.IntegerField()
    places = serializers.ListField(child=serializers.IntegerField(), help_text="vehicles of each wave")
    never_heard_of = serializers.FloatField(help_text="share of the vehicles that have never called")
    outlooks = OutlookSerializer(many=True)


class KeptForecastSerializer(serializers.ModelSerializer[CampaignForecast]):
    """The forecast that is kept of a campaign: either what would come of it, or why nothing can be said."""

    starts_at = serializers.DateTimeField(allow_null=True)
    places = serializers.ListField(child=serializers.IntegerField(), help_text="vehicles of each wave")
    inputs = serializers.DictField(help_text="the plan, rates, runs and seed that it was made from")
    outlooks = OutlookSerializer(many=True)

    class Meta:
        model = CampaignForecast
        fields = [
            "made_at",
            "revision",
            "basis",
            "starts_at",
            "fitting",
            "places",
            "never_heard_of",
            "inputs",
            "outlooks",
            "refusal",
        ]
