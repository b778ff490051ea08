"""Who calls, for which tenant, and whether their role lets them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from otaserver import clock
from otaserver.bearer import bearer_token
from otaserver.people import operations as people
from otaserver.people.operations.tokens import PERSONAL_PREFIX
from otaserver.people.rules import Grantor
from otaserver.tenants import operations
from otaserver.tenants.errors import PermissionMissingError, TokenInvalidError
from otaserver.tenants.models import Member, Tenant
from otaserver.tenants.rules import permissions_of
from otaserver.tenants.states import Permission


@dataclass(frozen=True)
class Caller:
    """A program that has shown a live token: its own (a service token), or a member's, as whom it then acts."""

    tenant: Tenant
    token_name: str
    role: str
    permissions: frozenset[Permission]
    expires_at: datetime | None
    member: Member | None = None
    is_authenticated: bool = True

    @property
    def actor(self) -> str:
        """What the audit record calls this caller: a person is the same one by whatever token."""
        return f"token:{self.token_name}" if self.member is None else self.member.user.get_username()

    @property
    def grantor(self) -> Grantor:
        """Return what this caller may give to others."""
        own = self.token_name if self.member is not None else ""
        return Grantor(self.actor, self.permissions, until=self.expires_at, personal_token=own)


def identify(token: str, *, at: datetime) -> Caller:
    """Return who calls with this token.

    Raises:
        TokenInvalidError: nobody; the message does not tell why.
    """
    if token.startswith(PERSONAL_PREFIX):
        own = people.authenticate_personal_token(token, at=at)
        member = own.member
        permissions = permissions_of(member.role, own.permissions)
        return Caller(member.tenant, own.name, member.role, permissions, own.expires_at, member)
    found = operations.authenticate_token(token, at=at)
    permissions = permissions_of(found.role, found.permissions)
    return Caller(found.tenant, found.name, found.role, permissions, found.expires_at)


class ServiceTokenAuthentication(BaseAuthentication):
    def authenticate(self, request: Request) -> tuple[Caller, Caller]:
        token = bearer_token(request.headers.get("Authorization", ""))
        if token is None:
            raise TokenInvalidError("Send a token: Authorization: Bearer ota_…")
        caller = identify(token, at=clock.now())
        return caller, caller

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class ServiceTokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = ServiceTokenAuthentication
    name = "serviceToken"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        described = "A service token of one tenant (ota_…), or a personal token of a member (otap_…)."
        return {"type": "http", "scheme": "bearer", "description": described}


class RolePermission(BasePermission):
    """Let a request in if the caller's role has the permission that the view names for the method.

    A handler without an entry in `permissions` is a bug and lets nobody in.
    """

    def has_permission(self, request: Request, view: APIView) -> bool:
        table: Mapping[str, Permission] = getattr(view, "permissions", {})
        method = "GET" if request.method == "HEAD" and "HEAD" not in table else str(request.method)
        if method.lower() not in view.http_method_names or not hasattr(view, method.lower()):
            return True  # answered with 405 right after
        needed = table[method]
        caller = cast(Caller, request.auth)
        if needed not in caller.permissions:
            may_by_role = needed in permissions_of(caller.role, None)
            why = "does not carry" if may_by_role else f"has the role {caller.role}, which lacks"
            raise PermissionMissingError(
                f"Token {caller.token_name} {why} the permission {needed.value}.",
                role=caller.role,
                permission=needed.value,
            )
        return True
