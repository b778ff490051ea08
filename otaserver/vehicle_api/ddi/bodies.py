"""What DDI clients send, read as leniently as hawkBit does: unknown members are ignored, one value may be a list."""

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from django.http import HttpRequest

from otaserver import storable
from otaserver.vehicle_api import bodies
from otaserver.vehicle_api.ddi.errors import TooManyMessagesError, UnsupportedMediaError
from otaserver.vehicle_api.errors import BodyMalformedError, FieldsInvalidError

MAX_BYTES = 512 * 1024
MAX_MESSAGES = 50
MAX_MESSAGE_LENGTH = 512


def read(request: HttpRequest, *, is_optional: bool = False) -> dict[str, Any]:
    """Return the body as a JSON object that a database can store.

    Raises:
        UnsupportedMediaError: it is announced as something else.
        BodyMalformedError: it is none. BodyTooLargeError, BodyIncompleteError: as they say.
    """
    body = bodies.read_body(request, MAX_BYTES)
    if not body and is_optional:
        return {}
    if not body:
        raise BodyMalformedError("The body is empty.")
    if (request.content_type or "").lower() != "application/json":
        raise UnsupportedMediaError(f"{request.content_type} is not application/json.")
    try:
        # Log lines of devices are in whatever encoding they are in.
        found = storable.parse(body.decode("utf-8", "replace").encode())
        storable.refuse_unstorable(found)
    except ValueError as error:
        raise BodyMalformedError(f"The body is not readable: {error}.") from error
    if not isinstance(found, dict):
        raise BodyMalformedError("The body is no object.")
    return found


def member(parent: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a member that must be an object."""
    found = parent.get(name)
    if not isinstance(found, dict):
        raise FieldsInvalidError(f"{name} is missing.", field=name)
    return found


def choice(parent: dict[str, Any], name: str, choices: Collection[str]) -> str:
    """Return a member that must be one of these words, in lower case."""
    found = parent.get(name)
    if not isinstance(found, str) or found not in choices:
        raise FieldsInvalidError(f"{name} is {str(found)[:40]!r}, none of {', '.join(choices)}.", field=name)
    return found


def messages(parent: dict[str, Any], name: str = "details") -> list[str]:
    """Return the lines that a vehicle says, long ones in pieces.

    Raises:
        TooManyMessagesError: more than MAX_MESSAGES of them.
        FieldsInvalidError: they are no texts.
    """
    found = parent.get(name) or []
    listed = found if isinstance(found, list) else [found]
    if not all(isinstance(line, str) for line in listed):
        raise FieldsInvalidError(f"{name} are no texts.", field=name)
    pieces = [
        line[start : start + MAX_MESSAGE_LENGTH] for line in listed for start in range(0, len(line), MAX_MESSAGE_LENGTH)
    ]
    if len(pieces) > MAX_MESSAGES:
        raise TooManyMessagesError(f"{len(pieces)} messages; {MAX_MESSAGES} are taken at a time.")
    return pieces


def device_time(body: dict[str, Any]) -> datetime | None:
    """Return when the vehicle says it was: `timestamp` in milliseconds, or `time` as 20240101T120000; else None."""
    try:
        if type(body.get("timestamp")) is int:
            found = datetime.fromtimestamp(body["timestamp"] / 1000, UTC)
        else:
            found = datetime.strptime(str(body.get("time")), "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return found if bodies.FIRST_MOMENT <= found < bodies.END_OF_TIME else None
