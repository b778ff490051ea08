"""Signing for one vehicle, when it asks and only if it must: parked cars cost nothing."""

from collections.abc import Mapping
from datetime import datetime

from django.db import transaction

from firmware_store.states import Repository
from firmware_store.trust import signing
from otaserver.director import documents, queries, rules
from otaserver.director.errors import SignedMeanwhileError
from otaserver.director.models import Direction, VehicleMetadata
from otaserver.fleet.models import Vehicle

ROLES = ["targets", "snapshot", "timestamp"]
Signers = Mapping[str, signing.OnlineSigner]


def metadata_for(vehicle: Vehicle, *, profile: str, at: datetime) -> VehicleMetadata:
    """Return the vehicle's current Director metadata, signing first what is outdated or near its end.

    Versions rise with every signature, and one version has one body, however many workers are asked at once.

    Raises:
        MetadataVersionNotFoundError: the tenant's Director is not signed in this profile.
    """
    found = queries.signed_and_wanted(vehicle, profile, at=at)
    if found is not None:
        stored, wanted = found
        if _renewal(stored, wanted, at) is rules.Renewal.NOTHING:
            return stored
    return _sign(vehicle, profile, at)


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


@transaction.atomic
def _sign(vehicle: Vehicle, profile: str, at: datetime) -> VehicleMetadata:
    # Whoever holds this row is the only one who signs for the vehicle, the first time too, when there is nothing else
    # to lock. `no_key`: rows that refer to the vehicle may be written meanwhile.
    locked = Vehicle.objects.select_for_update(no_key=True, of=("self",)).select_related("tenant").get(pk=vehicle.pk)
    direction = Direction.objects.filter(vehicle=locked).first() or Direction(vehicle=locked)
    attempt_id = rules.stated_attempt(
        direction.attempt_id,
        blocked_at=locked.blocked_at,
        stopped_at=locked.tenant.stopped_at,
        is_its_time=rules.is_its_time(profile, direction.content, at=at),
    )
    root_version = queries.current_root_version(locked.tenant, profile)
    wanted = rules.Statement(direction.revision, attempt_id, root_version)
    stored = VehicleMetadata.objects.filter(vehicle=locked, profile=profile).first()
    renewal = _renewal(stored, wanted, at) if stored else rules.Renewal.EVERYTHING
    if stored is not None and renewal is rules.Renewal.NOTHING:
        return stored  # somebody else has just signed
    signed = stored or VehicleMetadata(profile=profile, targets_version=0, snapshot_version=0, timestamp_version=0)
    signed.vehicle = locked
    signed_over = signed.timestamp_version
    # After the root's version: keys of a newer root under the older version are only signed over once more.
    signers = signing.online_signers(locked.tenant, Repository.DIRECTOR, roles=ROLES)
    if renewal is rules.Renewal.EVERYTHING:
        signed.revision, signed.attempt_id, signed.root_version = wanted.revision, attempt_id, root_version
        _sign_targets(signed, direction, signers, at)
    _sign_timestamp(signed, signers, at)
    _store(signed, signed_over)
    return signed


def _sign_targets(signed: VehicleMetadata, direction: Direction, signers: Signers, at: datetime) -> None:
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
        content=direction.content if signed.attempt_id else None,
    )
    snapshot = documents.snapshot_body(
        profile,
        vehicle_id=vehicle.vehicle_id,
        version=signed.snapshot_version,
        expires_at=signed.targets_expires_at,
        targets_version=signed.targets_version,
    )
    signed.targets = signers["targets"].envelope(targets, profile)
    signed.snapshot = signers["snapshot"].envelope(snapshot, profile)


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
    signed.timestamp = signers["timestamp"].envelope(timestamp, signed.profile)


def _store(signed: VehicleMetadata, signed_over: int) -> None:
    if signed._state.adding:
        signed.save(force_insert=True)
        return
    changes = {
        field.attname: getattr(signed, field.attname)
        for field in VehicleMetadata._meta.concrete_fields
        if not field.primary_key
    }
    # The lock is none on SQLite, so the version that was signed over is compared as well.
    if not VehicleMetadata.objects.filter(pk=signed.pk, timestamp_version=signed_over).update(**changes):
        raise SignedMeanwhileError(f"The metadata of {signed.vehicle} was signed by another process; ask again.")
