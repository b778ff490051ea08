"""JSON that every reader reads alike, or nothing."""

import json
from typing import Any, NoReturn

MAX_DEPTH = 24
MAX_INTEGER = 2**53  # beyond it readers differ


def strict_loads(body: bytes) -> dict[str, Any]:
    """Parse `body` as one JSON object.

    Raises:
        ValueError: not UTF-8, a BOM, trailing data, a repeated key, a float, an integer that readers round, or
            nesting deeper than any metadata needs.
    """
    try:
        document = json.loads(
            body.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_float=_refuse_number,
            parse_constant=_refuse_number,
            parse_int=_bounded,
        )
    except RecursionError as error:
        raise ValueError("nested too deeply.") from error
    if not isinstance(document, dict):
        raise ValueError("not an object.")
    _check_depth(document)
    return document


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a key is repeated.")
    return document


def _refuse_number(text: str) -> NoReturn:
    raise ValueError(f"{text[:20]} is not an integer.")


def _bounded(text: str) -> int:
    # Length first: int() of a very long text is slow.
    if len(text) > 17 or abs(int(text)) > MAX_INTEGER:
        raise ValueError(f"{text[:20]} is too large an integer.")
    return int(text)


def _check_depth(document: Any) -> None:
    layer, depth = [document], 0
    while layer:
        depth += 1
        if depth > MAX_DEPTH:
            raise ValueError(f"nested deeper than {MAX_DEPTH} levels.")
        layer = [child for node in layer for child in _children(node)]


def _children(node: Any) -> list[Any]:
    if isinstance(node, dict):
        return list(node.values())
    return node if isinstance(node, list) else []
