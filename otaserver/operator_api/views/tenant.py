"""The caller itself, the tenant's emergency stop, and its audit record."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from otaserver import clock
from otaserver.audit.models import Entry
from otaserver.campaigns import operations
from otaserver.operator_api.serializers.campaigns import Reason
from otaserver.operator_api.views.base import TenantView
from otaserver.tenants.models import Tenant
from otaserver.tenants.states import PERMISSIONS, Permission


class MeSerializer(serializers.Serializer[Any]):
    tenant = serializers.CharField()
    token = serializers.CharField()
    role = serializers.CharField()
    permissions = serializers.ListField(child=serializers.CharField())


class TenantSerializer(serializers.ModelSerializer[Tenant]):
    class Meta:
        model = Tenant
        fields = ["name", "title", "polling_seconds", "has_public_targets", "stopped_at", "stopped_reason"]


class EntrySerializer(serializers.ModelSerializer[Entry]):
    class Meta:
        model = Entry
        fields = ["number", "at", "actor", "action", "subject", "details", "previous_hash", "hash"]


class Me(TenantView):
    permissions = {"GET": Permission.VIEW}

    @extend_schema(responses=MeSerializer)
    def get(self, request: Request) -> Response:
        caller = self.caller
        return Response(
            {
                "tenant": caller.tenant.name,
                "token": caller.token_name,
                "role": caller.role,
                "permissions": sorted(PERMISSIONS[caller.role]),
            }
        )


class TenantDetail(TenantView):
    permissions = {"GET": Permission.VIEW}

    @extend_schema(responses=TenantSerializer)
    def get(self, request: Request) -> Response:
        return Response(TenantSerializer(self.caller.tenant).data)


class TenantStop(TenantView):
    permissions = {"POST": Permission.STOP}

    @extend_schema(request=Reason, responses=TenantSerializer)
    def post(self, request: Request) -> Response:
        reason = self.received(Reason)["reason"]
        operations.stop_tenant(self.caller.tenant, reason=reason, by=self.caller.actor, at=clock.now())
        return Response(TenantSerializer(Tenant.objects.get(pk=self.caller.tenant.pk)).data)


class TenantResume(TenantView):
    permissions = {"POST": Permission.MANAGE_CAMPAIGNS}

    @extend_schema(request=Reason, responses=TenantSerializer)
    def post(self, request: Request) -> Response:
        reason = self.received(Reason)["reason"]
        operations.resume_tenant(self.caller.tenant, reason=reason, by=self.caller.actor, at=clock.now())
        return Response(TenantSerializer(Tenant.objects.get(pk=self.caller.tenant.pk)).data)


class AuditList(TenantView):
    permissions = {"GET": Permission.AUDIT}

    @extend_schema(responses=EntrySerializer(many=True))
    def get(self, request: Request) -> Response:
        return self.page_of(Entry.objects.filter(tenant=self.caller.tenant), EntrySerializer)
