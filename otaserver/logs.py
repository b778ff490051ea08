"""Logs as structlog writes them: JSON in production, lines for people otherwise; each with its request's id."""

import re
import sys
from collections.abc import MutableMapping
from typing import Any

from otaserver.discreet import cleaned
from otaserver.imports import without

# A traceback in the log is Python's own; for pictures of it rich would be imported by each process.
with without("rich"):
    import structlog
    from structlog.types import Processor

# As messages end in this code: "event first, name=value last".
_FIELD = re.compile(r"(?:^| )([a-z_]+)=(\S*)$")


def split_fields(logger: Any, name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Make the `name=value` at the end of a message into fields of their own."""
    text = str(event.get("event", ""))
    found = {}
    while (field := _FIELD.search(text)) is not None:
        found[field[1]] = field[2]
        text = text[: field.start()]
    event.update({key: value for key, value in reversed(found.items()) if key not in event})
    event["event"] = text.rstrip(": ")
    return event


def clean(logger: Any, name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Shorten vehicles' ids and cross out secrets, in every text of the line."""
    for key, value in event.items():
        if isinstance(value, str):
            event[key] = cleaned(value)
    return event


def processors(*, is_json: bool) -> list[Processor]:
    """Return what makes a line of a record."""
    shown: Processor = (
        structlog.processors.JSONRenderer()
        if is_json
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    )
    return [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.format_exc_info,
        split_fields,
        clean,
        shown,
    ]


def before() -> list[Processor]:
    """Return what is known of a record beside its message."""
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]


def formatter(*, is_json: bool) -> dict[str, Any]:
    """Return the formatter for `settings.LOGGING`."""
    return {
        "()": structlog.stdlib.ProcessorFormatter,
        "processors": processors(is_json=is_json),
        "foreign_pre_chain": before(),
    }
