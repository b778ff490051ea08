"""What is signed for a vehicle, and what should be."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Literal

from django.db.models import F, OuterRef, QuerySet

from firmware_store.states import Repository
from firmware_store.trust import queries as trust_queries
from otaserver.director import rules
from otaserver.director.errors import MetadataVersionNotFoundError
from otaserver.director.models import Direction, VehicleMetadata
from otaserver.fleet.models import Vehicle
from otaserver.prepared import Prepared
from otaserver.tenants.models import Tenant


@dataclass(frozen=True)
class Wanted:
    """What a vehicle's metadata should state now, and the content of the order in it, if any."""

    statement: rules.Statement
    content: Mapping[str, Any] | None


def signed_and_wanted(vehicle: Vehicle, profile: str, *, at: datetime) -> tuple[VehicleMetadata | None, Wanted]:
    """Return the vehicle's stored metadata, None when nothing was signed yet, and what it should state now.

    One query, and all there is to a poll that brings nothing new; three before the first signature. Blocks and stops
    are read afresh: the caller's `vehicle` may be a moment old.

    Raises:
        MetadataVersionNotFoundError: the tenant's Director is not signed in this profile.
    """
    found = _signed(profile).rows(vehicle=vehicle.pk)
    stored: Any = found[0] if found else None
    if stored is None:
        return None, _first_wanted(vehicle, profile, at=at)
    # What was just read of it nobody has to read again.
    vehicle.fill(stored.vehicle)
    attempt_id = rules.stated_attempt(
        stored.directed_attempt,
        blocked_at=stored.vehicle.blocked_at,
        stopped_at=stored.stopped_at,
        is_its_time=rules.is_its_time(profile, stored.directed_content, at=at),
    )
    # Whoever has signed once has a root, and roots stay.
    statement = rules.Statement(stored.directed_revision or 0, attempt_id, stored.newest_root)
    return stored, Wanted(statement, stored.directed_content if attempt_id else None)


@cache
def _signed(profile: str) -> Prepared[VehicleMetadata]:
    def make(vehicle: int) -> QuerySet[VehicleMetadata, Any]:
        return (
            VehicleMetadata.objects.filter(vehicle=vehicle, profile=profile)
            .select_related("vehicle")
            .annotate(
                directed_revision=F("vehicle__direction__revision"),
                directed_attempt=F("vehicle__direction__attempt_id"),
                directed_content=F("vehicle__direction__content"),
                stopped_at=F("vehicle__tenant__stopped_at"),
                newest_root=trust_queries.newest_root(OuterRef("vehicle__tenant"), Repository.DIRECTOR, profile),
            )
        )

    return Prepared(make, numbers=("vehicle",))


def _first_wanted(vehicle: Vehicle, profile: str, *, at: datetime) -> Wanted:
    direction = Direction.objects.filter(vehicle=vehicle).first() or Direction(vehicle=vehicle)
    blocked_at, stopped_at = Vehicle.objects.values_list("blocked_at", "tenant__stopped_at").get(pk=vehicle.pk)
    attempt_id = rules.stated_attempt(
        direction.attempt_id,
        blocked_at=blocked_at,
        stopped_at=stopped_at,
        is_its_time=rules.is_its_time(profile, direction.content, at=at),
    )
    root_version = current_root_version(vehicle.tenant, profile)
    statement = rules.Statement(direction.revision, attempt_id, root_version)
    return Wanted(statement, direction.content if attempt_id else None)


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
