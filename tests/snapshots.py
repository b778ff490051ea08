"""What many tests begin with, made once a process: rows and files are laid down again, as they were."""

import copy
import os
import shutil
import tempfile
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from django.apps import apps
from django.db import connection, transaction

from otaserver.fleet.naming_models import Spelling
from otaserver.tenants.change_models import Change
from otaserver.tenants.models import Tenant


@dataclass
class _Snapshot:
    made: Any
    rows: list[tuple[str, list[tuple[Any, ...]]]] = field(default_factory=list)
    files: dict[str, Path] = field(default_factory=dict)  # the copies
    places: dict[str, Path] = field(default_factory=dict)  # where they were, as rows may say


_taken: dict[Hashable, _Snapshot] = {}


def once(key: Hashable, make: Callable[[], Any], *, folders: Mapping[str, Path] | None = None) -> Any:
    """Return what `make` returns, in a database that holds nothing yet; the second time its rows come from the first.

    `folders` are those that it may fill.
    """
    if Tenant.objects.exists():
        return make()
    if key in _taken:
        return _lay_down(_taken[key], folders or {})
    made = make()
    taken = _taken[key] = _Snapshot(copy.deepcopy(made), _rows())
    for name, folder in (folders or {}).items():
        kept = Path(tempfile.mkdtemp(dir=os.environ["OTA_TEST_ROOT"]))
        if folder.exists():
            shutil.copytree(folder, kept, dirs_exist_ok=True)
        taken.files[name], taken.places[name] = kept, folder
    return made


def _rows() -> list[tuple[str, list[tuple[Any, ...]]]]:
    found = []
    with connection.cursor() as cursor:
        for select, insert in _statements():
            cursor.execute(select)
            if rows := cursor.fetchall():
                found.append((insert, rows))
    return found


def _lay_down(taken: _Snapshot, folders: Mapping[str, Path]) -> Any:
    # Rows refer to those of tables further down: what they refer to is looked for at the end.
    with transaction.atomic(), connection.cursor() as cursor:
        for insert, rows in taken.rows:
            cursor.executemany(insert, [[_moved(value, taken, folders) for value in row] for row in rows])
    for name, folder in folders.items():
        shutil.copytree(taken.files[name], folder, dirs_exist_ok=True)
    return copy.deepcopy(taken.made)


def _moved(value: Any, taken: _Snapshot, folders: Mapping[str, Path]) -> Any:
    if isinstance(value, str):
        for name, folder in folders.items():
            value = value.replace(str(taken.places[name]), str(folder))
    return value


@cache
def _statements() -> list[tuple[str, str]]:
    """For each table of the server itself: how its rows are read, and how they are written again."""
    quote = connection.ops.quote_name
    # As text, of which PostgreSQL makes what each column is.
    read = "{}::text" if connection.vendor == "postgresql" else "{}"
    # Spellings the database writes itself, with the vehicles, and so it does changes: also while it is emptied.
    models = [
        model
        for model in apps.get_models(include_auto_created=True)
        if model.__module__.startswith(OWN) and model not in (Spelling, Change)
    ]
    statements = []
    for model in models:
        columns = [quote(column.column) for column in model._meta.concrete_fields if not column.generated]
        table, names = quote(model._meta.db_table), ", ".join(columns)
        select = f"SELECT {', '.join(read.format(column) for column in columns)} FROM {table}"
        statements.append((select, f"INSERT INTO {table} ({names}) VALUES ({', '.join(['%s'] * len(columns))})"))
    return statements


OWN = ("otaserver.", "firmware_store.")
