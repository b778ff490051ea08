"""The caller itself, the tenant's emergency stop, and its audit record."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from otaserver import clock
from otaserver.audit.models import Entry
from otaserver.audit.queries import verification
from otaserver.campaigns import operations
from otaserver.operator_api.serializers.reasons import Reason
from otaserver.operator_api.views.base import TenantView
from otaserver.people import operations as people
from otaserver.tenants.models import Tenant
from otaserver.tenants.rules import MAX_APPROVALS
from otaserver.tenants.states import ForeignSoftware, Permission


class MeSerializer(serializers.Serializer[Any]):
    tenant = serializers.CharField()
    token = serializers.CharField()
    person = serializers.CharField(
        allow_null=True, help_text="the member as whom the token acts; null: a service token"
    )
    role = serializers.CharField()
    permissions = serializers.ListField(child=serializers.CharField())
    expires_at = serializers.DateTimeField(allow_null=True)


class TenantSerializer(serializers.ModelSerializer[Tenant]):
    class Meta:
        model = Tenant
        fields = [
            "name",
            "title",
            "polling_seconds",
            "has_public_targets",
            "foreign_software",
            "stopped_at",
            "stopped_reason",
            "required_approvals",
            "rollbacks_need_approval",
            "late_renewal_days",
            "second_factor_required",
            "storage_quota_bytes",
        ]


class EntrySerializer(serializers.ModelSerializer[Entry]):
    class Meta:
        model = Entry
        fields = [
            "number",
            "at",
            "actor",
            "action",
            "subject",
            "details",
            "previous_hash",
            "hash",
            "salt",
            "content_sha256",
        ]


class VerificationSerializer(serializers.Serializer[Any]):
    """Whether the audit record is whole: no entry changed, removed or inserted, none erased but on record."""

    is_whole = serializers.BooleanField()
    length = serializers.IntegerField()
    head_hash = serializers.CharField(help_text="to be noted elsewhere: a chain that was made anew has another")
    first_break = serializers.IntegerField(allow_null=True, help_text="the first entry that does not hold")
    erased = serializers.IntegerField(help_text="entries of which something was erased, on record")


class Me(TenantView):
    permissions = {"GET": Permission.VIEW}

    @extend_schema(responses=MeSerializer)
    def get(self, request: Request) -> Response:
        caller = self.caller
        shown = {
            "tenant": caller.tenant.name,
            "token": caller.token_name,
            "person": None if caller.member is None else caller.actor,
            "role": caller.role,
            "permissions": sorted(caller.permissions),
            "expires_at": caller.expires_at,
        }
        return Response(MeSerializer(shown).data)


class TenantSettings(serializers.Serializer[Any]):
    """What is left out stays as it is. A reason is needed where fewer people would have to agree than before."""

    title = serializers.CharField(max_length=200, required=False, allow_blank=True)
    polling_seconds = serializers.IntegerField(min_value=1, max_value=86400, required=False)
    late_renewal_days = serializers.IntegerField(
        min_value=0,
        max_value=3650,
        required=False,
        help_text="for how long after its end a vehicle's last token may still fetch new credentials; 0: never",
    )
    storage_quota_bytes = serializers.IntegerField(
        min_value=0, max_value=2**62, required=False, allow_null=True, help_text="null: as many as fit"
    )
    has_public_targets = serializers.BooleanField(required=False)
    required_approvals = serializers.IntegerField(
        min_value=0, max_value=MAX_APPROVALS, required=False, help_text="people other than a campaign's authors"
    )
    rollbacks_need_approval = serializers.BooleanField(required=False)
    second_factor_required = serializers.BooleanField(
        required=False, help_text="people see the tenant in the console only after a second factor"
    )
    reason = serializers.CharField(max_length=2000, required=False, allow_blank=True)
    foreign_software = serializers.ChoiceField(choices=ForeignSoftware.choices, required=False)


class TenantDetail(TenantView):
    permissions = {"GET": Permission.VIEW, "PATCH": Permission.ADMINISTER}

    @extend_schema(responses=TenantSerializer)
    def get(self, request: Request) -> Response:
        return Response(TenantSerializer(self.caller.tenant).data)

    @extend_schema(request=TenantSettings, responses=TenantSerializer)
    def patch(self, request: Request) -> Response:
        changes = self.received(TenantSettings)
        reason = changes.pop("reason", "")
        tenant = people.change_tenant_settings(
            self.caller.tenant, changes, by=self.caller.actor, at=clock.now(), reason=reason
        )
        return Response(TenantSerializer(tenant).data)


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

    @extend_schema(
        responses=EntrySerializer(many=True), parameters=[OpenApiParameter(name, str) for name in ("action", "actor")]
    )
    def get(self, request: Request) -> Response:
        entries = Entry.objects.filter(tenant=self.caller.tenant)
        return self.page_of(self.only(entries, "action", "actor"), EntrySerializer)


class AuditVerification(TenantView):
    """Reads the whole chain anew."""

    permissions = {"GET": Permission.AUDIT}

    @extend_schema(responses=VerificationSerializer)
    def get(self, request: Request) -> Response:
        return Response(VerificationSerializer(verification(self.caller.tenant)).data)
