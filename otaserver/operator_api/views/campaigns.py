from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from firmware_store.models import Release
from otaserver import clock
from otaserver.campaigns import operations, queries
from otaserver.campaigns.errors import ForecastNotMadeError
from otaserver.campaigns.models import Campaign, Wave
from otaserver.campaigns.operations import CampaignPlan, WavePlan
from otaserver.errors import PreconditionError
from otaserver.fleet import queries as fleet
from otaserver.fleet.models import Group
from otaserver.operator_api.bodies import IF_MATCH, expected_version
from otaserver.operator_api.errors import FieldsInvalidError
from otaserver.operator_api.serializers.campaigns import (
    AssignmentSerializer,
    CampaignDetailSerializer,
    CampaignSerializer,
    DecisionSerializer,
    WaveSerializer,
)
from otaserver.operator_api.serializers.fleet import DirectOrder
from otaserver.operator_api.serializers.forecasts import ForecastRequest, ForecastSerializer, KeptForecastSerializer
from otaserver.operator_api.serializers.people import ReplaySerializer
from otaserver.operator_api.serializers.plans import (
    SETTINGS,
    PlanChanges,
    PlanDeclaration,
    RollbackDeclaration,
    SuggestionRequest,
    SuggestionSerializer,
)
from otaserver.operator_api.serializers.reasons import WaveDecision
from otaserver.operator_api.serializers.timing import window_of
from otaserver.operator_api.views.base import TenantView
from otaserver.tenants.states import Permission


class CampaignView(TenantView):
    def campaigns(self) -> QuerySet[Campaign]:
        rows = Campaign.objects.filter(tenant=self.caller.tenant)
        rows = rows.select_related("tenant", "release", "group", "fallback_release")
        return rows.prefetch_related("windows", "requirements")

    def release(self, pk: int) -> Release:
        return self.find(Release.objects.filter(tenant=self.caller.tenant), pk)

    def group(self, pk: int) -> Group:
        return self.find(Group.objects.filter(tenant=self.caller.tenant), pk)

    def wave(self, wanted: Mapping[str, Any]) -> WavePlan:
        group = wanted.get("group")
        return WavePlan(
            percent=wanted.get("percent"),
            count=wanted.get("count"),
            group=None if group is None else self.group(group),
            max_failed=wanted["max_failed"],
        )

    def shown(self, pk: int, *, status: int = 200) -> Response:
        campaign = self.find(self.campaigns().prefetch_related("waves__group"), pk)
        context = {
            "progress": queries.progress(campaign),
            "gate": queries.gate_view(campaign),
            "signals": queries.signal_views(campaign),
        }
        headers = {"ETag": f'"{campaign.revision}"', "Cache-Control": "no-store"}
        return Response(CampaignDetailSerializer(campaign, context=context).data, status=status, headers=headers)


class CampaignList(CampaignView):
    permissions = {"GET": Permission.VIEW, "POST": Permission.MANAGE_CAMPAIGNS}

    @extend_schema(
        responses=CampaignSerializer(many=True),
        parameters=[OpenApiParameter(name, str) for name in ("name", "state", "kind")],
    )
    def get(self, request: Request) -> Response:
        return self.page_of(self.only(self.campaigns(), "name", "state", "kind"), CampaignSerializer)

    @extend_schema(request=PlanDeclaration, responses={201: CampaignDetailSerializer})
    def post(self, request: Request) -> Response:
        wanted = self.received(PlanDeclaration)
        fallback = wanted.get("fallback_release")
        plan = CampaignPlan(
            name=wanted["name"],
            release=self.release(wanted["release"]),
            group=self.group(wanted["group"]),
            waves=tuple(self.wave(wave) for wave in wanted["waves"]),
            fallback_release=None if fallback is None else self.release(fallback),
            windows=tuple(window_of(each) for each in wanted.get("windows", [])),
            requires=[self.find(self.campaigns(), pk) for pk in wanted.get("requires", ())],
            **{name: wanted[name] for name in SETTINGS if name in wanted},
        )
        campaign = operations.create_campaign(self.caller.tenant, plan, by=self.caller.actor, at=clock.now())
        return self.shown(campaign.pk, status=201)


class CampaignDetail(CampaignView):
    permissions = {"GET": Permission.VIEW, "PATCH": Permission.MANAGE_CAMPAIGNS}
    compares_version = True

    @extend_schema(responses=CampaignDetailSerializer, description="A campaign; its revision is the ETag.")
    def get(self, request: Request, pk: int) -> Response:
        return self.shown(pk)

    @extend_schema(
        request=PlanChanges,
        responses=CampaignDetailSerializer,
        parameters=[IF_MATCH],
    )
    def patch(self, request: Request, pk: int) -> Response:
        campaign = self.find(self.campaigns(), pk)
        revision = expected_version(request)
        wanted = self.received(PlanChanges)
        if revision != campaign.revision:
            raise PreconditionError(
                f"Campaign {campaign} has revision {campaign.revision} by now, not {revision}; read it again.",
                revision=campaign.revision,
                state=campaign.state,
            )
        reason = wanted.pop("reason", "")
        plan = replace(operations.plan_of(campaign), **self._changes(wanted))
        operations.change_campaign(
            campaign, plan, revision=revision, reason=reason, by=self.caller.actor, at=clock.now()
        )
        return self.shown(pk)

    def _changes(self, wanted: dict[str, Any]) -> dict[str, Any]:
        found = dict(wanted)
        for name in ("release", "fallback_release"):
            if found.get(name) is not None:
                found[name] = self.release(found[name])
        if "group" in found:
            found["group"] = self.group(found["group"])
        if "waves" in found:
            found["waves"] = tuple(self.wave(wave) for wave in found["waves"])
        if "requires" in found:
            found["requires"] = tuple(self.find(self.campaigns(), each) for each in found["requires"])
        if "windows" in found:
            found["windows"] = tuple(window_of(each) for each in found["windows"])
        return found


