"""Devices that are let in by keys of their own: who asks, who is expected, and what is decided."""

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from otaserver import clock
from otaserver.fleet import operations, queries
from otaserver.fleet.authentication_models import AuthenticationSet, TenantToken
from otaserver.operator_api.serializers.devices import (
    Acceptance,
    DeviceSerializer,
    ExpectedCount,
    ExpectedDevices,
    IssuedTenantToken,
    TenantTokenRequest,
    TenantTokenSerializer,
)
from otaserver.operator_api.serializers.reasons import NoFields, Reason
from otaserver.operator_api.views.base import TenantView
from otaserver.tenants.states import Permission


class DeviceView(TenantView):
    def devices(self) -> QuerySet[AuthenticationSet]:
        return queries.authentication_sets(self.caller.tenant)


class DeviceList(DeviceView):
    permissions = {"GET": Permission.VIEW, "POST": Permission.MANAGE_FLEET}

    @extend_schema(
        responses=DeviceSerializer(many=True), parameters=[OpenApiParameter(name, str) for name in ("state", "vehicle")]
    )
    def get(self, request: Request) -> Response:
        return self.page_of(self.only(self.devices(), "state", vehicle="claimed_vehicle_id"), DeviceSerializer)

    @extend_schema(request=ExpectedDevices, responses={201: ExpectedCount})
    def post(self, request: Request) -> Response:
        expected = [operations.ExpectedDevice(**device) for device in self.received(ExpectedDevices)["devices"]]
        operations.preauthorise(self.caller.tenant, expected, by=self.caller.actor, at=clock.now())
        return Response({"expected": len(expected)}, status=201)


class DeviceDetail(DeviceView):
    permissions = {"GET": Permission.VIEW}

    @extend_schema(responses=DeviceSerializer)
    def get(self, request: Request, pk: int) -> Response:
        return Response(DeviceSerializer(self.find(self.devices(), pk)).data)


class DeviceAccept(DeviceView):
    permissions = {"POST": Permission.MANAGE_FLEET}

    @extend_schema(request=Acceptance, responses=DeviceSerializer)
    def post(self, request: Request, pk: int) -> Response:
        found = self.find(self.devices(), pk)
        wanted = self.received(Acceptance)
        operations.accept_authentication(found, **wanted, by=self.caller.actor, at=clock.now())
        return Response(DeviceSerializer(self.find(self.devices(), pk)).data)


class DeviceReject(DeviceView):
    permissions = {"POST": Permission.MANAGE_FLEET}

    @extend_schema(request=Reason, responses=DeviceSerializer)
    def post(self, request: Request, pk: int) -> Response:
        found = self.find(self.devices(), pk)
        operations.reject_authentication(found, **self.received(Reason), by=self.caller.actor, at=clock.now())
        return Response(DeviceSerializer(self.find(self.devices(), pk)).data)


class TenantTokenView(TenantView):
    def tokens(self) -> QuerySet[TenantToken]:
        return TenantToken.objects.filter(tenant=self.caller.tenant).select_related("tenant")


class TenantTokenList(TenantTokenView):
    permissions = {"GET": Permission.VIEW, "POST": Permission.ADMINISTER}
    shows_secret = True

    @extend_schema(responses=TenantTokenSerializer(many=True))
    def get(self, request: Request) -> Response:
        return self.page_of(self.tokens(), TenantTokenSerializer)

    @extend_schema(request=TenantTokenRequest, responses={201: IssuedTenantToken})
    def post(self, request: Request) -> Response:
        wanted = self.received(TenantTokenRequest)
        token = operations.issue_tenant_token(self.caller.tenant, **wanted, by=self.caller.actor, at=clock.now())
        return Response(IssuedTenantToken({"token": token}).data, status=201)


class TenantTokenRevoke(TenantTokenView):
    permissions = {"POST": Permission.ADMINISTER}

    @extend_schema(request=NoFields, responses=TenantTokenSerializer)
    def post(self, request: Request, pk: int) -> Response:
        self.received(NoFields)
        found = self.find(self.tokens(), pk)
        operations.revoke_tenant_token(found, by=self.caller.actor, at=clock.now())
        return Response(TenantTokenSerializer(self.find(self.tokens(), pk)).data)
