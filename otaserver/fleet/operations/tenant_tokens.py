import hashlib
import secrets
from datetime import datetime

from django.db import IntegrityError, transaction

from otaserver.audit import operations as audit
from otaserver.fleet.authentication_models import TenantToken
from otaserver.fleet.errors import TenantTokenExistsError, TenantTokenRefusedError, TenantTokenUnknownError
from otaserver.tenants.models import Tenant

TOKEN_PREFIX = "otat_"
# Devices of a server without tenants send none: they are of the tenant that is there from the start.
TENANT_WITHOUT_TOKEN = "default"
MIN_LENGTH, MAX_LENGTH = 8, 4096


@transaction.atomic
def issue_tenant_token(tenant: Tenant, *, name: str, by: str, at: datetime, token: str = "") -> str:
    """Create a token by which a tenant's devices say whose they are, and return it; only its SHA-256 is kept.

    `token`: one that a fleet was made with elsewhere and goes on sending.

    Raises:
        TenantTokenRefusedError: it is too short or too long, or holds what no header carries.
        TenantTokenExistsError: the tenant has one of that name, or the token serves already.
    """
    chosen = token or TOKEN_PREFIX + secrets.token_urlsafe(32)
    if not MIN_LENGTH <= len(chosen) <= MAX_LENGTH or not chosen.isascii() or not chosen.isprintable():
        raise TenantTokenRefusedError(
            f"A tenant token is {MIN_LENGTH} to {MAX_LENGTH} printable ASCII characters; this has {len(chosen)}."
        )
    try:
        with transaction.atomic():
            made = TenantToken.objects.create(
                tenant=tenant, name=name, sha256=_sha256(chosen), created_by=by, created_at=at
            )
    except IntegrityError as error:
        raise TenantTokenExistsError(
            f"Tenant {tenant} has a tenant token {name!r} already, or this token serves already.", name=name
        ) from error
    audit.record("tenant_token.issued", made, tenant=tenant, by=by, at=at, is_brought_along=bool(token))
    return chosen


@transaction.atomic
def revoke_tenant_token(token: TenantToken, *, by: str, at: datetime) -> None:
    """End a tenant token now: devices that send it are of no tenant. Revoking a revoked one changes nothing."""
    if TenantToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=at):
        audit.record("tenant_token.revoked", token, tenant=token.tenant, by=by, at=at)


def tenant_of_token(token: str) -> Tenant:
    """Return the tenant whose devices send this token; none at all is the default tenant's.

    Raises:
        TenantTokenUnknownError: unknown or revoked; the message does not tell which.
    """
    if not token:
        found = Tenant.objects.filter(name=TENANT_WITHOUT_TOKEN).first()
    else:
        # Looked up by hash: the index sees nothing that tells how near a guess was.
        found = Tenant.objects.filter(device_tokens__sha256=_sha256(token), device_tokens__revoked_at=None).first()
    if found is None:
        raise TenantTokenUnknownError("The tenant token is unknown or revoked.")
    return found


def _sha256(token: str) -> str:
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()
