"""Rows of which only some columns were read: whatever is asked of the others first reads all of them at once."""

from collections.abc import Iterable, Mapping
from typing import Any, Self

from django.db import DEFAULT_DB_ALIAS, models


class Deferring(models.Model):
    """A model whose rows may come in parts (`part`), as with `QuerySet.only`, at one more read at most."""

    class Meta:
        abstract = True

    @classmethod
    def part(cls, values: Mapping[str, Any]) -> Self:
        """Return a row of which these values are known, by the names of their columns' attributes, its id among them.

        What is known may be older than the row is by now; the rest is read when it is asked for.
        """
        names = [field.attname for field in cls._meta.concrete_fields if field.attname in values]
        return cls.from_db(DEFAULT_DB_ALIAS, names, [values[name] for name in names])

    def fill(self, row: Self) -> None:
        """Take over what is not known here from the same row as it was just read."""
        for name in self.get_deferred_fields():
            if name in row.__dict__:
                self.__dict__[name] = row.__dict__[name]

    def refresh_from_db(
        self, using: str | None = None, fields: Iterable[str] | None = None, from_queryset: Any = None
    ) -> None:
        """Read fields anew, as Django does; where one of them was not known, with it all that are not."""
        unknown = self.get_deferred_fields()
        wanted = None if fields is None else set(fields)
        if wanted is not None and wanted & unknown:
            wanted |= unknown
        super().refresh_from_db(using=using, fields=wanted, from_queryset=from_queryset)
