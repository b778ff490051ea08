from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from firmware_store.models import Release
from otaserver.campaigns import queries
from otaserver.campaigns.models import Assignment, Attempt, Campaign, Decision, Wave
from otaserver.fleet.models import Group
from otaserver.operator_api.serializers.fields import PriorityField
from otaserver.operator_api.serializers.gates import SignalTestSerializer, TestSerializer
from otaserver.operator_api.serializers.people import ApprovalsSerializer
from otaserver.operator_api.serializers.plans import SETTINGS
from otaserver.operator_api.serializers.timing import ConsentSerializer, MeasuredSerializer, WindowSerializer


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
