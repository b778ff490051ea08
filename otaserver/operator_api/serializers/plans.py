"""Campaigns as they are planned: what a body says of a new or a changed one."""

from typing import Any

from rest_framework import serializers

from otaserver.campaigns.rules.windows import MAX_WINDOWS
from otaserver.campaigns.states import Consent, HaltAction, WaveRule
from otaserver.operator_api.serializers.fields import ExactField, PriorityField
from otaserver.operator_api.serializers.timing import WindowDeclaration
from otaserver.tenants.states import ForeignSoftware

MAX_COUNT = 2**31 - 1
MAX_SECONDS = 366 * 86400
# What a plan may leave to the server's defaults.
SETTINGS = (
    "no_way_back_reason",
    "acceptable_rate",
    "unacceptable_rate",
    "alpha",
    "beta",
    "soak_seconds",
    "max_failed",
    "max_verification_failed",
    "max_in_flight",
    "halt_codes",
    "is_stratified",
    "wave_rule",
    "failure_budget",
    "offer_timeout_seconds",
    "download_timeout_seconds",
    "install_timeout_seconds",
    "max_attempts",
    "retry_seconds",
    "grace_hours",
    "ends_at",
    "downloads_early",
    "offers_per_minute",
    "bytes_per_hour",
    "preconditions",
    "consent",
    "consent_postponements",
    "consent_deadline_seconds",
    "max_inventory_age_seconds",
    "control_percent",
    "is_dynamic",
    "priority",
    "halt_action",
    "foreign_software",
)


class WaveDeclaration(serializers.Serializer[Any]):
    """A wave's size is exactly one of `percent`, `count` and `group`."""

    percent = serializers.DecimalField(
        max_digits=6,
        decimal_places=3,
        min_value=0,
        max_value=100,
        required=False,
        allow_null=True,
        help_text="cumulative, of the vehicles in no wave's group; the last wave's is 100",
    )
    count = serializers.IntegerField(min_value=1, max_value=MAX_COUNT, required=False, allow_null=True)
    group = serializers.IntegerField(
        min_value=1, max_value=2**62, required=False, allow_null=True, help_text="its members, as the campaign starts"
    )
    max_failed = serializers.IntegerField(min_value=0, max_value=MAX_COUNT, default=0)


class PlanDeclaration(serializers.Serializer[Any]):
    """A campaign as a draft. Rates are fractions, durations seconds; what is left out gets the server's default."""

    name = ExactField(max_length=100)
    release = serializers.IntegerField(min_value=1, max_value=2**62)
    group = serializers.IntegerField(min_value=1, max_value=2**62)
    waves = serializers.ListField(child=WaveDeclaration(), min_length=1, max_length=100)
    fallback_release = serializers.IntegerField(min_value=1, max_value=2**62, required=False, allow_null=True)
    no_way_back_reason = serializers.CharField(max_length=2000, required=False, allow_blank=True)
    acceptable_rate = serializers.FloatField(min_value=0, max_value=1, required=False)
    unacceptable_rate = serializers.FloatField(min_value=0, max_value=1, required=False)
    alpha = serializers.FloatField(min_value=0, max_value=0.5, required=False)
    beta = serializers.FloatField(min_value=0, max_value=0.5, required=False)
    soak_seconds = serializers.IntegerField(min_value=1, max_value=MAX_SECONDS, required=False)
    max_failed = serializers.IntegerField(min_value=0, max_value=MAX_COUNT, required=False, allow_null=True)
    max_verification_failed = serializers.IntegerField(min_value=0, max_value=MAX_COUNT, required=False)
    max_in_flight = serializers.IntegerField(min_value=1, max_value=MAX_COUNT, required=False, allow_null=True)
    halt_codes = serializers.ListField(child=ExactField(max_length=80), max_length=100, required=False)
    is_stratified = serializers.BooleanField(required=False)
    wave_rule = serializers.ChoiceField(choices=WaveRule.choices, required=False)
    failure_budget = serializers.IntegerField(min_value=0, max_value=MAX_COUNT, required=False, allow_null=True)
    offer_timeout_seconds = serializers.IntegerField(min_value=1, max_value=MAX_SECONDS, required=False)
    download_timeout_seconds = serializers.IntegerField(min_value=1, max_value=MAX_SECONDS, required=False)
    install_timeout_seconds = serializers.IntegerField(min_value=1, max_value=MAX_SECONDS, required=False)
    max_attempts = serializers.IntegerField(min_value=1, max_value=1000, required=False)
    retry_seconds = serializers.IntegerField(min_value=0, max_value=MAX_SECONDS, required=False)
    grace_hours = serializers.IntegerField(min_value=0, max_value=24 * 366, required=False, allow_null=True)
    ends_at = serializers.DateTimeField(required=False, allow_null=True)
    windows = serializers.ListField(child=WindowDeclaration(), max_length=MAX_WINDOWS, required=False)
    downloads_early = serializers.BooleanField(
        required=False, help_text="false: offered inside windows only, not just installed there"
    )
    offers_per_minute = serializers.IntegerField(max_value=MAX_COUNT, required=False, allow_null=True)
    bytes_per_hour = serializers.IntegerField(max_value=2**62, required=False, allow_null=True)
    preconditions = serializers.ListField(
        child=serializers.DictField(), required=False, help_text="name, operator and value; docs/when.md lists them"
    )
    consent = serializers.ChoiceField(choices=Consent.choices, required=False)
    consent_postponements = serializers.IntegerField(required=False, allow_null=True)
    consent_deadline_seconds = serializers.IntegerField(
        required=False, allow_null=True, help_text="after the first question"
    )
    max_inventory_age_seconds = serializers.IntegerField(
        min_value=1,
        max_value=10 * MAX_SECONDS,
        required=False,
        allow_null=True,
        help_text="vehicles that have not confirmed what they run for longer take no part",
    )
    control_percent = serializers.DecimalField(
        max_digits=5,
        decimal_places=3,
        min_value=0,
        max_value=50,
        required=False,
        help_text="share of each stratum that is held out to compare with",
    )
    is_dynamic = serializers.BooleanField(
        required=False, help_text="vehicles that come to match later are taken in until the campaign is closed"
    )
    priority = PriorityField(required=False)
    requires = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=2**62),
        max_length=20,
        required=False,
        help_text="campaigns, by id, that must have succeeded on a vehicle before this one goes there",
    )
    halt_action = serializers.ChoiceField(choices=HaltAction.choices, required=False)
    foreign_software = serializers.ChoiceField(
        choices=ForeignSoftware.choices, required=False, allow_blank=True, help_text="empty: as the tenant says"
    )


