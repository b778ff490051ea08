"""Tokens for programs: those of the tenant (service tokens), and the caller's own (personal tokens)."""

from datetime import timedelta
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from otaserver import clock
from otaserver.operator_api.serializers.members import (
    IssuedPersonalToken,
    IssuedServiceToken,
    PersonalTokenRequest,
    PersonalTokenSerializer,
    ServiceTokenRequest,
    ServiceTokenSerializer,
)
from otaserver.operator_api.serializers.reasons import NoFields
from otaserver.operator_api.views.base import TenantView
from otaserver.people import operations
from otaserver.people.errors import NotAPersonError
from otaserver.people.models import PersonalToken
from otaserver.people.rules import PERSONAL_TOKEN_DAYS
from otaserver.tenants.models import Member, ServiceToken
from otaserver.tenants.states import Permission


class ServiceTokenView(TenantView):
    def tokens(self) -> QuerySet[ServiceToken]:
        return ServiceToken.objects.filter(tenant=self.caller.tenant).select_related("tenant")


class ServiceTokenList(ServiceTokenView):
    permissions = {"GET": Permission.AUDIT, "POST": Permission.ADMINISTER}
    shows_secret = True

    @extend_schema(responses=ServiceTokenSerializer(many=True))
    def get(self, request: Request) -> Response:
        return self.page_of(self.tokens(), ServiceTokenSerializer)

    @extend_schema(request=ServiceTokenRequest, responses={201: IssuedServiceToken})
    def post(self, request: Request) -> Response:
        wanted = self.received(ServiceTokenRequest)
        made, secret = operations.issue_service_token(
            self.caller.tenant, **wanted, by=self.caller.grantor, at=clock.now()
        )
        return Response({**ServiceTokenSerializer(made).data, "token": secret}, status=201)


class ServiceTokenEnd(ServiceTokenView):
    permissions = {"POST": Permission.ADMINISTER}

    @extend_schema(request=NoFields, responses=ServiceTokenSerializer)
    def post(self, request: Request, pk: int) -> Response:
        self.received(NoFields)
        operations.revoke_service_token(self.find(self.tokens(), pk), by=self.caller.actor, at=clock.now())
        return Response(ServiceTokenSerializer(self.find(self.tokens(), pk)).data)


class OwnTokenView(TenantView):
    def tokens(self) -> QuerySet[PersonalToken]:
        own = PersonalToken.objects.filter(member=self.caller.member) if self.caller.member else None
        return PersonalToken.objects.none() if own is None else own.select_related("member__tenant", "member__user")

    def member(self) -> Member:
        if self.caller.member is None:
            raise NotAPersonError(f"{self.caller.actor} is a service token: it acts as nobody and has no tokens.")
        return self.caller.member


class OwnTokenList(OwnTokenView):
    permissions = {"GET": Permission.VIEW, "POST": Permission.VIEW}
    shows_secret = True

    @extend_schema(responses=PersonalTokenSerializer(many=True))
    def get(self, request: Request) -> Response:
        return self.page_of(self.tokens(), PersonalTokenSerializer)

    @extend_schema(request=PersonalTokenRequest, responses={201: IssuedPersonalToken})
    def post(self, request: Request) -> Response:
        at = clock.now()
        wanted: dict[str, Any] = {"expires_at": at + timedelta(days=PERSONAL_TOKEN_DAYS)}
        if self.caller.expires_at is not None:
            wanted["expires_at"] = min(wanted["expires_at"], self.caller.expires_at)
        wanted |= self.received(PersonalTokenRequest)
        made, secret = operations.issue_personal_token(self.member(), **wanted, by=self.caller.grantor, at=at)
        return Response({**PersonalTokenSerializer(made).data, "token": secret}, status=201)


class OwnTokenEnd(OwnTokenView):
    permissions = {"POST": Permission.VIEW}

    @extend_schema(request=NoFields, responses=PersonalTokenSerializer)
    def post(self, request: Request, pk: int) -> Response:
        self.received(NoFields)
        operations.revoke_personal_token(self.find(self.tokens(), pk), by=self.caller.actor, at=clock.now())
        return Response(PersonalTokenSerializer(self.find(self.tokens(), pk)).data)
