"""A database that is older than what vehicles have seen becomes one that they go on with."""

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import Max

from firmware_store import operations as store
from firmware_store.models import RoleMetadata
from firmware_store.states import Repository
from firmware_store.trust import operations as trust
from firmware_store.trust import outside
from otaserver.audit import operations as audit
from otaserver.campaigns import operations as campaigns
from otaserver.director.models import VehicleMetadata
from otaserver.fleet.models import Vehicle
from otaserver.recovery import rules
from otaserver.recovery.errors import MarkMissingError, VersionRefusedError
from otaserver.tenants.change_models import Change
from otaserver.tenants.models import Tenant

ACTOR = "restore"


@dataclass(frozen=True)
class Recovered:
    """What was done for one tenant: above which number versions go on, what was taken back, who is asked."""

    tenant: str
    floor: int
    adopted: list[str]
    packages: store.Followed
    vehicles: int


def recover(*, above: int | None = None, at: datetime) -> list[Recovered]:
    """Make a restored database good for vehicles that have seen later ones; return what was done, by tenant.

    Of every tenant: versions of online metadata and numbers of attempts go on above whatever was given out; what people
    have signed since is taken back from beside the online keys, and packages follow it; vehicles are asked what they
    run, and assignments are reconciled. `above` is a version known to be the highest, where nothing noted it. No other
    process may use the database meanwhile. Repeating raises versions again, and does no harm.

    Raises:
        MarkMissingError: nothing outside the database says which versions were given out, and `above` does not either.
        VersionRefusedError: versions would leave the range that all clients read.
        OnlineKeyMissingError: an online key that was made since is not here.
    """
    # Told in another database, by numbers that mean nothing in this one.
    Change.objects.all().delete()
    recovered = [_recover(tenant, above, at) for tenant in Tenant.objects.order_by("pk")]
    campaigns.sweep(at)
    outside.note_restored()
    return recovered


def unknown_tenants() -> list[str]:
    """Return the tenants that were signed for and are not in this database: they were opened after it was copied."""
    return sorted(outside.tenants_noted() - set(Tenant.objects.values_list("name", flat=True)))


@transaction.atomic
def _recover(tenant: Tenant, above: int | None, at: datetime) -> Recovered:
    tenant.version_floor = _floor(tenant, above)
    Tenant.objects.filter(pk=tenant.pk).update(version_floor=tenant.version_floor)
    for repository in Repository:
        # For the next restore, be it of the same database.
        outside.note_issued(tenant, repository, tenant.version_floor)
    # Each vehicle's are signed anew when it asks, the first time above the floor.
    VehicleMetadata.objects.filter(vehicle__tenant=tenant).delete()
    adopted = trust.adopt_published(tenant, at=at)
    packages = store.follow_metadata(tenant, at=at)
    asked = Vehicle.objects.filter(tenant=tenant, enrolled_at__isnull=False).update(is_manifest_wanted=True)
    audit.record(
        "server.restored",
        tenant,
        tenant=tenant,
        by=ACTOR,
        at=at,
        floor=tenant.version_floor,
        adopted=adopted,
        packages_published=list(packages.published),
        packages_withdrawn=list(packages.withdrawn),
        packages_missing=list(packages.missing),
        vehicles=asked,
    )
    return Recovered(tenant.name, tenant.version_floor, adopted, packages, asked)


def _floor(tenant: Tenant, above: int | None) -> int:
    marks = [outside.highest_issued(tenant, repository) for repository in Repository]
    stored = _stored_versions(tenant)
    if any(stored) and not any(marks) and above is None:
        raise MarkMissingError(
            f"Nothing beside the online keys says which versions of {tenant}'s metadata were given out: bring back "
            f"{outside.folder(tenant.name) / 'issued'}, or say the highest (--above).",
            tenant=tenant.name,
        )
    seen = [*marks, *stored, tenant.version_floor, above or 0]
    floor = rules.floor_above(seen)
    if floor is None:
        raise VersionRefusedError(
            f"Versions above {max(seen)} are more than all clients read; at most {rules.HIGHEST} was given out.",
            above=max(seen),
        )
    return floor


def _stored_versions(tenant: Tenant) -> list[int]:
    directed = VehicleMetadata.objects.filter(vehicle__tenant=tenant).aggregate(highest=Max("timestamp_version"))
    online = RoleMetadata.objects.filter(
        tenant=tenant, repository=Repository.IMAGE, role__in=("snapshot", "timestamp")
    ).aggregate(highest=Max("version"))
    return [directed["highest"] or 0, online["highest"] or 0]
