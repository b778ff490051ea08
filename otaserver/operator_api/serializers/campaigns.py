from typing import Any

from rest_framework import serializers

from firmware_store.models import Release
from otaserver.campaigns import queries
from otaserver.campaigns.models import Assignment, Attempt, Campaign, Decision, Wave
from otaserver.campaigns.states import HaltAction, WaveRule
from otaserver.fleet.models import Group
from otaserver.operator_api.serializers.fields import ExactField, PriorityField
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
    "priority",
    "halt_action",
    "foreign_software",
)


class WaveDeclaration(serializers.Serializer[Any]):
    percent = serializers.DecimalField(
        max_digits=6, decimal_places=3, min_value=0, max_value=100, help_text="cumulative; the last wave's is 100"
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
    class Meta:
        model = Wave
        fields = ["id", "number", "state", "percent", "places", "max_failed", "opened_at", "finished_at"]


class CampaignSerializer(serializers.ModelSerializer[Campaign]):
    release = NamedRelease()
    group = NamedGroup(allow_null=True)
    fallback_release = NamedRelease(allow_null=True)
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
            "starts_at",
            "started_at",
            "finished_at",
            "requires",
            *SETTINGS,
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


class CampaignDetailSerializer(CampaignSerializer):
    """A campaign with its waves, its gate, and how many vehicles stand where."""

    waves = CountedWave(many=True)
    counts = serializers.SerializerMethodField()
    gate = serializers.SerializerMethodField()

    class Meta(CampaignSerializer.Meta):
        fields = [*CampaignSerializer.Meta.fields, "waves", "counts", "gate"]

    def get_counts(self, campaign: Campaign) -> dict[str, int]:
        progress: queries.Progress = self.context["progress"]
        return dict(progress.by_state)

    def get_gate(self, campaign: Campaign) -> list[dict[str, Any]]:
        view: queries.GateView = self.context["gate"]
        return list(TestSerializer(view.tests, many=True).data)


class AttemptSerializer(serializers.ModelSerializer[Attempt]):
    class Meta:
        model = Attempt
        fields = ["id", "number", "opened_at", "closed_at", "outcome", "code"]


class AssignmentSerializer(serializers.ModelSerializer[Assignment]):
    vehicle = serializers.CharField(source="vehicle.vehicle_id")
    wave = serializers.IntegerField(source="wave.number", allow_null=True, default=None)
    attempts = AttemptSerializer(many=True)
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
