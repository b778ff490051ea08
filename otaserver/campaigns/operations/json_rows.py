"""Many rows brought to the database in one value: a JSON text, which a statement takes as a table.

A place in the statement for each value costs more than what the statement does: the driver's work grows with them.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
from django.db import connection


def table(columns: Mapping[str, str]) -> str:
    """Return the table `told`, as SQL with one place for the text that `text` makes of rows with these columns.

    Each column comes with its type on PostgreSQL, which refuses there what the stored column would refuse.
    """
    if connection.vendor == "postgresql":
        return f"json_to_recordset(%s::json) AS told({', '.join(f'{name} {kind}' for name, kind in columns.items())})"
    extracted = ", ".join(f"json_extract(value, '$.{name}') AS {name}" for name in columns)
    return f"(SELECT {extracted} FROM json_each(%s)) AS told"


def text(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return these rows as JSON, times as the database keeps or reads them. UUIDs have to come as their hex digits."""
    stored = str if connection.vendor == "postgresql" else _kept
    # As orjson itself writes a time, it loses the seconds of an offset.
    return orjson.dumps(list(rows), default=stored, option=orjson.OPT_PASSTHROUGH_DATETIME).decode()


def uuid(stored: UUID | str) -> UUID:
    """Return a UUID that was read without the ORM: SQLite keeps it as its hex digits."""
    return stored if isinstance(stored, UUID) else UUID(stored)


def time(stored: datetime | None) -> datetime | None:
    """Return a moment that was read without the ORM: SQLite keeps it in UTC, and does not say so."""
    return stored if stored is None or stored.tzinfo is not None else stored.replace(tzinfo=UTC)


def _kept(moment: datetime) -> str:
    return str(connection.ops.adapt_datetimefield_value(moment))
