"""Tokens of clients that cannot renew them: one chosen for a vehicle, or one for all vehicles of a tenant."""

import hashlib
import hmac
import re
import secrets
from datetime import UTC, datetime

from django.db import IntegrityError, transaction
from django.db.models import Q

from otaserver.audit import operations as audit
from otaserver.fleet.errors import (
    CredentialInvalidError,
    GatewayTokenNotFoundError,
    TokenExistsError,
    TokenRefusedError,
)
from otaserver.fleet.models import Credential, Vehicle
from otaserver.fleet.protocol_models import GatewayToken
from otaserver.fleet.states import CredentialKind
from otaserver.tenants.models import Tenant

# What cannot be renewed serves until it is replaced or revoked.
NEVER = datetime(9999, 12, 31, tzinfo=UTC)
# Shorter ones are found by trying; hawkBit's own have 32 characters, and stores 128.
_TOKEN = re.compile(r"[!-~]{8,128}\Z")


def random_token() -> str:
    """Return a new token in the form in which hawkBit makes its own: 32 hex digits."""
    return secrets.token_hex(16)


@transaction.atomic
def give_token(vehicle: Vehicle, *, token: str | None = None, by: str, at: datetime) -> str:
    """Let this token speak for the vehicle from now on, alone; None makes one. Return it: only its hash is kept.

    Raises:
        TokenRefusedError: it is no token, or too easily found.
    """
    token = _checked(token)
    # The parent first, as revoke_credentials does.
    Vehicle.objects.select_for_update(no_key=True).get(pk=vehicle.pk)
    held = Credential.objects.filter(vehicle=vehicle, kind=CredentialKind.PRE_SHARED)
    held.filter(revoked_at=None).update(revoked_at=at)
    Credential.objects.update_or_create(
        vehicle=vehicle,
        kind=CredentialKind.PRE_SHARED,
        fingerprint=_salted(vehicle, token),
        defaults={"created_at": at, "expires_at": NEVER, "revoked_at": None, "used_at": None},
    )
    audit.record("vehicle.token_given", vehicle, tenant=vehicle.tenant, by=by, at=at)
    return token


def identify_pre_shared(tenant: Tenant | str, vehicle_id: str, token: str, *, at: datetime) -> Credential:
    """Return the token that was chosen for the tenant's vehicle of this id, with the vehicle, be it blocked or not.

    By its tenant's name, as by the tenant itself, it is found in one read.

    Raises:
        CredentialInvalidError: unknown vehicle, or not its token; the message does not tell which.
    """
    found = Credential.objects.select_related("vehicle__tenant").filter(
        Q(vehicle__tenant__name=tenant) if isinstance(tenant, str) else Q(vehicle__tenant=tenant),
        kind=CredentialKind.PRE_SHARED,
        vehicle__vehicle_id=vehicle_id,
        revoked_at=None,
        expires_at__gt=at,
    )
    for credential in found:
        if hmac.compare_digest(credential.fingerprint, _salted(credential.vehicle, token)):
            if credential.used_at is None:
                Credential.objects.filter(pk=credential.pk, used_at=None).update(used_at=at)
            return credential
    raise CredentialInvalidError("The token is unknown or revoked.")


@transaction.atomic
def create_gateway_token(tenant: Tenant, *, name: str, token: str | None = None, by: str, at: datetime) -> str:
    """Let this token speak for every vehicle of the tenant; None makes one. Return it: only its hash is kept.

    Raises:
        TokenRefusedError: it is no token, or too easily found, or its name is out of its form.
        TokenExistsError: the tenant has one of that name, or this very one, perhaps revoked.
    """
    token = _checked(token)
    if not 1 <= len(name) <= 100 or not name.isprintable():
        raise TokenRefusedError(f"A token's name is 1 to 100 printable characters; {name[:80]!r} is not.")
    try:
        with transaction.atomic():
            row = GatewayToken.objects.create(
                tenant=tenant, name=name, sha256=_sha256(token), created_by=by, created_at=at
            )
    except IntegrityError as error:
        raise TokenExistsError(f"Tenant {tenant} has a gateway token {name!r}, or this one, already.") from error
    audit.record("gateway_token.created", row, tenant=tenant, by=by, at=at)
    return token


@transaction.atomic
def revoke_gateway_token(tenant: Tenant, *, name: str, by: str, at: datetime) -> None:
    """End a gateway token now. Revoking a revoked one changes nothing.

    Raises:
        GatewayTokenNotFoundError: the tenant has none of that name.
    """
    row = GatewayToken.objects.filter(tenant=tenant, name=name).first()
    if row is None:
        raise GatewayTokenNotFoundError(f"Tenant {tenant} has no gateway token {name[:80]!r}.")
    if GatewayToken.objects.filter(pk=row.pk, revoked_at=None).update(revoked_at=at):
        audit.record("gateway_token.revoked", row, tenant=tenant, by=by, at=at)


def check_gateway_token(tenant: Tenant, token: str) -> None:
    """Raise CredentialInvalidError unless this is a live gateway token of the tenant."""
    wanted = _sha256(token)
    live = GatewayToken.objects.filter(tenant=tenant, revoked_at=None).values_list("sha256", flat=True)
    # A list, not any(): each is compared, whichever fits.
    if True not in [hmac.compare_digest(sha256, wanted) for sha256 in live]:
        raise CredentialInvalidError("The token is unknown or revoked.")


def check_token(token: str) -> None:
    """Raise TokenRefusedError unless this could be a vehicle's pre-shared token."""
    _checked(token)


def pre_shared_fingerprint(vehicle: Vehicle, token: str) -> str:
    """Return the form in which a vehicle's pre-shared token is kept, for imports, which write them in bulk."""
    return _salted(vehicle, token)


def _checked(token: str | None) -> str:
    token = random_token() if token is None else token
    if not _TOKEN.match(token):
        raise TokenRefusedError(
            f"A token is 8 to 128 printable ASCII characters without spaces; this one has {len(token)} characters.",
        )
    return token


def _salted(vehicle: Vehicle, token: str) -> str:
    # Fleets were flashed with one token for several vehicles: the hash is still each vehicle's own.
    return _sha256(f"{vehicle.tenant_id}\n{vehicle.vehicle_id}\n{token}")


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()
