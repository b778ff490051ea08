"""How vehicles are found by how their ids begin or end, whatever the case: from an index, on every database.

The words of an id stand in a table of their own. Indexes on the vehicles themselves would be written with every contact
(PostgreSQL writes all indexes of a row when one of its indexed columns changes).
"""

from collections.abc import Iterator
from typing import Any

from django.db import models
from django.db.backends.ddl_references import Statement, Table
from django.db.models import BaseConstraint, Q

# Of the end of an id so much is kept backwards: more than the 17 characters of a VIN.
TAIL = 20
# Behind every character that an id can have.
_LAST = "\x7f"
_ON_POSTGRESQL = (
    "CREATE FUNCTION %(name)s() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN %(body)s; RETURN NULL; END $$;"
    " CREATE TRIGGER %(name)s AFTER %(event)s ON %(table)s FOR EACH ROW EXECUTE FUNCTION %(name)s()"
)
_ON_SQLITE = "CREATE TRIGGER %(name)s AFTER %(event)s ON %(table)s FOR EACH ROW BEGIN %(body)s; END"
_TABLE = "fleet_spelling"
# SQLite cannot turn a text round, but it counts from its end.
_BACKWARDS = {
    "postgresql": f"reverse(right(upper(NEW.vehicle_id), {TAIL}))",
    "sqlite": f"upper({' || '.join(f'substr(NEW.vehicle_id, -{place}, 1)' for place in range(1, TAIL + 1))})",
}


class ByteOrderedField(models.CharField):  # type: ignore[type-arg]
    """Text in the order of its bytes, so that what begins alike stands together in an index. SQLite has no other."""

    def db_parameters(self, connection: Any) -> Any:
        found = super().db_parameters(connection)
        return {**found, "collation": "C"} if connection.vendor == "postgresql" else found


class Spells(BaseConstraint):
    """Keeps the spelling of each vehicle's id, by whatever way the vehicle comes or is renamed."""

    def constraint_sql(self, model: Any, schema_editor: Any) -> str:
        # No part of CREATE TABLE, but as soon as the table is there; renamed with it where SQLite makes it anew.
        schema_editor.deferred_sql.extend(self._triggers(model, schema_editor))
        return ""

    def create_sql(self, model: Any, schema_editor: Any) -> str:
        return "; ".join(str(each) for each in self._triggers(model, schema_editor))

    def remove_sql(self, model: Any, schema_editor: Any) -> str:
        # On PostgreSQL alone: SQLite makes the table anew instead.
        return "; ".join(f"DROP FUNCTION {self.name}_{event} CASCADE" for event in ("insert", "update"))

    def validate(self, *arguments: Any, **options: Any) -> None:
        """Refuse nothing."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Spells) and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)

    def _triggers(self, model: Any, schema_editor: Any) -> Iterator[Statement]:
        vendor = schema_editor.connection.vendor
        values = f"NEW.tenant_id, upper(NEW.vehicle_id), {_BACKWARDS[vendor]}"
        written = f"INSERT INTO {_TABLE} (vehicle_id, tenant_id, forwards, backwards) VALUES (NEW.id, {values})"
        changed = f"UPDATE {_TABLE} SET (tenant_id, forwards, backwards) = ({values}) WHERE vehicle_id = NEW.id"
        for name, event, body in (
            ("insert", "INSERT", written),
            ("update", "UPDATE OF vehicle_id, tenant_id", changed),
        ):
            yield Statement(
                _ON_POSTGRESQL if vendor == "postgresql" else _ON_SQLITE,
                name=f"{self.name}_{name}",
                event=event,
                table=Table(model._meta.db_table, schema_editor.quote_name),
                body=body,
            )


def begins(field: str, word: str) -> Q:
    """Return the rows whose byte-ordered `field` begins with the word."""
    return Q((f"{field}__gte", word), (f"{field}__lt", word + _LAST))


def id_begins(word: str) -> Q:
    """Return the spellings of ids that begin with the word, in whatever case."""
    return begins("forwards", word.upper())


def id_ends(word: str) -> Q:
    """Return the spellings of ids that end with the word, in whatever case."""
    found = begins("backwards", word.upper()[: -TAIL - 1 : -1])
    return found if len(word) <= TAIL else found & Q(forwards__endswith=word.upper())
