"""Signing for one vehicle, when it asks and only if it must: parked cars cost nothing."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from firmware_store.states import Repository
from firmware_store.trust import outside, signing
from otaserver.director import documents, queries, rules
from otaserver.director.errors import SignedMeanwhileError
from otaserver.director.models import VehicleMetadata
from otaserver.fleet.models import Vehicle

ROLES = ["targets", "snapshot", "timestamp"]
Signers = Mapping[str, signing.OnlineSigner]
# Several workers are asked at once for one vehicle when it opens several connections.
TRIES = 10
_SIGNED_FIELDS = (
    "revision",
    "attempt_id",
    "root_version",
    "targets_version",
    "snapshot_version",
    "timestamp_version",
    "targets",
    "snapshot",
    "timestamp",
    "targets_expires_at",
    "timestamp_expires_at",
    "signed_at",
)


def metadata_for(vehicle: Vehicle, *, profile: str, at: datetime) -> VehicleMetadata:
    """Return the vehicle's current Director metadata, signing first what is outdated or near its end.

    Versions rise with every signature, and one version has one body, however many workers are asked at once: each signs
    over the version that it has read, one of them is stored, and the others look again.

    Raises:
        MetadataVersionNotFoundError: the tenant's Director is not signed in this profile.
        SignedMeanwhileError: others have signed each time, which many at once do to one that is slow.
    """
    for _ in range(TRIES - 1):
        try:
            return _current(vehicle, profile, at)
        except SignedMeanwhileError:
            continue
    return _current(vehicle, profile, at)


def _current(vehicle: Vehicle, profile: str, at: datetime) -> VehicleMetadata:
    stored, wanted = queries.signed_and_wanted(vehicle, profile, at=at)
    renewal = _renewal(stored, wanted.statement, at) if stored else rules.Renewal.EVERYTHING
    if stored is not None and renewal is rules.Renewal.NOTHING:
        return stored
    return _sign(vehicle, profile, stored, wanted, renewal=renewal, at=at)


def _renewal(stored: VehicleMetadata, wanted: rules.Statement, at: datetime) -> rules.Renewal:
    return rules.renewal_due(
        rules.Statement(stored.revision, stored.attempt_id, stored.root_version),
        wanted,
        targets_left=stored.targets_expires_at - at,
        timestamp_left=stored.timestamp_expires_at - at,
        targets_lifetime=documents.TARGETS_LIFETIME,
        timestamp_lifetime=documents.TIMESTAMP_LIFETIME,
    )


def unchanged_until(signed: VehicleMetadata) -> datetime:
    """Return until when this is what a vehicle is answered, if nothing else is to be said."""
    return min(
        signed.targets_expires_at - documents.TARGETS_LIFETIME / rules.RENEWED_PART,
        signed.timestamp_expires_at - documents.TIMESTAMP_LIFETIME / rules.RENEWED_PART,
    )


def _sign(
    vehicle: Vehicle,
    profile: str,
    stored: VehicleMetadata | None,
    wanted: queries.Wanted,
    *,
    renewal: rules.Renewal,
    at: datetime,
) -> VehicleMetadata:
    signed = stored or VehicleMetadata(profile=profile, **_first_versions(vehicle))
    signed.vehicle = vehicle
    signed_over = signed.timestamp_version if stored else None
    # After the root's version: keys of a newer root under the older version are only signed over once more.
    signers = signing.online_signers(vehicle.tenant, Repository.DIRECTOR, roles=ROLES)
    if renewal is rules.Renewal.EVERYTHING:
        stated = wanted.statement
        signed.revision, signed.attempt_id, signed.root_version = (
            stated.revision,
            stated.attempt_id,
            stated.root_version,
        )
        _sign_targets(signed, wanted.content, signers, at)
    _sign_timestamp(signed, signers, at)
    # The timestamp's is the highest of the three: it is signed with each of the others.
    outside.note_issued(vehicle.tenant, Repository.DIRECTOR, signed.timestamp_version)
    _store(signed, signed_over)
    return signed


def _first_versions(vehicle: Vehicle) -> dict[str, int]:
    floor = vehicle.tenant.version_floor
    return {"targets_version": floor, "snapshot_version": floor, "timestamp_version": floor}


def _sign_targets(signed: VehicleMetadata, content: Mapping[str, Any] | None, signers: Signers, at: datetime) -> None:
    """Sign targets and the snapshot that names them, each with its next version."""
    vehicle, profile = signed.vehicle, signed.profile
    signed.targets_version += 1
    signed.snapshot_version += 1
    signed.targets_expires_at = (at + documents.TARGETS_LIFETIME).replace(microsecond=0)
    targets = documents.targets_body(
        profile,
        vehicle_id=vehicle.vehicle_id,
        version=signed.targets_version,
        expires_at=signed.targets_expires_at,
        content=content,
    )
    snapshot = documents.snapshot_body(
        profile,
        vehicle_id=vehicle.vehicle_id,
        version=signed.snapshot_version,
        expires_at=signed.targets_expires_at,
        targets_version=signed.targets_version,
    )
    signed.targets = signers["targets"].envelope_of(targets, profile)
    signed.snapshot = signers["snapshot"].envelope_of(snapshot, profile)


def _sign_timestamp(signed: VehicleMetadata, signers: Signers, at: datetime) -> None:
    signed.timestamp_version += 1
    signed.timestamp_expires_at = (at + documents.TIMESTAMP_LIFETIME).replace(microsecond=0)
    signed.signed_at = at
    timestamp = documents.timestamp_body(
        signed.profile,
        vehicle_id=signed.vehicle.vehicle_id,
        version=signed.timestamp_version,
        expires_at=signed.timestamp_expires_at,
        snapshot=bytes(signed.snapshot),
        snapshot_version=signed.snapshot_version,
    )
    signed.timestamp = signers["timestamp"].envelope_of(timestamp, signed.profile)


def _store(signed: VehicleMetadata, signed_over: int | None) -> None:
    """Store what was signed over this version (None: over none), if that is still the stored one; nothing is locked.

    Raises:
        SignedMeanwhileError: it is not.
    """
    if signed_over is None:
        is_stored = _is_first(signed)
    else:
        changes = {name: getattr(signed, name) for name in _SIGNED_FIELDS}
        rows = VehicleMetadata.objects.filter(pk=signed.pk, timestamp_version=signed_over)
        is_stored = bool(rows.update(**changes))
    if not is_stored:
        raise SignedMeanwhileError(f"The metadata of {signed.vehicle} was signed by another process; ask again.")


def _is_first(signed: VehicleMetadata) -> bool:
    """Store the first metadata of a vehicle, and return whether it was; of several at once one is."""
    # Without a savepoint, which an IntegrityError would need.
    VehicleMetadata.objects.bulk_create([signed], ignore_conflicts=True)
    stored = VehicleMetadata.objects.get(vehicle=signed.vehicle, profile=signed.profile)
    signed.pk = stored.pk
    return bytes(stored.timestamp) == signed.timestamp
