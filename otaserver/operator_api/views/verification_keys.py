from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from firmware_store import operations
from firmware_store.models import VerificationKey
from otaserver import clock
from otaserver.operator_api.serializers.reasons import NoFields
from otaserver.operator_api.serializers.verification_keys import VerificationKeyDeclaration, VerificationKeySerializer
from otaserver.operator_api.views.base import TenantView
from otaserver.tenants.states import Permission


class VerificationKeyView(TenantView):
    def keys(self) -> QuerySet[VerificationKey]:
        return VerificationKey.objects.filter(tenant=self.caller.tenant)


class VerificationKeyList(VerificationKeyView):
    permissions = {"GET": Permission.VIEW, "POST": Permission.ADMINISTER}

    @extend_schema(
        responses=VerificationKeySerializer(many=True),
        parameters=[OpenApiParameter(name, str) for name in ("name", "hardware_id")],
    )
    def get(self, request: Request) -> Response:
        return self.page_of(self.only(self.keys(), "name", "hardware_id"), VerificationKeySerializer)

    @extend_schema(request=VerificationKeyDeclaration, responses={201: VerificationKeySerializer})
    def post(self, request: Request) -> Response:
        wanted = self.received(VerificationKeyDeclaration)
        key = operations.add_verification_key(self.caller.tenant, **wanted, by=self.caller.actor, at=clock.now())
        return Response(VerificationKeySerializer(key).data, status=201)


class VerificationKeyRetirement(VerificationKeyView):
    permissions = {"POST": Permission.ADMINISTER}

    @extend_schema(request=NoFields, responses=VerificationKeySerializer)
    def post(self, request: Request, pk: int) -> Response:
        key = self.find(self.keys().select_related("tenant"), pk)
        self.received(NoFields)
        operations.retire_verification_key(key, by=self.caller.actor, at=clock.now())
        return Response(VerificationKeySerializer(key).data)
