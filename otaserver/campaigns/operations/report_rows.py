"""Writing reports down, many in one statement, and learning which of them were new, and which too many."""

from collections import Counter
from collections.abc import Sequence
from enum import Enum
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection

from otaserver.campaigns.models import Report
from otaserver.campaigns.operations import json_rows
from otaserver.campaigns.operations.told import Told, clean
from otaserver.campaigns.rules import preconditions
from otaserver.campaigns.states import ReportPhase

MAX_MESSAGE_LENGTH = 4000
# An attempt, and a report's id: one that is told again has the same.
Name = tuple[UUID, str]


class Fate(Enum):
    """What became of a report that was to be stored."""

    NEW = "new"
    AGAIN = "again"
    TOO_MANY = "too many"


class Row(NamedTuple):
    """One report, the attempt that it speaks of, and how many of its kind (of its end, or others) are kept of that."""

    attempt: UUID
    told: Told
    limit: int

    @property
    def kind(self) -> tuple[UUID, bool]:
        return self.attempt, self.told.report.phase == ReportPhase.FINISHED

    @property
    def name(self) -> Name:
        return self.attempt, self.told.report.report_id


def store(rows: Sequence[Row]) -> list[Fate]:
    """Store reports, and return what became of each: one that is told again counts once, and is never too many.

    Of one report twice among these the first is new; of two deliveries at once one row remains, new to one of the two.
    The caller has the attempts' assignments locked, so that nobody stores more of them meanwhile.
    """
    first: dict[Name, Row] = {}
    for row in rows:
        first.setdefault(row.name, row)
    new = _insert(list(first.values()))
    missing = [row for name, row in first.items() if name not in new]
    stored = _stored(missing)
    # Room may have been kept for reports that needed none.
    new |= _insert([row for row in missing if row.name not in stored])
    return [_fate(row, new, stored) for row in rows]


def _fate(row: Row, new: set[Name], stored: set[Name]) -> Fate:
    """Return what became of the next report; of those of one name the first counts."""
    if row.name in new:
        new.discard(row.name)
        stored.add(row.name)
        return Fate.NEW
    return Fate.AGAIN if row.name in stored else Fate.TOO_MANY


def _stored(rows: Sequence[Row]) -> set[Name]:
    """Return which of these are stored: that is only asked where some were not inserted."""
    if not rows:
        return set()
    attempts, ids = {row.attempt for row in rows}, {row.told.report.report_id for row in rows}
    return set(Report.objects.filter(attempt__in=attempts, report_id__in=ids).values_list("attempt_id", "report_id"))


def _insert(rows: Sequence[Row]) -> set[Name]:
    """Insert what there is room for and was not there yet, and return which those are."""
    if not rows:
        return set()
    before = Counter[tuple[UUID, bool]]()
    values = []
    for row in rows:
        values.append(_values(row) | {"room": row.limit - before[row.kind]})
        before[row.kind] += 1
    with connection.cursor() as cursor:
        cursor.execute(_insertion(), [json_rows.text(values)])
        return {(json_rows.uuid(attempt), report_id) for attempt, report_id in cursor.fetchall()}


@cache
def _insertion() -> str:
    fields = [field for field in Report._meta.concrete_fields if not field.primary_key]
    columns = {str(field.column): str(field.db_type(connection)) for field in fields}
    names = ", ".join(columns)
    table = Report._meta.db_table
    # What is stored is counted as this statement begins, and so with the lock on it held.
    of_kind = f"(stored.phase = '{ReportPhase.FINISHED}') = (told.phase = '{ReportPhase.FINISHED}')"
    stored = f"SELECT COUNT(*) FROM {table} stored WHERE stored.attempt_id = told.attempt_id AND {of_kind}"
    # Django's own `bulk_create` does not tell which rows were there before.
    return (
        f"INSERT INTO {table} ({names}) SELECT {names} FROM {json_rows.table(columns | {'room': 'integer'})}"
        f" WHERE ({stored}) < told.room ON CONFLICT (attempt_id, report_id) DO NOTHING RETURNING attempt_id, report_id"
    )


def _values(row: Row) -> dict[str, Any]:
    report = row.told.report
    return {
        "attempt_id": row.attempt.hex,
        "report_id": report.report_id,
        "ecu_serial": report.ecu_serial,
        "phase": report.phase,
        "outcome": report.outcome,
        "code": clean(report.code)[:80],
        "message": clean(report.message)[:MAX_MESSAGE_LENGTH],
        "progress": report.progress,
        "measured": preconditions.bounded(report.measured),
        "device_time": report.device_time,
        "received_at": row.told.at,
    }
