"""What is signed for a vehicle, and what should be."""

from typing import Literal

from django.db.models import F

from firmware_store.states import Repository
from firmware_store.trust import queries as trust_queries
from otaserver.director import rules
from otaserver.director.errors import MetadataVersionNotFoundError
from otaserver.director.models import VehicleMetadata
from otaserver.fleet.models import Vehicle
from otaserver.tenants.models import Tenant


def signed_and_wanted(vehicle: Vehicle, profile: str) -> tuple[VehicleMetadata, rules.Statement] | None:
    """Return the vehicle's stored metadata and what it should state now; None when nothing was signed yet.

    Two queries, and all there is to a poll that brings nothing new. Blocks and stops are read afresh: the caller's
    `vehicle` may be a moment old.
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
    attempt_id = rules.stated_attempt(
        stored.directed_attempt, blocked_at=stored.blocked_at, stopped_at=stored.stopped_at
    )
    root_version = current_root_version(vehicle.tenant)
    return stored, rules.Statement(stored.directed_revision or 0, attempt_id, root_version)


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


def current_root_version(tenant: Tenant) -> int:
    """Return the version of the Director's root.

    Raises:
        MetadataVersionNotFoundError: there is none yet, and without it no vehicle could verify anything.
    """
    version = trust_queries.latest_version(tenant, Repository.DIRECTOR, "root")
    if version == 0:
        raise MetadataVersionNotFoundError(f"The Director of {tenant} has no root yet.", role="root")
    return version
