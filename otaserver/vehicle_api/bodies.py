"""Reading what vehicles send: within a limit, and JSON that the database can store."""

import json
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

from django.http import HttpRequest
from django.utils.dateparse import parse_datetime

from otaserver import storable
from otaserver.vehicle_api.errors import BodyIncompleteError, BodyMalformedError, BodyTooLargeError, FieldsInvalidError

# Devices' clocks start in 1970; nanoseconds in 64 bits end in 2262.
FIRST_MOMENT = datetime(1970, 1, 1, tzinfo=UTC)
END_OF_TIME = datetime(2263, 1, 1, tzinfo=UTC)
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
    """Return the body as JSON that a database can store.

    Raises:
        BodyMalformedError: it is not; `line` and `column` (from 1) say where, if it can be told.
    """
    found = _parsed(request, max_bytes)
    try:
        storable.refuse_unstorable(found)
    except storable.UnstorableError as error:
        raise BodyMalformedError(f"The body cannot be stored: {error}.") from error
    return found


def read_any_json(request: HttpRequest, max_bytes: int) -> Any:
    """Return the body as JSON of which no text is stored as it is: a database may not take it.

    Raises:
        BodyMalformedError: as `read_json`.
    """
    found = _parsed(request, max_bytes)
    try:
        storable.refuse_unbounded(found)
    except storable.UnstorableError as error:
        raise BodyMalformedError(f"The body cannot be read: {error}.") from error
    return found


def read_list(request: HttpRequest, max_bytes: int, max_items: int) -> list[Any]:
    """Return the body's items, which may each be anything; ask `require_storable` for each that is to be stored.

    Raises:
        BodyMalformedError: the body is no JSON. FieldsInvalidError: it is no list, or one of more than `max_items`.
    """
    found = _parsed(request, max_bytes)
    if not isinstance(found, list) or len(found) > max_items:
        raise FieldsInvalidError(f"The body is no list of at most {max_items}.", field="")
    return found


def require_storable(item: Any) -> None:
    """Refuse an item of a list that a database cannot store.

    Raises:
        FieldsInvalidError: it holds NUL, half a surrogate pair, a number that is not finite, or nests too deeply.
    """
    try:
        storable.refuse_unstorable(item)
    except storable.UnstorableError as error:
        raise FieldsInvalidError(f"It cannot be stored: {error}.", field="") from error


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


def uuid(parent: Any, name: str) -> UUID:
    """Return a member that is the text of a UUID. Raises as `member`."""
    try:
        return UUID(text(parent, name, 36))
    except ValueError as error:
        raise FieldsInvalidError(f"{name} is no UUID.", field=name) from error


def moment(parent: Any, name: str) -> datetime:
    """Return a member that is a time with a zone between 1970 and 2262, in UTC. Raises as `member`."""
    try:
        found = parse_datetime(text(parent, name, 40))
        if found is not None and found.tzinfo is not None and FIRST_MOMENT <= found.astimezone(UTC) < END_OF_TIME:
            return found.astimezone(UTC)
    # Overflow: near the ends of the calendar UTC is beyond them.
    except (ValueError, OverflowError):
        pass
    raise FieldsInvalidError(
        f"{name} is no time with a zone, like 2026-06-01T12:00:00Z, between 1970 and 2262.", field=name
    )


def _parsed(request: HttpRequest, max_bytes: int) -> Any:
    body = read_body(request, max_bytes)
    try:
        return storable.parse(body)
    except json.JSONDecodeError as error:
        raise BodyMalformedError(
            f"The body is not JSON: {error.msg} in line {error.lineno}, column {error.colno}.",
            line=error.lineno,
            column=error.colno,
        ) from error
    except ValueError as error:
        raise BodyMalformedError(f"The body is not JSON: {error}.") from error
