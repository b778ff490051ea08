"""What grows with every day is deleted once it is as old as its tenant keeps it, some rows at a time."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F, OuterRef, QuerySet, Subquery

from otaserver.audit import operations as audit
from otaserver.campaigns.draft_models import PlanDraft
from otaserver.campaigns.models import HealthReading, LogTail, Report
from otaserver.director.models import Manifest
from otaserver.fleet.arrival_models import FleetImport
from otaserver.privacy import queries, rules
from otaserver.privacy.errors import RetentionRefusedError
from otaserver.tenants.keeping_models import MAX_DAYS, RetentionRule
from otaserver.tenants.models import Tenant

BATCH_ROWS = 1000
Due = Callable[[Tenant, datetime], QuerySet[Any]]


def _old_manifests(tenant: Tenant, before: datetime) -> QuerySet[Any]:
    newest = Manifest.objects.filter(vehicle=OuterRef("vehicle")).order_by("-received_at", "-pk").values("pk")
    last_kept = Subquery(newest[rules.MANIFESTS_KEPT - 1 : rules.MANIFESTS_KEPT])
    rows = Manifest.objects.filter(vehicle__tenant=tenant, received_at__lte=before, installed_images=None)
    return rows.annotate(last_kept=last_kept).filter(pk__lt=F("last_kept"))


DUE: Mapping[str, Due] = {
    "manifests": _old_manifests,
    "reports": lambda tenant, before: Report.objects.filter(
        attempt__assignment__campaign__tenant=tenant,
        attempt__assignment__campaign__finished_at__lte=before,
        received_at__lte=before,
    ),
    "logs": lambda tenant, before: LogTail.objects.filter(attempt__vehicle__tenant=tenant, received_at__lte=before),
    "health": lambda tenant, before: HealthReading.objects.filter(
        assignment__campaign__tenant=tenant, assignment__campaign__finished_at__lte=before, at__lte=before
    ),
    "drafts": lambda tenant, before: PlanDraft.objects.filter(tenant=tenant, changed_at__lte=before),
    "imports": lambda tenant, before: FleetImport.objects.filter(tenant=tenant, finished_at__lte=before),
}


@transaction.atomic
def set_retention(tenant: Tenant, days: Mapping[str, int | None], *, by: str, at: datetime) -> dict[str, int]:
    """Say for how many days some kinds of record are kept, None: as by default; return what then holds for all.

    Raises:
        RetentionRefusedError: there is no such kind, or no such number of days.
    """
    for kind, wanted in days.items():
        if kind not in rules.KINDS:
            raise RetentionRefusedError(f"There is no kind {kind[:40]!r}, only {', '.join(rules.KINDS)}.")
        if wanted is not None and not 1 <= wanted <= MAX_DAYS:
            raise RetentionRefusedError(f"Records are kept for 1 to {MAX_DAYS} days; {wanted} is not.")
    for kind, wanted in days.items():
        if wanted is None:
            RetentionRule.objects.filter(tenant=tenant, kind=kind).delete()
        else:
            RetentionRule.objects.update_or_create(tenant=tenant, kind=kind, defaults={"days": wanted})
    if days:
        audit.record("retention.changed", tenant, tenant=tenant, by=by, at=at, days=dict(days))
    return queries.retention_days(tenant)


def prune_records(tenant: Tenant, *, at: datetime) -> dict[str, int]:
    """Delete what the tenant keeps no longer; return how many rows of each kind. Repeating finds nothing.

    In batches, each a transaction of its own: a tick that is killed has done a part, and the next one does the rest.
    """
    kept = queries.retention_days(tenant)
    return {kind: _delete_in_batches(due, tenant, at - timedelta(days=kept[kind])) for kind, due in DUE.items()}


def _delete_in_batches(due: Due, tenant: Tenant, before: datetime) -> int:
    count = 0
    while batch := list(due(tenant, before).values_list("pk", flat=True)[:BATCH_ROWS]):
        due(tenant, before).model._default_manager.filter(pk__in=batch).delete()
        count += len(batch)
    return count
