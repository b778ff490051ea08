"""What a migration may do while the version before it still runs (docs/migrations.md)."""

from collections.abc import Iterator
from typing import Any

from django.db import connection, migrations
from django.db.migrations.operations.base import Operation
from django.db.models import NOT_PROVIDED, Field, UniqueConstraint

from otaserver.online_migrations import AddConstraintNotValid, AddIndexConcurrently

CONTRACT = "_contract_"
_RENAMES = (migrations.RenameField, migrations.RenameModel, migrations.AlterModelTable)
_REMOVALS = (migrations.RemoveField, migrations.DeleteModel)
_DATA = (migrations.RunPython, migrations.RunSQL)


def problems(migration: migrations.Migration, before: Any) -> Iterator[str]:
    """Yield why a migration may not run beside the version before it; `before` is the state that it begins with."""
    made: set[str] = set()
    for operation in migration.operations:
        if isinstance(operation, migrations.CreateModel):
            made.add(operation.name_lower)
        if getattr(operation, "model_name_lower", None) in made:
            continue  # nobody uses a table that is only being made
        yield from _problems(migration, operation, before)
    if any(isinstance(each, _DATA) for each in migration.operations) and len(migration.operations) > 1:
        yield "changes rows beside something else: alone, so that it can be repeated"


def _problems(migration: migrations.Migration, operation: Operation, before: Any) -> Iterator[str]:
    is_contract = CONTRACT in migration.name
    if isinstance(operation, _RENAMES):
        yield "renames: add the new one, copy, and remove the old one a release later"
    elif isinstance(operation, _REMOVALS) and not is_contract:
        yield f"removes what the version before reads: a release later, in a migration named {CONTRACT}"
    elif isinstance(operation, migrations.AddField):
        if not _can_be_left_out(operation.field):
            yield "adds a column that rows of the version before lack: null=True or db_default"
        elif _is_indexed(operation.field):
            yield "builds the index of a new column under a lock: db_index=False, then AddIndexConcurrently"
    elif isinstance(operation, migrations.AlterField):
        if not is_contract and _is_changed(migration, operation, before):
            yield f"changes a column in the database: in a migration named {CONTRACT}, or as a new column"
    elif isinstance(operation, migrations.AddIndex):
        if not isinstance(operation, AddIndexConcurrently):
            yield "builds an index under a lock: online_migrations.AddIndexConcurrently"
        elif migration.atomic:
            yield "builds an index concurrently inside a transaction: atomic = False"
    elif isinstance(operation, migrations.AddConstraint):
        yield from _constraint_problems(operation)
    elif isinstance(operation, migrations.RunPython) and operation.reverse_code is None:
        yield "changes rows and cannot be taken back: RunPython.noop at least"


def _constraint_problems(operation: migrations.AddConstraint) -> Iterator[str]:
    if isinstance(operation.constraint, UniqueConstraint):
        yield "adds a unique constraint under a lock: with a new table, or not at all"
    elif not isinstance(operation, AddConstraintNotValid):
        yield "checks all rows under a lock: online_migrations.AddConstraintNotValid, then ValidateConstraint"


def _can_be_left_out(field: Field) -> bool:
    return field.many_to_many or field.null or field.db_default is not NOT_PROVIDED


def _is_indexed(field: Field) -> bool:
    """Return whether the column comes with an index, as each foreign key does that is not told otherwise."""
    return not field.many_to_many and (field.db_index or field.unique)


def _is_changed(migration: migrations.Migration, operation: migrations.AlterField, before: Any) -> bool:
    old = before.models[migration.app_label, operation.model_name_lower].fields[operation.name]
    for field in (old, operation.field):
        field.set_attributes_from_name(operation.name)
    return bool(connection.schema_editor()._field_should_be_altered(old, operation.field))
