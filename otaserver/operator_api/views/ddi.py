"""Vehicles that speak hawkBit's DDI: how they are read, who they are, and the tokens that let them in."""

from django.db import transaction
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from otaserver import clock
from otaserver.fleet import operations, queries
from otaserver.fleet.operations import KeylessEcu
from otaserver.fleet.protocol_models import GatewayToken
from otaserver.fleet.states import Protocol
from otaserver.operator_api.serializers.ddi import (
    DdiSettingsChange,
    DdiSettingsSerializer,
    DdiVehicleDeclaration,
    GatewayTokenDeclaration,
    GatewayTokenSerializer,
    SecretToken,
    TargetTokenDeclaration,
)
from otaserver.operator_api.serializers.reasons import NoFields
from otaserver.operator_api.views.base import TenantView
from otaserver.tenants.states import Permission


class DdiSettingsDetail(TenantView):
    permissions = {"GET": Permission.VIEW, "PATCH": Permission.ADMINISTER}

    @extend_schema(responses=DdiSettingsSerializer)
    def get(self, request: Request) -> Response:
        return Response(DdiSettingsSerializer(queries.ddi_settings(self.caller.tenant)).data)

    @extend_schema(request=DdiSettingsChange, responses=DdiSettingsSerializer)
    def patch(self, request: Request) -> Response:
        changes = self.received(DdiSettingsChange)
        settings = operations.change_ddi_settings(self.caller.tenant, changes, by=self.caller.actor, at=clock.now())
        return Response(DdiSettingsSerializer(settings).data)


class DdiVehicleList(TenantView):
    permissions = {"POST": Permission.MANAGE_FLEET}
    shows_secret = True

    @extend_schema(request=DdiVehicleDeclaration, responses={201: SecretToken})
    @transaction.atomic
    def post(self, request: Request) -> Response:
        wanted, at = self.received(DdiVehicleDeclaration), clock.now()
        ecus = [KeylessEcu(**ecu) for ecu in wanted["ecus"]]
        vehicle = operations.declare_vehicle(
            self.caller.tenant, wanted["vehicle_id"], protocol=Protocol.DDI, ecus=ecus, at=at
        )
        token = operations.give_token(vehicle, token=wanted.get("token"), by=self.caller.actor, at=at)
        return Response({"token": token}, status=201)


class VehicleTargetToken(TenantView):
    permissions = {"POST": Permission.MANAGE_FLEET}
    shows_secret = True

    @extend_schema(request=TargetTokenDeclaration, responses={201: SecretToken})
    def post(self, request: Request, vehicle_id: str) -> Response:
        vehicle = queries.vehicle_by_id(self.caller.tenant, vehicle_id)
        chosen = self.received(TargetTokenDeclaration).get("token")
        token = operations.give_token(vehicle, token=chosen, by=self.caller.actor, at=clock.now())
        return Response({"token": token}, status=201)


class GatewayTokenList(TenantView):
    permissions = {"GET": Permission.VIEW, "POST": Permission.ADMINISTER}
    shows_secret = True

    @extend_schema(responses=GatewayTokenSerializer(many=True))
    def get(self, request: Request) -> Response:
        return self.page_of(GatewayToken.objects.filter(tenant=self.caller.tenant), GatewayTokenSerializer)

    @extend_schema(request=GatewayTokenDeclaration, responses={201: SecretToken})
    def post(self, request: Request) -> Response:
        wanted = self.received(GatewayTokenDeclaration)
        token = operations.create_gateway_token(
            self.caller.tenant,
            name=wanted["name"],
            token=wanted.get("token"),
            by=self.caller.actor,
            at=clock.now(),
        )
        return Response({"token": token}, status=201)


class GatewayTokenRevocation(TenantView):
    permissions = {"POST": Permission.ADMINISTER}

    @extend_schema(request=NoFields, responses=GatewayTokenSerializer)
    def post(self, request: Request, pk: int) -> Response:
        self.received(NoFields)
        row = self.find(GatewayToken.objects.filter(tenant=self.caller.tenant), pk)
        operations.revoke_gateway_token(self.caller.tenant, name=row.name, by=self.caller.actor, at=clock.now())
        return Response(GatewayTokenSerializer(GatewayToken.objects.get(pk=pk)).data)
