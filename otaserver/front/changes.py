"""What has changed, read from the database a few times a second: each change once, and none left out."""

import time
from array import array
from datetime import timedelta
from typing import Any

from django.db import connection

from otaserver.tenants.change_models import KEPT_FOR, Change

# A change is in force in every process at most so long after it was committed: what was read before is not believed.
CURRENT_SECONDS = 1.0
# Beyond so many at a time everything has changed.
MOST = 50_000
# Vehicles share slots; one that changes lets go of the answers to the few others in its own.
_SLOTS = 2**20
_MASK = _SLOTS - 1
# Who they are changes far less often, and few are kept by it.
_IDENTITY_SLOTS = 2**16
_IDENTITY_MASK = _IDENTITY_SLOTS - 1
_TABLE = Change._meta.db_table
_LONGEST_SILENCE = KEPT_FOR / 2
# What is visible to a statement, and what changes it can see that the one before could not: numbers of transactions
# from its end on, or those that were under way then. So no change is missed whose transaction ended late. The first
# column is another one when the server was started anew or the table put in its place again, as a restore does: numbers
# of before mean nothing then.
_ON_POSTGRESQL = f"""
    SELECT seen.home, seen.snapshot, told.tenant, told.vehicle, told.is_identity
    FROM (
        SELECT concat(pg_postmaster_start_time(), '{_TABLE}'::regclass::oid) AS home,
            pg_current_snapshot()::text AS snapshot
    ) seen
    LEFT JOIN (
        SELECT tenant, vehicle, is_identity FROM {_TABLE} WHERE written_in >= %s OR written_in = ANY(%s) LIMIT %s
    ) told ON true
"""
# Here transactions write one after another, so that rows are numbered in the order in which they are committed. Numbers
# are given once, so that the highest falls in a database alone that was restored.
_ON_SQLITE = f"""
    SELECT seen.highest, told.id, told.tenant, told.vehicle, told.is_identity
    FROM (SELECT coalesce(max(seq), 0) AS highest FROM sqlite_sequence WHERE name = '{_TABLE}') seen
    LEFT JOIN (
        SELECT id, tenant, vehicle, is_identity FROM {_TABLE} WHERE id > %s ORDER BY id LIMIT %s
    ) told ON true
"""

_Told = list[tuple[int | None, int | None, bool | None]]


class Changes:
    """Says of an answer that was begun at some `count` whether anything told of its owner or tenant since."""

    def __init__(self) -> None:
        # Raised with each reading that brings something; 0 before the first reading.
        self.count = 0
        self._read_at: float | None = None
        self._vehicles = array("I", bytes(4 * _SLOTS))
        self._identities = array("I", bytes(4 * _IDENTITY_SLOTS))
        self._tenants: dict[int, int] = {}
        self._everything = 0
        self._after: Any = None

    def is_current(self) -> bool:
        """Return whether what was read is recent enough to be believed."""
        return self._read_at is not None and _seconds() - self._read_at < CURRENT_SECONDS

    def has_changed(self, owner: int, tenant: int, since: int) -> bool:
        """Return whether anything of this owner or tenant has changed since `count` was this."""
        return since < self._vehicles[owner & _MASK] or since < self._tenants.get(tenant, 0) or since < self._everything

    def has_identity_changed(self, owner: int, tenant: int, since: int) -> bool:
        """Return whether anything of who this vehicle is, or of its tenant, has changed since `count` was this."""
        identities = self._identities
        return (
            since < identities[owner & _IDENTITY_MASK]
            or since < self._tenants.get(tenant, 0)
            or since < self._everything
        )

    def read(self) -> None:
        """Read what has changed since the last time. An error leaves everything as it is."""
        began = _seconds()
        told, is_other = _read_on_postgresql(self) if connection.vendor == "postgresql" else _read_on_sqlite(self)
        was_away = self._read_at is None or timedelta(seconds=began - self._read_at) > _LONGEST_SILENCE
        if told or was_away or is_other:
            self._note(told, is_everything=was_away or is_other or len(told) >= MOST)
        self._read_at = began

    def _note(self, told: _Told, *, is_everything: bool) -> None:
        count = self.count + 1
        if is_everything:
            self._everything = count
        for tenant, vehicle, is_identity in told:
            if vehicle is not None:
                self._vehicles[vehicle & _MASK] = count
                if is_identity:
                    self._identities[vehicle & _IDENTITY_MASK] = count
            elif tenant is not None:
                self._tenants[tenant] = count
        # Last: an answer that is begun before this counts as older than what was read.
        self.count = count


def _seconds() -> float:
    # Unlike the monotonic clock it goes on while a machine is suspended: what was read before that is old afterwards.
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _read_on_postgresql(changes: Changes) -> tuple[_Told, bool]:
    home, end, under_way = changes._after or ("", 2**62, [])
    with connection.cursor() as cursor:
        cursor.execute(_ON_POSTGRESQL, [end, under_way, MOST])
        rows = cursor.fetchall()
    # xmin:xmax:those between that are under way (functions-info, "pg_snapshot Components").
    _, end, between = rows[0][1].split(":")
    changes._after = (rows[0][0], int(end), [int(number) for number in between.split(",") if number])
    told = [each[2:] for each in rows if each[2] is not None or each[3] is not None]
    return told, home != rows[0][0]


def _read_on_sqlite(changes: Changes) -> tuple[_Told, bool]:
    after = changes._after
    with connection.cursor() as cursor:
        cursor.execute(_ON_SQLITE, [2**62 if after is None else after, MOST])
        rows = cursor.fetchall()
    highest, last = rows[0][0], rows[-1][1]
    is_other = after is None or highest < after
    changes._after = last or (highest if is_other else after)
    return [each[2:] for each in rows if each[1] is not None], is_other
