"""What PostgreSQL is told of each table that is written all the time (docs/postgresql.md)."""

from collections.abc import Iterator, Mapping

from django.db import connection
from django.db.models import Model

from otaserver.campaigns.models import Assignment, Attempt, HealthReading, Report
from otaserver.director.models import Direction, InstalledImage, Manifest, VehicleMetadata
from otaserver.events.models import Delivery, Event
from otaserver.fleet.models import Ecu, Vehicle

Parameters = Mapping[str, str]

# Rows that change again and again. By default a table is cleaned when a fifth of it is dead: of ten million vehicles
# two million rows at once. Room is left on each page, so that a new version of a row can lie beside the old.
_CHANGING: Parameters = {
    "autovacuum_vacuum_scale_factor": "0.01",
    "autovacuum_vacuum_threshold": "1000",
    "autovacuum_analyze_scale_factor": "0.02",
    "autovacuum_vacuum_cost_limit": "2000",
    "fillfactor": "85",
}
# Rows that are only added, and deleted in batches when they are old: what plans go by must keep up with them, and pages
# that are marked as visible to all spare reading them.
_GROWING: Parameters = {
    "autovacuum_vacuum_insert_scale_factor": "0.05",
    "autovacuum_vacuum_scale_factor": "0.05",
    "autovacuum_analyze_scale_factor": "0.02",
}
TABLES: Mapping[type[Model], Parameters] = {
    **dict.fromkeys((Vehicle, Ecu, VehicleMetadata, Direction, Assignment, Attempt, Delivery), _CHANGING),
    **dict.fromkeys((Report, Manifest, InstalledImage, HealthReading, Event), _GROWING),
}


def tune() -> Iterator[str]:
    """Set the parameters of every table that has others, and yield which; repeating it sets nothing.

    It takes no lock that reading or writing waits for, and changes no row: what is written from then on is.
    """
    for model, wanted in TABLES.items():
        table = model._meta.db_table
        if not wanted.items() <= parameters_of(table).items():
            said = ", ".join(f"{name} = {value}" for name, value in wanted.items())
            with connection.cursor() as cursor:
                cursor.execute(f"ALTER TABLE {connection.ops.quote_name(table)} SET ({said})")
            yield f"{table}: {said}"


def parameters_of(table: str) -> dict[str, str]:
    """Return what is set for a table beyond the defaults."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT unnest(reloptions) FROM pg_class WHERE oid = %s::regclass", [table])
        return dict(row[0].split("=", 1) for row in cursor.fetchall())
