"""JSON from outside: standard, and such that every database keeps it as it came.

SQLite takes no infinite number in a JSON column and PostgreSQL no text with NUL or half a surrogate pair; both, and
whoever writes the document out again, give up where it nests too deeply.
"""

import json
import math
import re
from collections.abc import Iterator
from typing import Any

MAX_DEPTH = 50
# As many as the largest double has; Python itself reads no more than 4300.
MAX_DIGITS = 309
_SURROGATE = re.compile("[\ud800-\udfff]")


class UnstorableError(ValueError):
    """The document cannot be kept as it is; the message says why, as the end of a sentence."""


def parse(data: bytes) -> Any:
    """Return the JSON document in `data`, which is UTF-8 and names no member of an object twice.

    Numbers that no database takes come as infinite or as not a number: for `refuse_unbounded`, so that it is known
    which part of the document they are in.

    Raises:
        ValueError: it is not JSON; a `json.JSONDecodeError` says where.
    """
    try:
        return json.loads(data.decode("utf-8"), parse_int=_integer, object_pairs_hook=_unique_members)
    except RecursionError as error:
        raise UnstorableError(f"it nests deeper than {MAX_DEPTH}") from error


def refuse_unbounded(document: Any) -> None:
    """Refuse a parsed document with numbers that are not finite, or nested deeper than MAX_DEPTH.

    Raises:
        UnstorableError: it is such a document.
    """
    for value in _values(document):
        _refuse_number(value)


def refuse_unstorable(document: Any) -> None:
    """Refuse what `refuse_unbounded` does, and texts with NUL or half a surrogate pair.

    Raises:
        UnstorableError: it is such a document.
    """
    for value in _values(document):
        _refuse_number(value)
        if isinstance(value, str) and ("\0" in value or (not value.isascii() and _SURROGATE.search(value))):
            raise UnstorableError("a text holds NUL or half a surrogate pair")


def _refuse_number(value: Any) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise UnstorableError("a number is not finite, or too large")


def _values(document: Any) -> Iterator[Any]:
    """Yield the names of members and everything that is no object or list, layer by layer."""
    layer: list[Any] = [[document]]
    # The list around the document is one more.
    for _ in range(MAX_DEPTH + 1):
        below: list[Any] = []
        for container in layer:
            items = container
            if isinstance(container, dict):
                yield from container
                items = container.values()
            for item in items:
                if isinstance(item, dict | list):
                    below.append(item)
                else:
                    yield item
        layer = below
    if layer:
        raise UnstorableError(f"it nests deeper than {MAX_DEPTH}")


def _integer(digits: str) -> float:
    return int(digits) if len(digits) <= MAX_DIGITS else math.inf


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member name occurs twice")
    return members
