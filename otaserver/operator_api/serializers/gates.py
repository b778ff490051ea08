"""The tests by which a campaign goes on or halts, as they stand."""

from typing import Any

from rest_framework import serializers


class TestSerializer(serializers.Serializer[Any]):
    """One test of the gate, with the Wilson 95 % interval of its failure rate."""

    stratum = serializers.CharField()
    successes = serializers.IntegerField()
    failures = serializers.IntegerField()
    verdict = serializers.CharField()
    statistic = serializers.FloatField()
    limit = serializers.FloatField()
    is_guard = serializers.BooleanField()
    lowest_rate = serializers.FloatField()
    highest_rate = serializers.FloatField()


class ComparisonSerializer(serializers.Serializer[Any]):
    """Updated vehicles against those held out: it halts where the logarithm of the evidence reaches the limit."""

    treated = serializers.IntegerField()
    treated_bad = serializers.IntegerField()
    control = serializers.IntegerField()
    control_bad = serializers.IntegerField()
    verdict = serializers.CharField()
    log_evidence = serializers.FloatField()
    limit = serializers.FloatField()


class SignalTestSerializer(serializers.Serializer[Any]):
    """The test of one health signal. `missing` are matured vehicles that reported nothing of it."""

    name = serializers.CharField()
    signal_limit = serializers.FloatField(help_text="a vehicle above it is bad")
    good = serializers.IntegerField()
    bad = serializers.IntegerField()
    missing = serializers.IntegerField()
    verdict = serializers.CharField()
    statistic = serializers.FloatField()
    limit = serializers.FloatField(help_text="the test halts there")
    is_guard = serializers.BooleanField()
    comparison = ComparisonSerializer(allow_null=True)
