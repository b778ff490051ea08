from datetime import timedelta

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from otaserver import clock
from otaserver.fleet import operations, queries
from otaserver.fleet.provisioning_models import ProvisioningCredential
from otaserver.operator_api.serializers.fleet import VehicleSerializer
from otaserver.operator_api.serializers.provisioning import (
    IssuedProvisioningSerializer,
    ProvisioningCredentialRequest,
    ProvisioningCredentialSerializer,
    ProvisioningPermitRequest,
    issued,
)
from otaserver.operator_api.serializers.reasons import NoFields
from otaserver.operator_api.views.base import TenantView
from otaserver.tenants.states import Permission


class ProvisioningView(TenantView):
    def credentials(self) -> QuerySet[ProvisioningCredential]:
        return ProvisioningCredential.objects.filter(tenant=self.caller.tenant)


class ProvisioningCredentialList(ProvisioningView):
    permissions = {"GET": Permission.VIEW, "POST": Permission.MANAGE_FLEET}
    shows_secret = True

    @extend_schema(responses=ProvisioningCredentialSerializer(many=True))
    def get(self, request: Request) -> Response:
        return self.page_of(self.credentials(), ProvisioningCredentialSerializer)

    @extend_schema(request=ProvisioningCredentialRequest, responses={201: IssuedProvisioningSerializer})
    def post(self, request: Request) -> Response:
        wanted = self.received(ProvisioningCredentialRequest)
        found = operations.issue_provisioning_credential(
            self.caller.tenant,
            name=wanted["name"],
            address=wanted["address"],
            valid_for=timedelta(days=wanted["valid_days"]),
            by=self.caller.actor,
            at=clock.now(),
        )
        return Response(issued(found), status=201, headers={"Cache-Control": "no-store"})


class ProvisioningCredentialEnd(ProvisioningView):
    permissions = {"POST": Permission.MANAGE_FLEET}

    @extend_schema(request=NoFields, responses=ProvisioningCredentialSerializer)
    def post(self, request: Request, pk: int) -> Response:
        self.received(NoFields)
        credential = self.find(self.credentials().select_related("tenant"), pk)
        operations.revoke_provisioning_credential(credential, by=self.caller.actor, at=clock.now())
        return Response(ProvisioningCredentialSerializer(credential).data)


class VehicleProvisioning(ProvisioningView):
    permissions = {"POST": Permission.MANAGE_FLEET}

    @extend_schema(request=ProvisioningPermitRequest, responses=VehicleSerializer)
    def post(self, request: Request, vehicle_id: str) -> Response:
        vehicle = queries.vehicle_by_id(self.caller.tenant, vehicle_id)
        wanted = self.received(ProvisioningPermitRequest)
        operations.permit_provisioning(
            vehicle,
            reason=wanted["reason"],
            valid_for=timedelta(hours=wanted["valid_hours"]),
            by=self.caller.actor,
            at=clock.now(),
        )
        return Response(VehicleSerializer(vehicle).data)
