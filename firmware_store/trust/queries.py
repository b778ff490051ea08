from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django.db.models import Exists, Max, OuterRef, Q, QuerySet, Subquery

from firmware_store.models import OnlineKey, RoleMetadata
from firmware_store.states import Profile, Repository
from firmware_store.trust import profiles
from firmware_store.trust.contents import RoleKeys, RootContent, TargetsContent
from firmware_store.trust.errors import MetadataNotFoundError, RoleNotDelegatedError, RootMissingError
from otaserver.tenants.models import Tenant

# Which roles of a repository the server signs itself.
ONLINE_ROLES: Mapping[str, tuple[str, ...]] = {
    Repository.DIRECTOR: ("targets", "snapshot", "timestamp"),
    Repository.IMAGE: ("snapshot", "timestamp"),
}
NOT_TARGETS = ("root", "snapshot", "timestamp")


def role_metadata(
    tenant: Tenant | str, repository: str, role: str, profile: str, version: int | None = None
) -> RoleMetadata:
    """Return one version of a role's signed metadata, or the newest, of a tenant or of that of this name.

    Raises:
        MetadataNotFoundError: there is none.
    """
    owner = Q(tenant__name=tenant) if isinstance(tenant, str) else Q(tenant=tenant)
    rows = RoleMetadata.objects.filter(owner, repository=repository, role=role, profile=profile)
    if version is not None:
        rows = rows.filter(version=version)
    found = rows.order_by("-version").first()
    if found is None:
        wanted = role if version is None else f"{version}.{role}"
        raise MetadataNotFoundError(f"The {repository} repository of {tenant} has no {wanted} ({profile}).", role=role)
    return found


def latest_version(tenant: Tenant, repository: str, role: str, profile: str = Profile.TUF) -> int:
    """Return the newest version of a role's metadata, or 0 while there is none; tuf-1.0 is always there."""
    rows = RoleMetadata.objects.filter(tenant=tenant, repository=repository, role=role, profile=profile)
    return rows.aggregate(newest=Max("version"))["newest"] or 0


def newest_root(tenant: OuterRef, repository: str, profile: str) -> Subquery:
    """Return the version of a repository's newest root, as a part of a query about rows of that tenant."""
    roots = RoleMetadata.objects.filter(tenant=tenant, repository=repository, role="root", profile=profile)
    return Subquery(roots.order_by("-version").values("version")[:1])


def owner_and_newest_root(tenant: str, repository: str, profile: str) -> tuple[Tenant, int | None] | None:
    """Return the tenant of this name and the version of its repository's newest root, in one read; None: no tenant."""
    rows = Tenant.objects.filter(name=tenant).annotate(newest=newest_root(OuterRef("pk"), repository, profile))
    found = rows.first()
    return (found, found.newest) if found is not None else None


def newest_metadata(tenant: Tenant | None = None) -> QuerySet[RoleMetadata]:
    """Return the newest version of every role, in the profile tuf-1.0, of one tenant or of all."""
    newer = RoleMetadata.objects.filter(
        tenant=OuterRef("tenant"),
        repository=OuterRef("repository"),
        role=OuterRef("role"),
        profile=OuterRef("profile"),
        version__gt=OuterRef("version"),
    )
    rows = RoleMetadata.objects.filter(~Exists(newer), profile=Profile.TUF)
    return rows if tenant is None else rows.filter(tenant=tenant)


def profiles_of(tenant: Tenant, repository: str) -> tuple[Profile, ...]:
    """Return the profiles that this repository is signed in: those of its first root."""
    rows = RoleMetadata.objects.filter(tenant=tenant, repository=repository, role="root", version=1)
    return tuple(Profile(name) for name in sorted(rows.values_list("profile", flat=True), reverse=True))


def current_root(tenant: Tenant, repository: str) -> RootContent:
    """Return what the newest root states.

    Raises:
        RootMissingError: none was published yet.
    """
    try:
        row = role_metadata(tenant, repository, "root", Profile.TUF)
    except MetadataNotFoundError as error:
        raise RootMissingError(f"The {repository} repository of {tenant} has no root yet; publish it first.") from error
    return profiles.read_root(bytes(row.body), Profile.TUF, is_aktualizr_on=False).content


def current_targets(tenant: Tenant, role: str) -> TargetsContent | None:
    """Return what a targets role of the Image repository (top-level or delegated) states now, or None."""
    try:
        row = role_metadata(tenant, Repository.IMAGE, role, Profile.TUF)
    except MetadataNotFoundError:
        return None
    return profiles.read_targets(bytes(row.body), Profile.TUF, is_aktualizr_on=False).content


def delegated_role(tenant: Tenant, role: str) -> RoleKeys:
    """Return who may sign for a delegated role now.

    Raises:
        RoleNotDelegatedError: the top-level targets do not delegate to it.
    """
    top = current_targets(tenant, "targets")
    keys = (top.delegations or {}).get(role) if top else None
    if keys is None:
        raise RoleNotDelegatedError(f"The targets of {tenant} delegate to no role {role!a}.", role=role)
    return keys


def online_keys(tenant: Tenant, repository: str) -> dict[str, dict[str, Any]]:
    """Return the public key that the next root must list for each online role: the waiting one, else the active."""
    rows = OnlineKey.objects.filter(tenant=tenant, repository=repository, retired_at=None)
    # Active ones first, so that a waiting key of the same role replaces them.
    ordered = sorted(rows, key=lambda row: row.activated_at is None)
    return {row.role: row.public_key for row in ordered}


def trusted_until(tenant: Tenant, roles: Iterable[str]) -> datetime | None:
    """Return when the first offline metadata ends that packages of these release roles need; None if some is missing.

    A campaign that runs longer would lead vehicles to a freeze error.
    """
    wanted = {
        (Repository.DIRECTOR, "root"),
        (Repository.IMAGE, "root"),
        (Repository.IMAGE, "targets"),
        *((Repository.IMAGE, role) for role in roles),
    }
    ends = {
        (row.repository, row.role): row.expires_at
        for row in newest_metadata(tenant).defer("body")
        if (row.repository, row.role) in wanted
    }
    return min(ends.values()) if set(ends) == wanted else None
