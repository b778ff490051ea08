import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction

from otaserver.tenants import rules
from otaserver.tenants.errors import (
    ApprovalsRefusedError,
    TenantExistsError,
    TenantNameRefusedError,
    TokenInvalidError,
    TokenNameTakenError,
)
from otaserver.tenants.models import ServiceToken, Tenant

TOKEN_PREFIX = "ota_"
# A last-used time to the minute tells enough and spares a write per request.
LAST_USED_RESOLUTION = timedelta(minutes=1)


def create_tenant(name: str, *, at: datetime, title: str = "", required_approvals: int = 1) -> Tenant:
    """Create a tenant; its name is folded to lower case.

    Raises:
        ApprovalsRefusedError: so many people cannot be required.
        TenantNameRefusedError: the name has other characters or is reserved.
        TenantExistsError: there is one already.
    """
    name = name.lower()
    problem = rules.tenant_name_problem(name)
    if problem:
        raise TenantNameRefusedError(problem, name=name)
    refuse_approvals(required_approvals)
    try:
        with transaction.atomic():
            return Tenant.objects.create(name=name, title=title, created_at=at, required_approvals=required_approvals)
    except IntegrityError as error:
        raise TenantExistsError(f"There is a tenant {name!r} already.", name=name) from error


def refuse_approvals(required: int) -> None:
    """Refuse a number of approvals that no tenant can require.

    Raises:
        ApprovalsRefusedError: it is out of range.
    """
    problem = rules.approvals_problem(required)
    if problem:
        raise ApprovalsRefusedError(problem, required_approvals=required)


def issue_service_token(
    tenant: Tenant,
    *,
    name: str,
    role: str,
    by: str,
    at: datetime,
    expires_at: datetime | None = None,
    permissions: Sequence[str] | None = None,
) -> str:
    """Create a service token and return it; only its SHA-256 is kept, so it cannot be shown again.

    `permissions`: those of the role that it carries; None: all.

    Raises:
        TokenNameTakenError: the tenant has a token of that name, perhaps a revoked one.
    """
    token = TOKEN_PREFIX + secrets.token_urlsafe(32)
    try:
        with transaction.atomic():
            ServiceToken.objects.create(
                tenant=tenant,
                name=name,
                role=role,
                permissions=permissions,
                sha256=token_sha256(token),
                created_by=by,
                created_at=at,
                expires_at=expires_at,
            )
    except IntegrityError as error:
        raise TokenNameTakenError(f"Tenant {tenant} has a token {name!r} already.", name=name) from error
    return token


def authenticate_token(token: str, *, at: datetime) -> ServiceToken:
    """Return the live token that this is, and note its use.

    Raises:
        TokenInvalidError: unknown, expired or revoked; the message does not tell which.
    """
    # Looked up by hash: the index sees nothing that tells how near a guess was.
    found = ServiceToken.objects.select_related("tenant").filter(sha256=token_sha256(token)).first()
    if found is None or found.revoked_at is not None or (found.expires_at is not None and found.expires_at <= at):
        raise TokenInvalidError("The token is unknown, expired or revoked.")
    note_use(found, at=at)
    return found


def note_use(token: Any, *, at: datetime) -> None:
    """Write when a token was last used, at most once a minute; of several requests at once, one writes."""
    if token.last_used_at is None or at - token.last_used_at >= LAST_USED_RESOLUTION:
        type(token).objects.filter(pk=token.pk, last_used_at=token.last_used_at).update(last_used_at=at)


def revoke_service_token(token: ServiceToken, *, at: datetime) -> bool:
    """End a token now, and return whether this did it. Revoking a revoked one changes nothing."""
    return bool(ServiceToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=at))


def token_sha256(token: str) -> str:
    """Return the form in which tokens are stored: the SHA-256 in hex. They are random, so they need no salt."""
    return hashlib.sha256(token.encode()).hexdigest()
