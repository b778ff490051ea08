from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from firmware_store.models import Release
from otaserver.campaigns import queries
from otaserver.campaigns.models import Assignment, Attempt, Campaign, Decision, Wave
from otaserver.campaigns.rules.windows import MAX_WINDOWS
from otaserver.campaigns.states import Consent, HaltAction, WaveRule
from otaserver.fleet.models import Group
from otaserver.operator_api.serializers.fields import ExactField, PriorityField
from otaserver.operator_api.serializers.people import ApprovalsSerializer
from otaserver.operator_api.serializers.timing import (
    ConsentSerializer,
    MeasuredSerializer,
    WindowDeclaration,
    WindowSerializer,
)
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


class NoFields(serializers.Serializer[Any]):
    """An empty object."""


class Reason(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=2000)


class OptionalReason(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=2000, default="", allow_blank=True)


class Schedule(serializers.Serializer[Any]):
    starts_at = serializers.DateTimeField()


class WaveDecision(Reason):
    passed = serializers.BooleanField()


class NamedRelease(serializers.ModelSerializer[Release]):
    class Meta:
        model = Release
        fields = ["id", "name", "version"]


class NamedGroup(serializers.ModelSerializer[Group]):
    class Meta:
        model = Group
        fields = ["id", "name"]


class WaveSerializer(serializers.ModelSerializer[Wave]):
    group = NamedGroup(allow_null=True)

    class Meta:
        model = Wave
        fields = [
            "id",
            "number",
            "state",
            "percent",
            "count",
            "group",
            "places",
            "max_failed",
            "opened_at",
            "finished_at",
        ]


class CampaignSerializer(serializers.ModelSerializer[Campaign]):
    release = NamedRelease()
    group = NamedGroup(allow_null=True)
    fallback_release = NamedRelease(allow_null=True)
    windows = WindowSerializer(many=True)
    priority = PriorityField()
    requires = serializers.SerializerMethodField(help_text="ids of the campaigns that go before it on each vehicle")

    class Meta:
        model = Campaign
        fields = [
            "id",
            "name",
            "kind",
            "state",
            "reason",
            "release",
            "group",
            "rolls_back",
            "fallback_release",
            "created_by",
            "created_at",
            "approved_by",
            "revision",
            "starts_at",
            "started_at",
            "finished_at",
            "closed_at",
            "requires",
            *SETTINGS,
            "windows",
        ]

    def get_requires(self, campaign: Campaign) -> list[int]:
        return [row.required_id for row in campaign.requirements.all()]


class CountedWave(WaveSerializer):
    """A wave with the number of its vehicles in each state."""

    counts = serializers.SerializerMethodField()

    class Meta(WaveSerializer.Meta):
        fields = [*WaveSerializer.Meta.fields, "counts"]

    def get_counts(self, wave: Wave) -> dict[str, int]:
        progress: queries.Progress = self.context["progress"]
        return dict(progress.by_wave.get(wave.number, {}))


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


class CampaignDetailSerializer(CampaignSerializer):
    """A campaign with its waves, its gate, its health signals, and how many vehicles stand where."""

    waves = CountedWave(many=True)
    counts = serializers.SerializerMethodField()
    gate = serializers.SerializerMethodField()
    approvals = serializers.SerializerMethodField()
    signals = serializers.SerializerMethodField()

    class Meta(CampaignSerializer.Meta):
        fields = [*CampaignSerializer.Meta.fields, "waves", "counts", "gate", "signals", "approvals"]

    @extend_schema_field(ApprovalsSerializer)
    def get_approvals(self, campaign: Campaign) -> dict[str, Any]:
        return dict(ApprovalsSerializer(queries.approval_view(campaign)).data)

    def get_counts(self, campaign: Campaign) -> dict[str, int]:
        progress: queries.Progress = self.context["progress"]
        return dict(progress.by_state)

    def get_gate(self, campaign: Campaign) -> list[dict[str, Any]]:
        view: queries.GateView = self.context["gate"]
        return list(TestSerializer(view.tests, many=True).data)

    @extend_schema_field(SignalTestSerializer(many=True))
    def get_signals(self, campaign: Campaign) -> list[dict[str, Any]]:
        views: list[queries.SignalView] = self.context["signals"]
        return list(SignalTestSerializer(views, many=True).data)


class AttemptSerializer(serializers.ModelSerializer[Attempt]):
    measured = serializers.SerializerMethodField(help_text="what the vehicle measured when it held back or refused")

    class Meta:
        model = Attempt
        fields = ["id", "number", "length", "opened_at", "closed_at", "outcome", "code", "measured"]

    def get_measured(self, attempt: Attempt) -> list[dict[str, Any]]:
        return list(MeasuredSerializer(self.context["measured"].get(attempt.pk, []), many=True).data)


class AssignmentSerializer(serializers.ModelSerializer[Assignment]):
    vehicle = serializers.CharField(source="vehicle.vehicle_id")
    wave = serializers.IntegerField(source="wave.number", allow_null=True, default=None)
    attempts = AttemptSerializer(many=True)
    consents = ConsentSerializer(many=True)
    explanation = serializers.SerializerMethodField(help_text="why this vehicle is, or is not, being updated")

    class Meta:
        model = Assignment
        fields = [
            "id",
            "vehicle",
            "wave",
            "state",
            "verdict",
            "verdict_detail",
            "stratum",
            "offered_at",
            "installing_at",
            "settled_at",
            "due_at",
            "next_attempt_at",
            "code",
            "message",
            "attempts",
            "consents",
            "explanation",
        ]

    def get_explanation(self, assignment: Assignment) -> str:
        explanations: dict[int, str] = self.context["explanations"]
        return explanations[assignment.pk]


class DecisionSerializer(serializers.ModelSerializer[Decision]):
    wave = serializers.IntegerField(source="wave.number", allow_null=True, default=None)

    class Meta:
        model = Decision
        fields = ["id", "at", "kind", "actor", "sentence", "wave", "inputs"]
