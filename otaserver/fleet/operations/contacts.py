"""Contacts that were counted elsewhere, written many at a time."""

import json
from collections.abc import Collection
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from otaserver.fleet.models import Vehicle
from otaserver.fleet.operations.vehicles import CONTACT_RESOLUTION

# On SQLite whoever else writes waits for that long: ten milliseconds or so.
_BATCH = 1000
# In SQL, and all vehicles in one parameter: a thousand of them take Django longer than the database.
_TABLE = Vehicle._meta.db_table
_DUE = "(last_contact_at IS NULL OR last_contact_at <= %(before)s)"
_ON_SQLITE = f"""
    UPDATE {_TABLE} SET last_contact_at = %(at)s WHERE id IN (SELECT value FROM json_each(%(numbers)s)) AND {_DUE}
"""
# In one order everywhere, so that two processes cannot wait for each other. Not joined: rows that were locked are
# updated by their keys, where a join would read the whole table for every thousand of them.
_ON_POSTGRESQL = f"""
    WITH free AS (
        SELECT id FROM {_TABLE} WHERE id = ANY(%(numbers)s) AND {_DUE} ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
    )
    UPDATE {_TABLE} SET last_contact_at = %(at)s WHERE id = ANY(ARRAY(SELECT id FROM free))
"""
_STILL_DUE = f"SELECT id FROM {_TABLE} WHERE id = ANY(%(numbers)s) AND {_DUE}"


def record_contacts(vehicles: Collection[int], *, at: datetime) -> set[int]:
    """Note that vehicles (by their rows' ids) have called, as `record_contact` does for one.

    Return those whose row somebody else holds at this moment, to be tried again: nobody is waited for.
    """
    write = _write_on_postgresql if connection.vendor == "postgresql" else _write_on_sqlite
    numbers, held = sorted(vehicles), set[int]()
    for start in range(0, len(numbers), _BATCH):
        held |= write(numbers[start : start + _BATCH], at)
    return held


@transaction.atomic
def _write_on_postgresql(numbers: list[int], at: datetime) -> set[int]:
    known: dict[str, Any] = {"numbers": numbers, "at": at, "before": at - CONTACT_RESOLUTION}
    with connection.cursor() as cursor:
        cursor.execute(_ON_POSTGRESQL, known)
        if cursor.rowcount == len(numbers):
            return set()
        # What was written is due no longer: what still is, somebody holds.
        cursor.execute(_STILL_DUE, known)
        return {number for (number,) in cursor.fetchall()}


@transaction.atomic
def _write_on_sqlite(numbers: list[int], at: datetime) -> set[int]:
    at_text, before = (connection.ops.adapt_datetimefield_value(each) for each in (at, at - CONTACT_RESOLUTION))
    with connection.cursor() as cursor:
        cursor.execute(_ON_SQLITE, {"numbers": json.dumps(numbers), "at": at_text, "before": before})
    # Nobody can hold a single row here.
    return set()
