"""Writing reports down, many in one statement, and learning which of them were new."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db import connection

from otaserver.campaigns.models import Report
from otaserver.campaigns.operations.told import Told, clean
from otaserver.campaigns.rules import preconditions

MAX_MESSAGE_LENGTH = 4000
# SQLite takes 32,766 values in a statement; a report has eleven.
_CHUNK = 1000
_FIELDS = [field for field in Report._meta.concrete_fields if not field.primary_key]


def insert(rows: Sequence[tuple[UUID, Told]]) -> set[tuple[UUID, str]]:
    """Store reports with the attempts that they speak of; return those (attempt, report id) that were not there yet.

    Of two deliveries at once one row remains, and it is new to one of the two.
    """
    new: set[tuple[UUID, str]] = set()
    for start in range(0, len(rows), _CHUNK):
        new |= _inserted(rows[start : start + _CHUNK])
    return new


def _inserted(rows: Sequence[tuple[UUID, Told]]) -> set[tuple[UUID, str]]:
    quote = connection.ops.quote_name
    columns = ", ".join(quote(str(field.column)) for field in _FIELDS)
    place = f"({', '.join(['%s'] * len(_FIELDS))})"
    # Django's own `bulk_create` does not tell which rows were there before.
    statement = (
        f"INSERT INTO {quote(Report._meta.db_table)} ({columns}) VALUES {', '.join([place] * len(rows))}"
        f" ON CONFLICT (attempt_id, report_id) DO NOTHING RETURNING attempt_id, report_id"
    )
    values = [value for attempt, told in rows for value in _values(attempt, told)]
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        # SQLite keeps a UUID as its text.
        return {(each if isinstance(each, UUID) else UUID(each), report_id) for each, report_id in cursor.fetchall()}


def _values(attempt: UUID, told: Told) -> list[Any]:
    report = told.report
    row = Report(
        attempt_id=attempt,
        report_id=report.report_id,
        ecu_serial=report.ecu_serial,
        phase=report.phase,
        outcome=report.outcome,
        code=clean(report.code)[:80],
        message=clean(report.message)[:MAX_MESSAGE_LENGTH],
        progress=report.progress,
        measured=preconditions.bounded(report.measured),
        device_time=report.device_time,
        received_at=told.at,
    )
    return [field.get_db_prep_save(getattr(row, field.attname), connection) for field in _FIELDS]
