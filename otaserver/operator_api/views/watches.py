"""Check my device: its last requests, while somebody watches."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from otaserver import clock
from otaserver.fleet import operations, queries
from otaserver.fleet.watch_models import AddressWatch, SeenRequest
from otaserver.operator_api.serializers.fields import ExactField
from otaserver.operator_api.serializers.fleet import VehicleSerializer
from otaserver.operator_api.views.base import TenantView
from otaserver.tenants.states import Permission

MAX_HOURS = 72


class SeenRequestSerializer(serializers.ModelSerializer[SeenRequest]):
    """What a device asked, what it showed, and what it was answered; never a body, a query or a secret."""

    class Meta:
        model = SeenRequest
        fields = ["at", "address", "method", "path", "client", "identity", "status", "code", "reason"]


class WatchLength(serializers.Serializer[Any]):
    hours = serializers.IntegerField(min_value=0, max_value=MAX_HOURS, default=4, help_text="0 ends it")


class AddressWatchDeclaration(WatchLength):
    address = ExactField(max_length=60, help_text="an IP address, as the server sees it")


class AddressWatchSerializer(serializers.ModelSerializer[AddressWatch]):
    class Meta:
        model = AddressWatch
        fields = ["address", "until", "by"]


class VehicleWatch(TenantView):
    permissions = {"POST": Permission.MANAGE_FLEET}

    @extend_schema(request=WatchLength, responses=VehicleSerializer)
    def post(self, request: Request, vehicle_id: str) -> Response:
        vehicle = queries.vehicle_by_id(self.caller.tenant, vehicle_id)
        operations.watch_vehicle(vehicle, **self.received(WatchLength), by=self.caller.actor, at=clock.now())
        return Response(VehicleSerializer(vehicle).data)


class VehicleRequests(TenantView):
    permissions = {"GET": Permission.VIEW}

    @extend_schema(responses=SeenRequestSerializer(many=True))
    def get(self, request: Request, vehicle_id: str) -> Response:
        vehicle = queries.vehicle_by_id(self.caller.tenant, vehicle_id)
        return self.page_of(SeenRequest.objects.filter(vehicle=vehicle), SeenRequestSerializer)


class WatchedAddresses(TenantView):
    permissions = {"GET": Permission.VIEW, "POST": Permission.MANAGE_FLEET}

    @extend_schema(responses=AddressWatchSerializer(many=True))
    def get(self, request: Request) -> Response:
        rows = AddressWatch.objects.filter(tenant=self.caller.tenant, until__gt=clock.now())
        return self.page_of(rows, AddressWatchSerializer)

    @extend_schema(request=AddressWatchDeclaration, responses=AddressWatchSerializer(many=True))
    def post(self, request: Request) -> Response:
        operations.watch_address(
            self.caller.tenant, **self.received(AddressWatchDeclaration), by=self.caller.actor, at=clock.now()
        )
        return self.get(request)


class RefusedRequests(TenantView):
    """What was refused to watched addresses, to nobody that the server could tell."""

    permissions = {"GET": Permission.VIEW}

    @extend_schema(responses=SeenRequestSerializer(many=True), parameters=[OpenApiParameter("address", str)])
    def get(self, request: Request) -> Response:
        rows = SeenRequest.objects.filter(tenant=self.caller.tenant, vehicle=None)
        return self.page_of(self.only(rows, "address"), SeenRequestSerializer)
