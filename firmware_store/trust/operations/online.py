from datetime import datetime

from django.db import transaction

from firmware_store.models import RoleMetadata
from firmware_store.states import Profile, Repository
from firmware_store.trust import publication, queries
from firmware_store.trust.errors import MetadataNotFoundError
from otaserver.tenants.models import Tenant


def refresh_online(tenant: Tenant, *, at: datetime) -> bool:
    """Sign the Image repository's snapshot and timestamp anew where less than a quarter of their life is left.

    Returns whether it did; a tenant without an Image repository has nothing to refresh. Repeating changes nothing.
    """
    # Looked at without the lock first: nearly always nothing is due.
    if not any(_is_due(row, at=at) for row in _online_rows(tenant)):
        return False
    with transaction.atomic():
        publication.lock(tenant)
        due = [row.role for row in _online_rows(tenant) if _is_due(row, at=at)]
        if "snapshot" in due:
            publication.make_snapshot(tenant, at=at)
        elif due:
            publication.make_timestamp(tenant, at=at)
    return bool(due)


def _online_rows(tenant: Tenant) -> list[RoleMetadata]:
    try:
        return [
            queries.role_metadata(tenant, Repository.IMAGE, role, Profile.TUF)
            for role in queries.ONLINE_ROLES[Repository.IMAGE]
        ]
    except MetadataNotFoundError:
        return []


def _is_due(row: RoleMetadata, *, at: datetime) -> bool:
    life = publication.SNAPSHOT_LIFE if row.role == "snapshot" else publication.TIMESTAMP_LIFE
    return row.expires_at - at < life / 4
