from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from firmware_store.models import Release
from otaserver import clock
from otaserver.campaigns import operations, queries
from otaserver.campaigns.models import Campaign, Wave
from otaserver.campaigns.operations import CampaignPlan, WavePlan
from otaserver.fleet.models import Group
from otaserver.operator_api.errors import FieldsInvalidError
from otaserver.operator_api.serializers.campaigns import (
    SETTINGS,
    AssignmentSerializer,
    CampaignDetailSerializer,
    CampaignSerializer,
    DecisionSerializer,
    PlanDeclaration,
    RollbackDeclaration,
    WaveDecision,
    WaveSerializer,
)
from otaserver.operator_api.views.base import TenantView
from otaserver.tenants.states import Permission


class CampaignView(TenantView):
    def campaigns(self) -> QuerySet[Campaign]:
        rows = Campaign.objects.filter(tenant=self.caller.tenant)
        rows = rows.select_related("tenant", "release", "group", "fallback_release")
        return rows.prefetch_related("requirements")

    def release(self, pk: int) -> Release:
        return self.find(Release.objects.filter(tenant=self.caller.tenant), pk)

    def shown(self, pk: int, *, status: int = 200) -> Response:
        campaign = self.find(self.campaigns().prefetch_related("waves"), pk)
        context = {"progress": queries.progress(campaign), "gate": queries.gate_view(campaign)}
        return Response(CampaignDetailSerializer(campaign, context=context).data, status=status)


class CampaignList(CampaignView):
    permissions = {"GET": Permission.VIEW, "POST": Permission.MANAGE_CAMPAIGNS}

    @extend_schema(
        responses=CampaignSerializer(many=True), parameters=[OpenApiParameter(name, str) for name in ("name", "state")]
    )
    def get(self, request: Request) -> Response:
        return self.page_of(self.only(self.campaigns(), "name", "state"), CampaignSerializer)

    @extend_schema(request=PlanDeclaration, responses={201: CampaignDetailSerializer})
    def post(self, request: Request) -> Response:
        wanted = self.received(PlanDeclaration)
        fallback = wanted.get("fallback_release")
        plan = CampaignPlan(
            name=wanted["name"],
            release=self.release(wanted["release"]),
            group=self.find(Group.objects.filter(tenant=self.caller.tenant), wanted["group"]),
            waves=tuple(WavePlan(wave["percent"], wave["max_failed"]) for wave in wanted["waves"]),
            fallback_release=None if fallback is None else self.release(fallback),
            requires=[self.find(self.campaigns(), pk) for pk in wanted.get("requires", ())],
            **{name: wanted[name] for name in SETTINGS if name in wanted},
        )
        campaign = operations.create_campaign(self.caller.tenant, plan, by=self.caller.actor, at=clock.now())
        return self.shown(campaign.pk, status=201)


class CampaignDetail(CampaignView):
    permissions = {"GET": Permission.VIEW}

    @extend_schema(responses=CampaignDetailSerializer)
    def get(self, request: Request, pk: int) -> Response:
        return self.shown(pk)


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
        return self.page_of(Wave.objects.filter(campaign=self.find(self.campaigns(), pk)), WaveSerializer)


class CampaignAssignments(CampaignView):
    permissions = {"GET": Permission.VIEW}

    @extend_schema(
        responses=AssignmentSerializer(many=True),
        parameters=[OpenApiParameter(name, str) for name in ("state", "verdict", "code")],
    )
    def get(self, request: Request, pk: int) -> Response:
        rows = self.find(self.campaigns(), pk).assignments.select_related("campaign", "vehicle", "wave")
        rows = self.only(rows, "state", "verdict", "code").prefetch_related("attempts")
        page = self.paginate_queryset(rows) or []
        context = {"explanations": queries.explain_all(page)}
        return self.get_paginated_response(AssignmentSerializer(page, many=True, context=context).data)


class CampaignDecisions(CampaignView):
    permissions = {"GET": Permission.VIEW}

    @extend_schema(responses=DecisionSerializer(many=True))
    def get(self, request: Request, pk: int) -> Response:
        return self.page_of(queries.decisions(self.find(self.campaigns(), pk)), DecisionSerializer)


class WaveDecide(TenantView):
    permissions = {"POST": Permission.MANAGE_CAMPAIGNS}

    @extend_schema(request=WaveDecision, responses=WaveSerializer)
    def post(self, request: Request, pk: int) -> Response:
        waves = Wave.objects.filter(campaign__tenant=self.caller.tenant).select_related("campaign__tenant")
        wave = self.find(waves, pk)
        wanted: dict[str, Any] = self.received(WaveDecision)
        operations.decide_wave(
            wave, passed=wanted["passed"], reason=wanted["reason"], by=self.caller.actor, at=clock.now()
        )
        return Response(WaveSerializer(self.find(waves, pk)).data)
