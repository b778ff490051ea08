"""Triggers that write a row of `Change` in the transaction that changes something, by whatever way it is changed.

Declared among a model's constraints, so that migrations carry them; carried out by the database, so that no operation,
import or statement typed by hand can forget it.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from django.db.backends.ddl_references import Statement, Table
from django.db.models import BaseConstraint

_TABLE = "tenants_change"
# By vendor: the time, the number of the transaction, and how two values that may be null are found to differ.
_WORDS = {
    "postgresql": ("clock_timestamp()", "pg_current_xact_id()::text::bigint", "IS DISTINCT FROM"),
    "sqlite": ("strftime('%Y-%m-%d %H:%M:%f', 'now')", "0", "IS NOT"),
}
_ON_POSTGRESQL = (
    "CREATE FUNCTION %(name)s() RETURNS trigger LANGUAGE plpgsql AS"
    " $$ BEGIN %(insert)s; RETURN NULL; END $$;"
    " CREATE TRIGGER %(name)s AFTER %(event)s ON %(table)s FOR EACH ROW %(when)s EXECUTE FUNCTION %(name)s()"
)
_ON_SQLITE = "CREATE TRIGGER %(name)s AFTER %(event)s ON %(table)s FOR EACH ROW %(when)s BEGIN %(insert)s; END"


class Tells(BaseConstraint):
    """Tells whoever keeps answers that a row has come, gone, or changed in one of the fields `updates`.

    `vehicle` and `tenant` are SQL for what the change concerns, `where` for the rows that matter; `{row}` is the row.
    A change in one of the fields `identity`, which are some of `updates`, is one in who it is that calls, and so is it
    where such a row goes.
    """

    def __init__(
        self,
        *,
        name: str,
        vehicle: str = "NULL",
        tenant: str = "NULL",
        inserts: bool = False,
        updates: Sequence[str] = (),
        deletes: bool = False,
        identity: Sequence[str] = (),
        where: str = "",
    ) -> None:
        super().__init__(name=name)
        self.vehicle, self.tenant, self.where = vehicle, tenant, where
        self.inserts, self.updates, self.deletes = inserts, tuple(updates), deletes
        self.identity = tuple(identity)

    def constraint_sql(self, model: Any, schema_editor: Any) -> str:
        # No part of CREATE TABLE, but as soon as the table is there; renamed with it where SQLite makes it anew.
        schema_editor.deferred_sql.extend(self._triggers(model, schema_editor))
        return ""

    def create_sql(self, model: Any, schema_editor: Any) -> str:
        return "; ".join(str(each) for each in self._triggers(model, schema_editor))

    def remove_sql(self, model: Any, schema_editor: Any) -> str:
        # On PostgreSQL alone: SQLite makes the table anew instead.
        return "; ".join(f"DROP FUNCTION {self.name}_{event.lower()} CASCADE" for event, _ in self._events())

    def validate(self, *arguments: Any, **options: Any) -> None:
        """Refuse nothing."""

    def deconstruct(self) -> tuple[str, Sequence[Any], dict[str, Any]]:
        path, arguments, options = super().deconstruct()
        return path, arguments, options | self._stated()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tells) and (self.name, self._stated()) == (other.name, other._stated())

    def __hash__(self) -> int:
        return hash(self.name)

    def _stated(self) -> dict[str, Any]:
        return {
            "vehicle": self.vehicle,
            "tenant": self.tenant,
            "inserts": self.inserts,
            "updates": self.updates,
            "deletes": self.deletes,
            "identity": self.identity,
            "where": self.where,
        }

    def _events(self) -> Iterator[tuple[str, str]]:
        for event, row, is_told in (
            ("INSERT", "NEW", self.inserts),
            ("UPDATE", "NEW", bool(self.updates)),
            ("DELETE", "OLD", self.deletes),
        ):
            if is_told:
                yield event, row

    def _triggers(self, model: Any, schema_editor: Any) -> Iterator[Statement]:
        vendor = schema_editor.connection.vendor
        now, transaction, differs_from = _WORDS[vendor]

        def columns(fields: Sequence[str]) -> list[str]:
            return [schema_editor.quote_name(model._meta.get_field(field).column) for field in fields]

        def differs(fields: Sequence[str]) -> str:
            return " OR ".join(f"OLD.{column} {differs_from} NEW.{column}" for column in columns(fields))

        for event, row in self._events():
            conditions = [self.where.format(row=row)] if self.where else []
            is_identity = str(bool(self.identity) and event == "DELETE")
            if event == "UPDATE":
                conditions.append(differs(self.updates))
                is_identity = differs(self.identity) or is_identity
            yield Statement(
                _ON_POSTGRESQL if vendor == "postgresql" else _ON_SQLITE,
                name=f"{self.name}_{event.lower()}",
                event=f"UPDATE OF {', '.join(columns(self.updates))}" if event == "UPDATE" else event,
                table=Table(model._meta.db_table, schema_editor.quote_name),
                when=f"WHEN (({') AND ('.join(conditions)}))" if conditions else "",
                insert=f"INSERT INTO {_TABLE} (tenant, vehicle, is_identity, written_in, at)"
                f" VALUES ({self.tenant}, {self.vehicle}, {is_identity}, {transaction}, {now})".format(row=row),
            )