class CampaignSuggestion(CampaignView):
    permissions = {"POST": Permission.VIEW}

    @extend_schema(request=SuggestionRequest, responses=SuggestionSerializer)
    def post(self, request: Request) -> Response:
        wanted = self.received(SuggestionRequest)
        release, group = self.release(wanted.pop("release")), self.group(wanted.pop("group"))
        return Response(SuggestionSerializer(operations.suggest_waves(release, group, **wanted, at=clock.now())).data)


class VehicleOrder(CampaignView):
    permissions = {"POST": Permission.ORDER_NOW}

    @extend_schema(request=DirectOrder, responses={201: CampaignDetailSerializer})
    def post(self, request: Request, vehicle_id: str) -> Response:
        vehicle = fleet.vehicle_by_id(self.caller.tenant, vehicle_id)
        wanted = self.received(DirectOrder)
        made = operations.order_now(
            vehicle,
            release=self.release(wanted["release"]),
            reason=wanted["reason"],
            by=self.caller.actor,
            at=clock.now(),
        )
        return self.shown(made.pk, status=201)


class CampaignRollback(CampaignView):
    permissions = {"POST": Permission.MANAGE_CAMPAIGNS}

    @extend_schema(request=RollbackDeclaration, responses={201: CampaignDetailSerializer})
    def post(self, request: Request, pk: int) -> Response:
        campaign = self.find(self.campaigns(), pk)
        wanted = self.received(RollbackDeclaration)
        given = wanted.get("release")
        release = campaign.fallback_release if given is None else self.release(given)
        if release is None:
            raise FieldsInvalidError(
                f"Campaign {campaign} was approved without a way back: name the release to return to.",
                fields={"release": ["This campaign has no fallback release."]},
            )
        made = operations.create_rollback(
            campaign, release=release, name=wanted["name"], by=self.caller.actor, at=clock.now()
        )
        return self.shown(made.pk, status=201)


class CampaignWaves(CampaignView):
    permissions = {"GET": Permission.VIEW}

    @extend_schema(responses=WaveSerializer(many=True))
    def get(self, request: Request, pk: int) -> Response:
        return self.page_of(
            Wave.objects.filter(campaign=self.find(self.campaigns(), pk)).select_related("group"), WaveSerializer
        )


class CampaignAssignments(CampaignView):
    permissions = {"GET": Permission.VIEW}

    @extend_schema(
        responses=AssignmentSerializer(many=True),
        parameters=[OpenApiParameter(name, str) for name in ("state", "verdict", "code")],
    )
    def get(self, request: Request, pk: int) -> Response:
        rows = self.find(self.campaigns(), pk).assignments.select_related("campaign__tenant", "vehicle", "wave")
        rows = self.only(rows, "state", "verdict", "code").prefetch_related("attempts", "consents")
        return self.page_of(
            rows,
            AssignmentSerializer,
            lambda page: {
                "explanations": queries.explain_all(page, at=clock.now()),
                "measured": queries.measurements(page),
            },
        )


class CampaignDecisions(CampaignView):
    permissions = {"GET": Permission.VIEW}

    @extend_schema(responses=DecisionSerializer(many=True), parameters=[OpenApiParameter("kind", str)])
    def get(self, request: Request, pk: int) -> Response:
        rows = self.only(queries.decisions(self.find(self.campaigns(), pk)), "kind")
        return self.page_of(rows, DecisionSerializer)


class CampaignReplay(CampaignView):
    permissions = {"GET": Permission.VIEW}

    @extend_schema(responses=ReplaySerializer)
    def get(self, request: Request, pk: int) -> Response:
        return Response(ReplaySerializer(queries.replay(self.find(self.campaigns(), pk))).data)


class CampaignForecast(CampaignView):
    permissions = {"GET": Permission.VIEW, "POST": Permission.VIEW}

    @extend_schema(responses=KeptForecastSerializer)
    def get(self, request: Request, pk: int) -> Response:
        campaign = self.find(self.campaigns(), pk)
        row = queries.forecast_row(campaign)
        if row is None:
            raise ForecastNotMadeError(f"No forecast of {campaign} has been made.")
        return Response(KeptForecastSerializer(row).data)

    @extend_schema(request=ForecastRequest, responses=ForecastSerializer)
    def post(self, request: Request, pk: int) -> Response:
        campaign = self.find(self.campaigns(), pk)
        wanted = self.received(ForecastRequest)
        return Response(ForecastSerializer(operations.forecast_campaign(campaign, at=clock.now(), **wanted)).data)


class WaveDecide(TenantView):
    permissions = {"POST": Permission.MANAGE_CAMPAIGNS}

    @extend_schema(request=WaveDecision, responses=WaveSerializer)
    def post(self, request: Request, pk: int) -> Response:
        waves = Wave.objects.filter(campaign__tenant=self.caller.tenant).select_related("campaign__tenant", "group")
        wave = self.find(waves, pk)
        wanted: dict[str, Any] = self.received(WaveDecision)
        operations.decide_wave(
            wave, passed=wanted["passed"], reason=wanted["reason"], by=self.caller.actor, at=clock.now()
        )
        return Response(WaveSerializer(self.find(waves, pk)).data)
