"""Who calls, for which tenant, and whether their role lets them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from otaserver import clock
from otaserver.tenants import operations, rules
from otaserver.tenants.errors import PermissionMissingError, TokenInvalidError
from otaserver.tenants.models import Tenant
from otaserver.tenants.states import Permission


@dataclass(frozen=True)
class Caller:
    """A program that has shown a live service token."""

    tenant: Tenant
    token_name: str
    role: str
    is_authenticated: bool = True

    @property
    def actor(self) -> str:
        """What the audit record calls this caller."""
        return f"token:{self.token_name}"


class ServiceTokenAuthentication(BaseAuthentication):
    def authenticate(self, request: Request) -> tuple[Caller, Caller]:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise TokenInvalidError("Send a service token: Authorization: Bearer ota_…")
        found = operations.authenticate_token(token.strip(), at=clock.now())
        caller = Caller(tenant=found.tenant, token_name=found.name, role=found.role)
        return caller, caller

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class ServiceTokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = ServiceTokenAuthentication
    name = "serviceToken"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "description": "A service token of one tenant: ota_…"}


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
        if not rules.may(caller.role, needed):
            raise PermissionMissingError(
                f"Token {caller.token_name} has the role {caller.role}, which lacks the permission {needed.value}.",
                role=caller.role,
                permission=needed.value,
            )
        return True
