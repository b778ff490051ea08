"""Queries that Django makes into SQL once, for what every request asks: that takes longer than the database does."""

import copy
import threading
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any, Generic, TypeVar
from uuid import UUID

from django.db import connection
from django.db.models import Model, QuerySet
from django.db.models.query import ModelIterable

# Stand for the values that a query is asked with later. No other value in a query is like them; Django leaves a number
# out that its column could not hold.
_NUMBER, _ID = 2_086_420_137, UUID(int=2**127 + 2**40)
M = TypeVar("M", bound=Model)


class Prepared(Generic[M]):
    """A query for rows of a model, made with values that are given each time: whole numbers and UUIDs, by their names.

    `make` gets a stand-in for each of `numbers` and `ids`, and may do nothing but compare columns with it. Numbers have
    to be some that the column can hold.
    """

    def __init__(
        self, make: Callable[..., QuerySet[M, Any]], *, numbers: tuple[str, ...] = (), ids: tuple[str, ...] = ()
    ):
        self._make = make
        self._stand_ins: dict[str, Any] = {name: _NUMBER + place for place, name in enumerate(numbers)}
        self._stand_ins |= {name: UUID(int=_ID.int + place) for place, name in enumerate(ids)}
        self._compiled: tuple[Any, str, list[str | None], tuple[Any, ...]] | None = None
        self._lock = threading.Lock()

    def rows(self, **values: Any) -> list[M]:
        """Ask it with these values, and return what `list` returns of the query."""
        kept, sql, bound = self._bound(values)
        compiler = copy.copy(kept)
        compiler.connection = connection
        compiler.as_sql = lambda *_, **__: (sql, bound)
        # All that is asked of a query set to make its rows.
        query = SimpleNamespace(get_compiler=lambda using: compiler)
        asked: Any = SimpleNamespace(db=connection.alias, query=query, _known_related_objects={})
        return list(ModelIterable(asked))

    def stored(self, **values: Any) -> list[tuple[Any, ...]]:
        """Ask a query for some columns, and return them as the database has them: nothing is converted."""
        _, sql, bound = self._bound(values)
        with connection.cursor() as cursor:
            cursor.execute(sql, bound)
            found: list[tuple[Any, ...]] = cursor.fetchall()
        return found

    def _bound(self, values: Mapping[str, Any]) -> tuple[Any, str, tuple[Any, ...]]:
        kept, sql, names, parameters = self._compile()
        given = {name: _stored(value) for name, value in values.items()}
        pairs = zip(names, parameters, strict=True)
        return kept, sql, tuple(parameter if name is None else given[name] for name, parameter in pairs)

    def _compile(self) -> tuple[Any, str, list[str | None], tuple[Any, ...]]:
        with self._lock:
            if self._compiled is None:
                compiler = self._make(**self._stand_ins).query.get_compiler(using=connection.alias)
                sql, parameters = compiler.as_sql()
                by_value = {_stored(value): name for name, value in self._stand_ins.items()}
                names = [by_value.get(each) if isinstance(each, int | str | UUID) else None for each in parameters]
                if not set(names) >= set(self._stand_ins):
                    raise ValueError(f"The query compares nothing with {set(self._stand_ins) - set(names)}.")
                self._compiled = compiler, sql, names, tuple(parameters)
            return self._compiled


def _stored(value: Any) -> Any:
    # As a UUID's column takes it.
    return value.hex if isinstance(value, UUID) and not connection.features.has_native_uuid_field else value
