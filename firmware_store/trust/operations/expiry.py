from datetime import datetime, timedelta

from django.db import transaction

from firmware_store.models import ExpiryWarning, RoleMetadata
from firmware_store.states import Repository
from firmware_store.trust import queries, reading
from otaserver.audit import operations as audit

# 0: it has expired, and vehicles refuse it.
WARNING_DAYS = (0, 7, 30, 90)


def warn_of_expiry(*, at: datetime) -> list[ExpiryWarning]:
    """Warn, once each at 90, 30, 7 and 0 days, of metadata that people have to sign anew; return the new warnings.

    Of several thresholds passed at once only the nearest to the end is told. Repeating warns of nothing twice.
    """
    rows = (
        queries.newest_metadata()
        .filter(expires_at__lte=at + timedelta(days=max(WARNING_DAYS)))
        .exclude(repository=Repository.IMAGE, role__in=queries.ONLINE_ROLES[Repository.IMAGE])
        .select_related("tenant")
        .defer("body")
    )
    given = [_warn(row, at=at) for row in rows]
    return [warning for warning in given if warning is not None]


@transaction.atomic
def _warn(row: RoleMetadata, *, at: datetime) -> ExpiryWarning | None:
    days = min(days for days in WARNING_DAYS if row.expires_at <= at + timedelta(days=days))
    warning, is_new = ExpiryWarning.objects.get_or_create(metadata=row, days=days, defaults={"at": at})
    if not is_new:
        return None
    audit.record(
        "metadata.expires_soon" if days else "metadata.expired",
        row,
        tenant=row.tenant,
        by="server",
        at=at,
        days=days,
        expires=reading.utc_text(row.expires_at),
    )
    return warning
