"""Letting devices in by keys that they made themselves: they ask, and people, or a list made before, decide."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from otaserver.errors import OtaError
from otaserver.fleet import device_identities, rules
from otaserver.fleet.authentication_models import AuthenticationSet
from otaserver.fleet.credentials import device_keys
from otaserver.fleet.errors import (
    AuthenticationRefusedError,
    AuthenticationSignatureError,
    TooManyAuthenticationsError,
)
from otaserver.fleet.models import Vehicle
from otaserver.fleet.operations import admissions, sessions
from otaserver.fleet.states import AuthenticationState
from otaserver.tenants.models import Tenant

# Whoever knows a tenant token can make keys and ask; what waits stays within what people can look at.
MAX_WAITING_PER_ADDRESS = 1000
MAX_WAITING_PER_TENANT = 20_000
# A wish that was not repeated for so long is forgotten.
FORGOTTEN_AFTER = timedelta(days=30)
# A time to the minute tells enough and spares a write for each try of the many who wait.
REQUEST_RESOLUTION = timedelta(minutes=1)
_RETRY_SECONDS = 600
_LIST = "preauthorised"


@dataclass(frozen=True)
class AuthenticationRequest:
    """What a device says of itself, its key (PEM), and the signature (base64) over the bytes in which it said so."""

    identity: Mapping[str, Any]
    public_key: str
    signature: str
    signed: bytes


def authenticate(tenant: Tenant, request: AuthenticationRequest, *, address: str, at: datetime) -> str | None:
    """Return a session token for a device that was accepted, or None: people have not decided, or decided against it.

    A key or an identity that is new is written down for them; one that is expected is accepted at once.

    Raises:
        AuthenticationRefusedError: no such identity, or no such key, can be.
        AuthenticationSignatureError: the key has not signed these bytes.
        TooManyAuthenticationsError: too many wait for a decision already, of this address or in all.
    """
    key = _checked(request)
    with transaction.atomic():
        found = _written_down(tenant, request.identity, key, address=address, at=at)
        if found.state == AuthenticationState.PREAUTHORISED:
            _accept_expected(found, at=at)
        vehicle = _locked_vehicle(found)
        return None if vehicle is None else sessions.begin_session(vehicle, at=at)


def forget_wishes(*, at: datetime) -> int:
    """Delete what nobody has decided and nobody has asked for lately, and return how many that were."""
    pending = AuthenticationSet.objects.filter(state=AuthenticationState.PENDING)
    return pending.filter(requested_at__lte=at - FORGOTTEN_AFTER).delete()[0]


def _checked(request: AuthenticationRequest) -> device_keys.DeviceKey:
    problem = device_identities.identity_problem(request.identity)
    if problem is not None:
        raise AuthenticationRefusedError(problem)
    try:
        key = device_keys.load_device_key(request.public_key)
    except device_keys.KeyRefusedError as error:
        raise AuthenticationRefusedError(str(error)) from error
    try:
        signature = base64.b64decode(request.signature.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error) as error:
        raise AuthenticationSignatureError("The signature is no base64.") from error
    if not key.has_signed(request.signed, signature):
        raise AuthenticationSignatureError("The key has not signed this request.")
    return key


def _written_down(
    tenant: Tenant, identity: Mapping[str, Any], key: device_keys.DeviceKey, *, address: str, at: datetime
) -> AuthenticationSet:
    names = {"identity_sha256": device_identities.identity_sha256(identity), "key_sha256": key.sha256}
    rows = AuthenticationSet.objects.filter(tenant=tenant, **names)
    found = rows.first()
    if found is None:
        sender = rules.guesser(address)
        _refuse_beyond_limits(tenant, sender)
        wish = AuthenticationSet(
            tenant=tenant,
            **names,
            identity=dict(identity),
            public_key=key.pem,
            claimed_vehicle_id=device_identities.proposed_vehicle_id(identity),
            address=sender,
            created_at=at,
            requested_at=at,
        )
        # Of two requests at once one row remains.
        AuthenticationSet.objects.bulk_create([wish], ignore_conflicts=True)
        return rows.get()
    if found.requested_at is None or at - found.requested_at >= REQUEST_RESOLUTION:
        rows.update(requested_at=at, address=found.address or rules.guesser(address))
    return found


def _refuse_beyond_limits(tenant: Tenant, sender: str) -> None:
    waiting = AuthenticationSet.objects.filter(tenant=tenant, state=AuthenticationState.PENDING)
    for rows, limit in (
        (waiting.filter(address=sender), MAX_WAITING_PER_ADDRESS),
        (waiting, MAX_WAITING_PER_TENANT),
    ):
        if rows[:limit].count() >= limit:
            raise TooManyAuthenticationsError(
                f"{limit} devices wait for a decision already; decide on them first.",
                retry_after_seconds=_RETRY_SECONDS,
            )


def _accept_expected(found: AuthenticationSet, *, at: datetime) -> None:
    try:
        admissions.accept_authentication(found, by=_LIST, at=at)
    except OtaError as refusal:
        # People have to look at it: the device is only told that it is not let in.
        AuthenticationSet.objects.filter(pk=found.pk).update(reason=refusal.message)


def _locked_vehicle(found: AuthenticationSet) -> Vehicle | None:
    """Return the vehicle of an accepted set: locked, so that no decision ends what it is being given."""
    if found.vehicle is None:
        return None
    vehicle = Vehicle.objects.select_for_update(no_key=True).get(pk=found.vehicle.pk)
    accepted = AuthenticationSet.objects.filter(pk=found.pk, state=AuthenticationState.ACCEPTED)
    return vehicle if accepted.exists() else None
