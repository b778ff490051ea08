"""Writing reports down, many in one statement, and learning which of them were new."""

from collections.abc import Sequence
from functools import cache
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Count, Q

from otaserver.campaigns.models import Report
from otaserver.campaigns.operations import json_rows
from otaserver.campaigns.operations.told import Told, clean
from otaserver.campaigns.rules import preconditions
from otaserver.campaigns.states import ReportPhase

MAX_MESSAGE_LENGTH = 4000


def insert(rows: Sequence[tuple[UUID, Told]]) -> list[bool]:
    """Store reports with the attempts that they speak of; return of each whether it was not there yet.

    Of one report twice among these the first is new; of two deliveries at once one row remains, new to one of the two.
    """
    if not rows:
        return []
    values = json_rows.text(_row(attempt, told) for attempt, told in rows)
    with connection.cursor() as cursor:
        cursor.execute(_insertion(), [values])
        if connection.vendor == "postgresql" and cursor.rowcount == len(rows):
            return [True] * len(rows)
        new = {(json_rows.uuid(attempt), report_id) for attempt, report_id in cursor.fetchall()}
    return [_is_taken(new, (attempt, told.report.report_id)) for attempt, told in rows]


def counts(attempt: UUID) -> tuple[int, int]:
    """Return how many reports are stored of an attempt: of its end, and others."""
    is_end = Q(phase=ReportPhase.FINISHED)
    found = Report.objects.filter(attempt=attempt).aggregate(
        ends=Count("pk", filter=is_end), others=Count("pk", filter=~is_end)
    )
    return found["ends"], found["others"]


@cache
def _insertion() -> str:
    fields = [field for field in Report._meta.concrete_fields if not field.primary_key]
    columns = {str(field.column): str(field.db_type(connection)) for field in fields}
    names = ", ".join(columns)
    # Django's own `bulk_create` does not tell which rows were there before. SQLite needs the WHERE to tell the
    # conflict from a join.
    return (
        f"INSERT INTO {Report._meta.db_table} ({names}) SELECT {names} FROM {json_rows.table(columns)} WHERE true"
        " ON CONFLICT (attempt_id, report_id) DO NOTHING RETURNING attempt_id, report_id"
    )


def _row(attempt: UUID, told: Told) -> dict[str, Any]:
    report = told.report
    return {
        "attempt_id": attempt.hex,
        "report_id": report.report_id,
        "ecu_serial": report.ecu_serial,
        "phase": report.phase,
        "outcome": report.outcome,
        "code": clean(report.code)[:80],
        "message": clean(report.message)[:MAX_MESSAGE_LENGTH],
        "progress": report.progress,
        "measured": preconditions.bounded(report.measured),
        "device_time": report.device_time,
        "received_at": told.at,
    }


def _is_taken(new: set[tuple[UUID, str]], named: tuple[UUID, str]) -> bool:
    is_new = named in new
    new.discard(named)
    return is_new
