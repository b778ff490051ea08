"""Reading what vehicles send: within a limit, and JSON that the database can store."""

import json
import re
from typing import Any, TypeVar

from django.http import HttpRequest

from otaserver.vehicle_api.errors import BodyIncompleteError, BodyMalformedError, BodyTooLargeError, FieldsInvalidError

# An escaped NUL, as against a backslash that is followed by these characters.
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
T = TypeVar("T")


def read_body(request: HttpRequest, max_bytes: int) -> bytes:
    """Return the body.

    Raises:
        BodyTooLargeError: more than `max_bytes`; they are not read.
        BodyIncompleteError: fewer bytes than were announced.
    """
    length = str(request.META.get("CONTENT_LENGTH") or "")
    announced = int(length) if length.isdecimal() else 0
    if announced > max_bytes:
        raise BodyTooLargeError(f"{announced} bytes; at most {max_bytes} are taken.", limit=max_bytes)
    body: bytes = request.read()
    if len(body) < announced:
        raise BodyIncompleteError(f"{len(body)} bytes of {announced} came.", received=len(body))
    return body


def read_json(request: HttpRequest, max_bytes: int) -> Any:
    """Return the body as JSON: standard, without duplicate members, and with no text that a database refuses.

    Raises:
        BodyMalformedError: it is not; `line` and `column` (from 1) say where, if it can be told.
    """
    body = read_body(request, max_bytes)
    try:
        found = json.loads(body.decode("utf-8"), parse_constant=_no_constant, object_pairs_hook=_unique_members)
        # PostgreSQL stores neither NUL nor half a surrogate pair; encoding finds the latter.
        text = json.dumps(found, ensure_ascii=False).encode("utf-8")
    except json.JSONDecodeError as error:
        raise BodyMalformedError(
            f"The body is not JSON: {error.msg} in line {error.lineno}, column {error.colno}.",
            line=error.lineno,
            column=error.colno,
        ) from error
    except (ValueError, RecursionError) as error:
        raise BodyMalformedError(f"The body is not JSON: {error}.") from error
    if _NUL.search(text):
        raise BodyMalformedError("The body holds the character NUL.")
    return found


def member(parent: Any, name: str, kind: type[T]) -> T:
    """Return a member of a JSON object, which must be exactly of this type.

    Raises:
        FieldsInvalidError: it is missing or of another type; `field` names it.
    """
    found = parent.get(name) if isinstance(parent, dict) else None
    if type(found) is not kind:
        raise FieldsInvalidError(f"{name} is missing, or is no {kind.__name__}.", field=name)
    return found


def optional_member(parent: Any, name: str, kind: type[T]) -> T | None:
    """Return a member that may be null or missing, and is of this type otherwise. Raises as `member`."""
    if isinstance(parent, dict) and parent.get(name) is None:
        return None
    return member(parent, name, kind)


def text(parent: Any, name: str, max_length: int) -> str:
    """Return a member that is a text of at most `max_length` characters. Raises as `member`."""
    found = member(parent, name, str)
    if len(found) > max_length:
        raise FieldsInvalidError(f"{name} has {len(found)} characters; {max_length} fit.", field=name)
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member name occurs twice")
    return members
