"""Deciding on devices that ask to be let in, or will."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from otaserver.audit import operations as audit
from otaserver.fleet import device_identities, rules
from otaserver.fleet.authentication_models import AuthenticationSet
from otaserver.fleet.credentials import device_keys
from otaserver.fleet.errors import (
    AuthenticationExistsError,
    AuthenticationRefusedError,
    AuthenticationVehicleTakenError,
)
from otaserver.fleet.models import Credential, Vehicle
from otaserver.fleet.operations import identity
from otaserver.fleet.operations.configurations import refresh_configuration
from otaserver.fleet.operations.vehicles import refuse_decommissioned
from otaserver.fleet.states import AuthenticationState, CredentialKind, Protocol
from otaserver.tenants.models import Tenant

MAX_EXPECTED = 10_000


@dataclass(frozen=True)
class ExpectedDevice:
    """A device that may come in when it asks: identity, key (PEM), and which vehicle it is ("": its identity says)."""

    identity: Mapping[str, Any]
    public_key: str
    vehicle_id: str = ""


@transaction.atomic
def preauthorise(
    tenant: Tenant, devices: Sequence[ExpectedDevice], *, by: str, at: datetime
) -> list[AuthenticationSet]:
    """Let these devices in when they come, all or none, and return those that were not expected before.

    One that may come in as the same vehicle already stays as it is, so that a list may be sent again.

    Raises:
        AuthenticationRefusedError: one of them has an identity or key that cannot be, or names no vehicle.
        VehicleIdRefusedError: no vehicle can have one of these ids.
        AuthenticationExistsError: one stands in the list twice, has asked, was rejected, or is expected as another
            vehicle: decide on that.
    """
    listed = [_expected(tenant, device, at=at) for device in devices]
    known = {
        (one.identity_sha256, one.key_sha256): one
        for one in AuthenticationSet.objects.filter(tenant=tenant, key_sha256__in=[one.key_sha256 for one in listed])
    }
    sets: list[AuthenticationSet] = []
    seen: set[tuple[str, str]] = set()
    for one in listed:
        pair = (one.identity_sha256, one.key_sha256)
        if pair in seen or (pair in known and not _may_come_in(known[pair], one)):
            raise AuthenticationExistsError(
                f"The identity and key of {one} are known already; decide on them instead.", vehicle_id=str(one)
            )
        seen.add(pair)
        sets += [] if pair in known else [one]
    AuthenticationSet.objects.bulk_create(sets, batch_size=1000)
    if sets:
        ids = [one.claimed_vehicle_id for one in sets]
        audit.record("devices.preauthorised", f"{len(ids)} devices", tenant=tenant, by=by, at=at, vehicle_ids=ids)
    return sets


@transaction.atomic
def accept_authentication(found: AuthenticationSet, *, by: str, at: datetime, vehicle_id: str = "") -> Vehicle:
    """Let a device in by this key, as the vehicle of its identity, or as the one that is named.

    Another key that the vehicle had is rejected with that, and what it was given ends: of a device's keys one opens the
    door. The vehicle is a device with one computer; what it is, it says itself.

    Raises:
        AuthenticationRefusedError: its identity names no vehicle, and none is given.
        VehicleIdRefusedError: no vehicle can have that id.
        AuthenticationVehicleTakenError: the vehicle lives by other credentials than a device's key.
        VehicleDecommissionedError: the vehicle has ended.
        InvalidTransitionError, StaleStateError: it was decided already.
    """
    name = vehicle_id or found.claimed_vehicle_id
    if not name:
        raise AuthenticationRefusedError("Its identity names no vehicle; say which one it is.", field="vehicle_id")
    rules.check_vehicle_id(name)
    vehicle = _locked_vehicle(found.tenant, name, at=at)
    replaced = _reject_others(vehicle, found, by=by, at=at)
    identity.end_credentials(vehicle, at=at)
    found.move_to(
        AuthenticationState.ACCEPTED,
        vehicle=vehicle,
        claimed_vehicle_id=name,
        decided_by=by,
        decided_at=at,
        reason="",
    )
    _enrol(vehicle, at=at)
    audit.record(
        "device.accepted",
        vehicle,
        tenant=found.tenant,
        by=by,
        at=at,
        identity=found.identity,
        key_sha256=found.key_sha256,
        replaced_keys=replaced,
    )
    return vehicle


@transaction.atomic
def reject_authentication(found: AuthenticationSet, *, reason: str, by: str, at: datetime) -> None:
    """Keep a device out; one that was in is out at once.

    Raises:
        InvalidTransitionError, StaleStateError: it was rejected already.
    """
    if found.vehicle is not None:
        # The parent first, as whoever gives out credentials does.
        Vehicle.objects.select_for_update(no_key=True).get(pk=found.vehicle.pk)
    was_in = found.state == AuthenticationState.ACCEPTED
    found.move_to(AuthenticationState.REJECTED, decided_by=by, decided_at=at, reason=reason)
    if was_in and found.vehicle is not None:
        identity.end_credentials(found.vehicle, at=at)
    audit.record(
        "device.rejected",
        found,
        tenant=found.tenant,
        by=by,
        at=at,
        reason=reason,
        identity=found.identity,
        key_sha256=found.key_sha256,
    )


def _may_come_in(known: AuthenticationSet, listed: AuthenticationSet) -> bool:
    states = (AuthenticationState.PREAUTHORISED, AuthenticationState.ACCEPTED)
    return known.state in states and known.claimed_vehicle_id == listed.claimed_vehicle_id


def _expected(tenant: Tenant, device: ExpectedDevice, *, at: datetime) -> AuthenticationSet:
    problem = device_identities.identity_problem(device.identity)
    if problem is not None:
        raise AuthenticationRefusedError(problem)
    try:
        key = device_keys.load_device_key(device.public_key)
    except device_keys.KeyRefusedError as error:
        raise AuthenticationRefusedError(str(error), identity=dict(device.identity)) from error
    name = device.vehicle_id or device_identities.proposed_vehicle_id(device.identity)
    if not name:
        raise AuthenticationRefusedError(
            "The identity names no vehicle; say which one it is.", identity=dict(device.identity)
        )
    rules.check_vehicle_id(name)
    return AuthenticationSet(
        tenant=tenant,
        identity=dict(device.identity),
        identity_sha256=device_identities.identity_sha256(device.identity),
        public_key=key.pem,
        key_sha256=key.sha256,
        claimed_vehicle_id=name,
        state=AuthenticationState.PREAUTHORISED,
        created_at=at,
    )


def _locked_vehicle(tenant: Tenant, vehicle_id: str, *, at: datetime) -> Vehicle:
    Vehicle.objects.get_or_create(tenant=tenant, vehicle_id=vehicle_id, defaults={"created_at": at})
    vehicle = (
        Vehicle.objects.select_for_update(no_key=True, of=("self",))
        .select_related("tenant")
        .get(tenant=tenant, vehicle_id=vehicle_id)
    )
    refuse_decommissioned(vehicle)
    live = Credential.objects.filter(vehicle=vehicle, revoked_at=None, expires_at__gt=at)
    if live.exclude(kind=CredentialKind.SESSION).exists():
        raise AuthenticationVehicleTakenError(
            f"Vehicle {vehicle} has credentials of protocol {vehicle.protocol}; revoke them first.",
            vehicle_id=vehicle.vehicle_id,
            protocol=vehicle.protocol,
        )
    return vehicle


def _reject_others(vehicle: Vehicle, chosen: AuthenticationSet, *, by: str, at: datetime) -> list[str]:
    others = AuthenticationSet.objects.filter(vehicle=vehicle, state=AuthenticationState.ACCEPTED).exclude(pk=chosen.pk)
    keys = list(others.values_list("key_sha256", flat=True))
    others.update(
        state=AuthenticationState.REJECTED, decided_by=by, decided_at=at, reason="Another key of the device took over."
    )
    return keys


def _enrol(vehicle: Vehicle, *, at: datetime) -> None:
    # Computers with keys of their own are of a time in which it spoke another protocol.
    vehicle.ecus.exclude(keyid="").delete()
    changes = {"enrolled_at": at, "confirmed_at": None, "is_manifest_wanted": False, "protocol": Protocol.MENDER}
    Vehicle.objects.filter(pk=vehicle.pk).update(**changes)
    for field, value in changes.items():
        setattr(vehicle, field, value)
    refresh_configuration(vehicle)
