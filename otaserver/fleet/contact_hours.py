"""The hour of a vehicle's last contact: what an index can be over without being written at every poll.

On PostgreSQL a change of an indexed column writes a new entry into every index of the table; one that no index knows of
writes none (heap-only tuples, README.HOT). So the time itself has no index, and whoever asks for it asks for the hour
beside it.
"""

from datetime import UTC, datetime
from typing import Any

from django.db.models import Func, Q

# What holds of the hours where a time stands so to another.
_OF_HOURS = {"exact": "exact", "lt": "lte", "lte": "lte", "gt": "gte", "gte": "gte"}


class HourOf(Func):
    """The hour in which a time lies, by UTC, as a generated column wants it: of functions that never change."""

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, template="substr(%(expressions)s, 1, 13) || ':00:00'", **context)

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        template = "date_trunc('hour', %(expressions)s AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'"
        return self.as_sql(compiler, connection, template=template, **context)


def hour_of(time: datetime) -> datetime:
    """Return the hour, by UTC, in which a time lies."""
    return time.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def last_contact(lookup: str, value: datetime | list[datetime]) -> Q:
    """Return the vehicles whose last contact stands so to a time: exact, lt, lte, gt, gte, or in for several."""
    exact = Q((f"last_contact_at__{lookup}", value))
    if isinstance(value, list):
        return Q(last_contact_hour__in={hour_of(each) for each in value}) & exact
    return Q((f"last_contact_hour__{_OF_HOURS[lookup]}", hour_of(value))) & exact
