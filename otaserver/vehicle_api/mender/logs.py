"""Logs of deployments that failed: kept as text, and read for the one thing that a status never says."""

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest

from otaserver.vehicle_api import bodies

MAX_BYTES = 1024 * 1024
MAX_MESSAGES = 20_000
# What the client says where an artifact is not what it claims to be, or not meant for this device.
_REFUSALS = ("signature", "checksum", "not compatible with device", "not what the server claims")
_LEVELS = ("error", "fatal")
_MAX_SENTENCE = 2000


@dataclass(frozen=True)
class Log:
    """A log as text, a line a message. `code` and `sentence` where it says that the artifact was refused as such."""

    text: str
    code: str = ""
    sentence: str = ""


def read(request: HttpRequest) -> Log:
    """Return the log in a request's body: `{"messages": [{"timestamp", "level", "message"}]}`.

    Raises:
        BodyTooLargeError, BodyMalformedError, FieldsInvalidError: it is none, or longer than is taken.
    """
    messages = bodies.member(bodies.read_any_json(request, MAX_BYTES), "messages", list)[:MAX_MESSAGES]
    text = "\n".join(_line(message) for message in messages)
    refusal = next((said for message in messages if (said := _refusal(message))), None)
    return Log(text, "verification_failed", refusal[:_MAX_SENTENCE]) if refusal else Log(text)


def _line(message: Any) -> str:
    names = ("timestamp", "level", "message")
    said = [_kept(message[name]) for name in names if name in message] if isinstance(message, dict) else []
    return " ".join(said)


def _refusal(message: Any) -> str | None:
    if not isinstance(message, dict) or message.get("level") not in _LEVELS:
        return None
    said = _kept(message.get("message", ""))
    return said if any(word in said.lower() for word in _REFUSALS) else None


def _kept(value: Any) -> str:
    # What a module printed may be anything; the reason that stands beside it must not be lost for that.
    return "".join(one if one.isprintable() or one in "\n\t" else " " for one in str(value))
