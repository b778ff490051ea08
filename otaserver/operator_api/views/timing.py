"""When: blackouts, time zones, and consent on an owner's behalf."""

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from otaserver import clock
from otaserver.campaigns import operations
from otaserver.campaigns.models import Assignment, Blackout
from otaserver.fleet import queries as fleet
from otaserver.fleet.models import Group
from otaserver.operator_api.serializers.fleet import VehicleSerializer
from otaserver.operator_api.serializers.reasons import Reason
from otaserver.operator_api.serializers.timing import (
    BlackoutDeclaration,
    BlackoutSerializer,
    ConsentDeclaration,
    ConsentSerializer,
    TimeZone,
)
from otaserver.operator_api.views.base import TenantView
from otaserver.tenants.states import Permission


class BlackoutView(TenantView):
    def blackouts(self) -> QuerySet[Blackout]:
        return Blackout.objects.filter(tenant=self.caller.tenant).select_related("tenant", "group__tenant")


class BlackoutList(BlackoutView):
    permissions = {"GET": Permission.VIEW, "POST": Permission.STOP}

    @extend_schema(responses=BlackoutSerializer(many=True), parameters=[OpenApiParameter("name", str)])
    def get(self, request: Request) -> Response:
        return self.page_of(self.only(self.blackouts(), "name"), BlackoutSerializer)

    @extend_schema(request=BlackoutDeclaration, responses={201: BlackoutSerializer})
    def post(self, request: Request) -> Response:
        wanted, at = self.received(BlackoutDeclaration), clock.now()
        given = wanted.get("group")
        groups = Group.objects.filter(tenant=self.caller.tenant).select_related("tenant")
        blackout = operations.declare_blackout(
            self.caller.tenant,
            name=wanted["name"],
            reason=wanted["reason"],
            starts_at=wanted.get("starts_at") or at,
            ends_at=wanted.get("ends_at"),
            group=None if given is None else self.find(groups, given),
            by=self.caller.actor,
            at=at,
        )
        return Response(BlackoutSerializer(blackout).data, status=201)


class BlackoutDetail(BlackoutView):
    permissions = {"GET": Permission.VIEW}

    @extend_schema(responses=BlackoutSerializer)
    def get(self, request: Request, pk: int) -> Response:
        return Response(BlackoutSerializer(self.find(self.blackouts(), pk)).data)


class BlackoutLift(BlackoutView):
    permissions = {"POST": Permission.MANAGE_CAMPAIGNS}

    @extend_schema(request=Reason, responses=BlackoutSerializer)
    def post(self, request: Request, pk: int) -> Response:
        blackout = self.find(self.blackouts(), pk)
        reason = self.received(Reason)["reason"]
        operations.lift_blackout(blackout, reason=reason, by=self.caller.actor, at=clock.now())
        return Response(BlackoutSerializer(blackout).data)


class VehicleTimeZone(TenantView):
    permissions = {"POST": Permission.MANAGE_FLEET}

    @extend_schema(request=TimeZone, responses=VehicleSerializer)
    def post(self, request: Request, vehicle_id: str) -> Response:
        vehicle = fleet.vehicle_by_id(self.caller.tenant, vehicle_id)
        wanted = self.received(TimeZone)["time_zone"]
        operations.set_time_zone([vehicle], wanted, by=self.caller.actor, at=clock.now())
        return Response(VehicleSerializer(fleet.vehicle_by_id(self.caller.tenant, vehicle_id)).data)


class AssignmentConsents(TenantView):
    permissions = {"POST": Permission.MANAGE_CAMPAIGNS}

    @extend_schema(request=ConsentDeclaration, responses={201: ConsentSerializer})
    def post(self, request: Request, pk: int) -> Response:
        rows = Assignment.objects.filter(campaign__tenant=self.caller.tenant)
        assignment = self.find(rows.select_related("campaign__tenant", "campaign__release", "vehicle"), pk)
        answer = operations.ConsentAnswer(**self.received(ConsentDeclaration))
        record = operations.record_consent_on_behalf(assignment, answer, recorded_by=self.caller.actor, at=clock.now())
        return Response(ConsentSerializer(record).data, status=201)
