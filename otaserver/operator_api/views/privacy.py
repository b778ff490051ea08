"""What is kept: for how long, how much, and all that is held of one vehicle; and how old keys and metadata are."""

import json

from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from firmware_store import quotas
from firmware_store.queries import current_metadata
from otaserver import clock
from otaserver.audit import operations as audit
from otaserver.fleet import queries as fleet
from otaserver.operator_api.exports import JsonLinesRenderer
from otaserver.operator_api.serializers.privacy import (
    AgesSerializer,
    PseudonymSerializer,
    RetentionChanges,
    Retentions,
    StorageSerializer,
)
from otaserver.operator_api.serializers.reasons import Reason
from otaserver.operator_api.views.base import TenantView
from otaserver.privacy import operations, queries
from otaserver.privacy.rules import KINDS
from otaserver.tenants.states import Permission


class TenantRetention(TenantView):
    permissions = {"GET": Permission.VIEW, "PATCH": Permission.ADMINISTER}

    def shown(self) -> Response:
        days = queries.retention_days(self.caller.tenant)
        kinds = [
            {"kind": kind.name, "description": kind.description, "days": days[name], "default_days": kind.days}
            for name, kind in KINDS.items()
        ]
        return Response(Retentions({"kinds": kinds}).data)

    @extend_schema(responses=Retentions)
    def get(self, request: Request) -> Response:
        return self.shown()

    @extend_schema(request=RetentionChanges, responses=Retentions)
    def patch(self, request: Request) -> Response:
        days = self.received(RetentionChanges)["days"]
        operations.set_retention(self.caller.tenant, days, by=self.caller.actor, at=clock.now())
        return self.shown()


class TenantStorage(TenantView):
    permissions = {"GET": Permission.VIEW}

    @extend_schema(responses=StorageSerializer)
    def get(self, request: Request) -> Response:
        tenant = self.caller.tenant
        used = {"used_bytes": quotas.used_bytes(tenant), "quota_bytes": tenant.storage_quota_bytes}
        return Response(StorageSerializer(used).data)


class VehicleRecord(TenantView):
    """All that is held of a vehicle, as JSON Lines: personal data, so that who has asked for it is on record."""

    permissions = {"GET": Permission.ADMINISTER}
    pagination_class = None
    renderer_classes = [JsonLinesRenderer, JSONRenderer]

    @extend_schema(responses={(200, "application/jsonl"): OpenApiTypes.STR})
    def get(self, request: Request, vehicle_id: str) -> StreamingHttpResponse:
        vehicle = fleet.vehicle_by_id(self.caller.tenant, vehicle_id)
        audit.record("vehicle.record_exported", vehicle, tenant=vehicle.tenant, by=self.caller.actor, at=clock.now())
        lines = (json.dumps(row).encode() + b"\n" for row in queries.held_of(vehicle))
        headers = {"Content-Disposition": 'attachment; filename="vehicle.jsonl"', "Cache-Control": "no-store"}
        return StreamingHttpResponse(lines, content_type="application/jsonl", headers=headers)


class VehiclePseudonym(TenantView):
    permissions = {"POST": Permission.ADMINISTER}

    @extend_schema(request=Reason, responses=PseudonymSerializer)
    def post(self, request: Request, vehicle_id: str) -> Response:
        vehicle = fleet.vehicle_by_id(self.caller.tenant, vehicle_id)
        reason = self.received(Reason)["reason"]
        found = operations.pseudonymise_vehicle(vehicle, reason=reason, by=self.caller.actor, at=clock.now())
        return Response(PseudonymSerializer(found).data)


class TrustAges(TenantView):
    permissions = {"GET": Permission.VIEW}

    @extend_schema(responses=AgesSerializer)
    def get(self, request: Request) -> Response:
        tenant = self.caller.tenant
        keys = tenant.online_keys.order_by("repository", "role", "pk")
        return Response(AgesSerializer({"online_keys": keys, "metadata": current_metadata(tenant)}).data)