class PlanChanges(PlanDeclaration):
    """What is left out stays as it is. A campaign that has left its review needs a reason."""

    reason = serializers.CharField(max_length=2000, required=False, allow_blank=True)

    def get_fields(self) -> dict[str, Any]:
        fields = super().get_fields()
        for field in fields.values():
            field.required, field.default = False, serializers.empty
        return fields

    def to_internal_value(self, data: Any) -> Any:
        # A name with a typo would change nothing, and nobody would notice.
        unknown = sorted(set(data) - set(self.fields)) if isinstance(data, dict) else []
        if unknown:
            raise serializers.ValidationError({name: ["A campaign has no such field."] for name in unknown})
        return super().to_internal_value(data)


class SuggestionRequest(serializers.Serializer[Any]):
    """What the suggested waves are for; what is left out has the default of a plan."""

    release = serializers.IntegerField(min_value=1, max_value=2**62)
    group = serializers.IntegerField(min_value=1, max_value=2**62)
    failure_budget = serializers.IntegerField(min_value=0, max_value=MAX_COUNT, help_text="vehicles that may break")
    growth = serializers.IntegerField(min_value=0, max_value=100, required=False, help_text="3 to 5; default 4")
    acceptable_rate = serializers.FloatField(min_value=0, max_value=1, required=False)
    unacceptable_rate = serializers.FloatField(min_value=0, max_value=1, required=False)
    alpha = serializers.FloatField(min_value=0, max_value=0.5, required=False)
    beta = serializers.FloatField(min_value=0, max_value=0.5, required=False)


class SuggestedWave(serializers.Serializer[Any]):
    percent = serializers.DecimalField(max_digits=6, decimal_places=3, allow_null=True)
    count = serializers.IntegerField(allow_null=True)


class SuggestionSerializer(serializers.Serializer[Any]):
    """Waves as a plan takes them, and why they are so."""

    fitting = serializers.IntegerField(help_text="vehicles of the group that fit now")
    failure_budget = serializers.IntegerField()
    waves = SuggestedWave(many=True, source="suggestion.sizes")
    reasons = serializers.ListField(child=serializers.CharField(), source="suggestion.reasons")


class RollbackDeclaration(serializers.Serializer[Any]):
    """Without a release it is the way back that the campaign was approved with."""

    name = ExactField(max_length=100)
    release = serializers.IntegerField(min_value=1, max_value=2**62, required=False, allow_null=True)
