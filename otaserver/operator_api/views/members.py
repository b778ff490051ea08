"""Who is a member, and how somebody becomes one."""

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from otaserver import clock
from otaserver.operator_api.serializers.members import (
    InvitationRequest,
    InvitationSerializer,
    IssuedInvitation,
    MemberChange,
    MemberSerializer,
    PersonalTokenSerializer,
    RevokedCount,
)
from otaserver.operator_api.serializers.reasons import NoFields
from otaserver.operator_api.views.base import TenantView
from otaserver.people import operations
from otaserver.people.invitation_mail import link_of, send_link
from otaserver.people.models import Invitation, PersonalToken
from otaserver.tenants.models import Member
from otaserver.tenants.states import Permission


class MemberView(TenantView):
    def members(self) -> QuerySet[Member]:
        return Member.objects.filter(tenant=self.caller.tenant).select_related("user", "tenant")


class MemberList(MemberView):
    permissions = {"GET": Permission.VIEW}

    @extend_schema(responses=MemberSerializer(many=True))
    def get(self, request: Request) -> Response:
        return self.page_of(self.members(), MemberSerializer)


class MemberDetail(MemberView):
    permissions = {"GET": Permission.VIEW, "PATCH": Permission.ADMINISTER}

    @extend_schema(responses=MemberSerializer)
    def get(self, request: Request, pk: int) -> Response:
        return Response(MemberSerializer(self.find(self.members(), pk)).data)

    @extend_schema(request=MemberChange, responses=MemberSerializer)
    def patch(self, request: Request, pk: int) -> Response:
        found = self.find(self.members(), pk)
        role = self.received(MemberChange)["role"]
        changed = operations.change_role(found, role=role, by=self.caller.grantor, at=clock.now())
        return Response(MemberSerializer(changed).data)


class MemberRemoval(MemberView):
    permissions = {"POST": Permission.ADMINISTER}

    @extend_schema(request=NoFields, responses={204: None})
    def post(self, request: Request, pk: int) -> Response:
        self.received(NoFields)
        operations.remove_member(self.find(self.members(), pk), by=self.caller.actor, at=clock.now())
        return Response(status=204)


class MemberTokens(MemberView):
    permissions = {"GET": Permission.AUDIT}

    @extend_schema(responses=PersonalTokenSerializer(many=True))
    def get(self, request: Request, pk: int) -> Response:
        found = self.find(self.members(), pk)
        return self.page_of(PersonalToken.objects.filter(member=found), PersonalTokenSerializer)


class MemberTokensEnd(MemberView):
    permissions = {"POST": Permission.ADMINISTER}

    @extend_schema(request=NoFields, responses=RevokedCount)
    def post(self, request: Request, pk: int) -> Response:
        self.received(NoFields)
        ended = operations.revoke_all_tokens(self.find(self.members(), pk), by=self.caller.actor, at=clock.now())
        return Response(RevokedCount({"revoked": ended}).data)


class InvitationView(TenantView):
    def invitations(self) -> QuerySet[Invitation]:
        return Invitation.objects.filter(tenant=self.caller.tenant).select_related("tenant")


class InvitationList(InvitationView):
    permissions = {"GET": Permission.ADMINISTER, "POST": Permission.ADMINISTER}
    shows_secret = True

    @extend_schema(responses=InvitationSerializer(many=True))
    def get(self, request: Request) -> Response:
        return self.page_of(self.invitations(), InvitationSerializer)

    @extend_schema(request=InvitationRequest, responses={201: IssuedInvitation})
    def post(self, request: Request) -> Response:
        wanted = self.received(InvitationRequest)
        made, secret = operations.invite(self.caller.tenant, **wanted, by=self.caller.grantor, at=clock.now())
        link = request.build_absolute_uri(link_of(secret))
        send_link(made, link)
        return Response({**InvitationSerializer(made).data, "link": link}, status=201)


class InvitationEnd(InvitationView):
    permissions = {"POST": Permission.ADMINISTER}

    @extend_schema(request=NoFields, responses=InvitationSerializer)
    def post(self, request: Request, pk: int) -> Response:
        self.received(NoFields)
        operations.revoke_invitation(self.find(self.invitations(), pk), by=self.caller.actor, at=clock.now())
        return Response(InvitationSerializer(self.find(self.invitations(), pk)).data)
