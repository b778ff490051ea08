"""What is signed for a vehicle, and what should be."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from django.db.models import F

from firmware_store.states import Profile, Repository
from firmware_store.trust import queries as trust_queries
from otaserver.director import rules
from otaserver.director.errors import MetadataVersionNotFoundError
from otaserver.director.models import Direction, VehicleMetadata
from otaserver.fleet.models import Vehicle
from otaserver.tenants.models import Tenant


def signed_and_wanted(
    vehicle: Vehicle, profile: str, *, at: datetime
) -> tuple[VehicleMetadata, rules.Statement] | None:
    """Return the vehicle's stored metadata and what it should state now; None when nothing was signed yet.

    Two queries (three for aktualizr), and all there is to a poll that brings nothing new. Blocks and stops are read
    afresh: the caller's `vehicle` may be a moment old.
    """
    stored = (
        VehicleMetadata.objects.filter(vehicle=vehicle, profile=profile)
        .annotate(
            directed_revision=F("vehicle__direction__revision"),
            directed_attempt=F("vehicle__direction__attempt_id"),
            blocked_at=F("vehicle__blocked_at"),
            stopped_at=F("vehicle__tenant__stopped_at"),
        )
        .first()
    )
    if stored is None:
        return None
    content = _content_read_for(vehicle, profile)
    attempt_id = rules.stated_attempt(
        stored.directed_attempt,
        blocked_at=stored.blocked_at,
        stopped_at=stored.stopped_at,
        is_its_time=rules.is_its_time(profile, content, at=at),
    )
    root_version = current_root_version(vehicle.tenant, profile)
    return stored, rules.Statement(stored.directed_revision or 0, attempt_id, root_version)


def _content_read_for(vehicle: Vehicle, profile: str) -> Mapping[str, Any] | None:
    """Return what the vehicle is directed to, where the time that it states decides on whether it is told."""
    if profile != Profile.AKTUALIZR:
        return None
    return Direction.objects.filter(vehicle=vehicle).values_list("content", flat=True).first()


def is_stated(vehicle: Vehicle, target_name: str, *, profile: str, at: datetime) -> bool:
    """Return whether the vehicle is told, now, to install this target: only then is it given to a client that installs
    whatever it has downloaded."""
    direction = Direction.objects.filter(
        vehicle=vehicle, vehicle__blocked_at=None, vehicle__tenant__stopped_at=None, content__isnull=False
    ).first()
    if direction is None or direction.content is None or target_name not in direction.content["targets"]:
        return False
    return rules.is_its_time(profile, direction.content, at=at)


def stored_body(vehicle: Vehicle, *, profile: str, role: Literal["targets", "snapshot"], version: int) -> bytes:
    """Return the bytes that the vehicle's last timestamp leads to, even if they would be signed anew by now.

    A vehicle in the middle of a refresh finds what its timestamp promised; its next timestamp leads on.

    Raises:
        MetadataVersionNotFoundError: the version is not the stored one.
    """
    stored = VehicleMetadata.objects.filter(vehicle=vehicle, profile=profile).first()
    found = {"targets": stored.targets_version, "snapshot": stored.snapshot_version}[role] if stored else None
    if stored is None or found != version:
        raise MetadataVersionNotFoundError(
            f"There is no {version}.{role}.json for {vehicle}; the current one is {found}.", role=role, version=version
        )
    return bytes(stored.targets if role == "targets" else stored.snapshot)


def current_root_version(tenant: Tenant, profile: str) -> int:
    """Return the version of the Director's root in this profile.

    Raises:
        MetadataVersionNotFoundError: there is none, and without it no vehicle could verify anything.
    """
    version = trust_queries.latest_version(tenant, Repository.DIRECTOR, "root", profile)
    if version == 0:
        raise MetadataVersionNotFoundError(f"The Director of {tenant} has no root yet.", role="root")
    return version
