"""Sessions: short tokens that a device gets for a signed request. One at a time: the next ends the one before."""

import hashlib
import secrets
from datetime import datetime, timedelta

from otaserver.fleet.errors import CredentialInvalidError
from otaserver.fleet.models import Credential, Vehicle
from otaserver.fleet.states import CredentialKind

SESSION_LIFETIME = timedelta(days=7)
SESSION_PREFIX = "otas_"


def begin_session(vehicle: Vehicle, *, at: datetime) -> str:
    """Return a new session token, and end the one before. The caller's transaction holds the vehicle locked."""
    token = SESSION_PREFIX + secrets.token_urlsafe(32)
    Credential.objects.filter(vehicle=vehicle, kind=CredentialKind.SESSION).delete()
    Credential.objects.create(
        vehicle=vehicle,
        kind=CredentialKind.SESSION,
        fingerprint=_fingerprint(token),
        created_at=at,
        # It was asked for by whoever holds the key: there is no answer to be lost that another could use.
        used_at=at,
        expires_at=at + SESSION_LIFETIME,
    )
    return token


def identify_session(token: str, *, at: datetime) -> Credential:
    """Return the live session that this is, with its vehicle, be it blocked or not; the token alone says of which
    tenant.

    Raises:
        CredentialInvalidError: unknown, expired or revoked; the message does not tell which.
    """
    # Looked up by hash: the index sees nothing that tells how near a guess was.
    found = (
        Credential.objects.select_related("vehicle__tenant")
        .filter(kind=CredentialKind.SESSION, fingerprint=_fingerprint(token), revoked_at=None, expires_at__gt=at)
        .first()
    )
    if found is None:
        raise CredentialInvalidError("The token is unknown, expired or revoked.")
    return found


def _fingerprint(token: str) -> str:
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()
