"""The packages of a vehicle's order: all that is told of them in one read, and whether it may have them without any."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Aggregate, BooleanField, F, Func, JSONField, OuterRef, QuerySet, Subquery

from firmware_store.models import Package, ReleaseItem
from firmware_store.states import PackageState
from otaserver.campaigns.models import Attempt
from otaserver.campaigns.queries.artifacts import artifact_of
from otaserver.fleet.models import Ecu
from otaserver.fleet.protocol_models import DdiSettings


@dataclass(frozen=True)
class PackageForEcus:
    """One package of an order, and the ECUs that get it. Digests in lower-case hex, `length` in bytes.

    `sha256` names its bytes in `firmware_store.blobs`; `id` is a positive number.
    """

    id: int
    name: str
    version: str
    filename: str
    length: int
    sha256: str
    sha1: str
    md5: str
    published_at: datetime
    artifact: str  # its name, to a client of one artifact at a time
    ecus: Sequence[tuple[str, str]]  # serial and hardware id
    part: str  # how the tenant calls what it is for, to clients of DDI; empty: as everybody does


class IsAnyUnpublished(Func):
    """Whether an attempt's column of packages, by ECU serial, names one that vehicles may not have."""

    output_field = BooleanField()

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, template=_any_unpublished("jsonb_each_text", "bigint"), **context)

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, template=_any_unpublished("json_each", "integer"), **context)


def _any_unpublished(each: str, number: str) -> str:
    return (
        f"EXISTS(SELECT 1 FROM {each}(%(expressions)s) AS told JOIN {Package._meta.db_table} ordered"
        f" ON ordered.id = CAST(told.value AS {number}) WHERE ordered.state <> '{PackageState.PUBLISHED.value}')"
    )


class _Pairs(Aggregate):
    """Two columns of many rows as one JSON object: the second by the first."""

    function = "jsonb_object_agg"
    output_field = JSONField()

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return super().as_sql(compiler, connection, function="json_group_object", **context)


def packages_of(attempt: Attempt) -> list[PackageForEcus]:
    """Return what an attempt orders, in the order of its release. One read."""
    release = attempt.stone_id or attempt.assignment.campaign.release_id
    hardware = Ecu.objects.filter(vehicle=attempt.vehicle_id).order_by().values("vehicle")
    rows: QuerySet[Package, Any] = Package.objects.filter(pk__in=attempt.packages.values()).annotate(
        position=Subquery(ReleaseItem.objects.filter(release=release, package=OuterRef("pk")).values("position")[:1]),
        hardware=Subquery(hardware.annotate(found=_Pairs(F("serial"), F("hardware_id"))).values("found")),
        parts=Subquery(DdiSettings.objects.filter(tenant=OuterRef("tenant")).values("chunk_parts")),
    )
    found = [
        (
            row,
            sorted(
                (serial, (row.hardware or {}).get(serial, ""))
                for serial, pk in attempt.packages.items()
                if pk == row.pk
            ),
        )
        for row in rows
    ]
    in_order = sorted(found, key=lambda pair: (pair[0].position or 0, pair[1]))
    return [_for_ecus(row, ecus) for row, ecus in in_order]


def _for_ecus(row: Any, ecus: Collection[tuple[str, str]]) -> PackageForEcus:
    parts = row.parts or {}
    return PackageForEcus(
        id=row.pk,
        name=row.name,
        version=row.version,
        filename=row.filename,
        length=row.length,
        sha256=row.sha256,
        sha1=row.sha1,
        md5=row.md5,
        published_at=row.published_at or row.created_at,
        artifact=artifact_of(row),
        ecus=list(ecus),
        part=next((parts[hardware_id] for _, hardware_id in ecus if hardware_id in parts), ""),
    )
