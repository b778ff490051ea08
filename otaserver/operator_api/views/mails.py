from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from otaserver import clock
from otaserver.events import operations
from otaserver.events.queries import mails as queries
from otaserver.operator_api.serializers.events import MailChoice, MailReaderSerializer, MailSettingsSerializer
from otaserver.operator_api.views.base import TenantView
from otaserver.tenants.states import Permission


class MailSettingsDetail(TenantView):
    permissions = {"GET": Permission.ADMINISTER, "PUT": Permission.ADMINISTER}

    @extend_schema(responses=MailSettingsSerializer)
    def get(self, request: Request) -> Response:
        return Response(MailSettingsSerializer(queries.mail_settings(self.caller.tenant)).data)

    @extend_schema(request=MailSettingsSerializer, responses=MailSettingsSerializer)
    def put(self, request: Request) -> Response:
        wanted = self.received(MailSettingsSerializer)
        changed = operations.change_mail_settings(self.caller.tenant, **wanted, by=self.caller.actor, at=clock.now())
        return Response(MailSettingsSerializer(changed).data)


class MailReaderList(TenantView):
    permissions = {"GET": Permission.ADMINISTER}
    pagination_class = None

    @extend_schema(responses=MailReaderSerializer(many=True))
    def get(self, request: Request) -> Response:
        return Response(MailReaderSerializer(queries.members(self.caller.tenant), many=True).data)


class MailReaderDetail(TenantView):
    permissions = {"GET": Permission.ADMINISTER, "PUT": Permission.ADMINISTER}

    def told(self, username: str) -> Response:
        queries.member(self.caller.tenant, username)
        found = next(each for each in queries.members(self.caller.tenant) if each.username == username)
        return Response(MailReaderSerializer(found).data)

    @extend_schema(responses=MailReaderSerializer)
    def get(self, request: Request, username: str) -> Response:
        return self.told(username)

    @extend_schema(request=MailChoice, responses=MailReaderSerializer)
    def put(self, request: Request, username: str) -> Response:
        user = queries.member(self.caller.tenant, username)
        kinds: list[Any] = self.received(MailChoice)["kinds"]
        operations.choose_mail(self.caller.tenant, user, kinds=kinds, by=self.caller.actor, at=clock.now())
        return self.told(username)
