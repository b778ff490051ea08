"""What a refused field was given: the framework's messages say the rule alone, and whoever reads one needs both."""

import json
import re
from collections.abc import Mapping
from typing import Any

from otaserver.operator_api.strictness import NO_SUCH_FIELD

_MAX_LENGTH = 60
# Not even to its own sender: answers are kept for repeated requests, and printed in the logs of pipelines.
_SECRET = re.compile(r"secret|password|token|key|code|url", re.IGNORECASE)
# Nothing was given, or nobody reads it.
_SAYS_ALL = frozenset({"required", "null", "blank", "empty"})


def with_values(detail: Any, given: Any, name: str = "") -> Any:
    """Return nested errors of the framework, each message with the value that it is about, where that is short."""
    if isinstance(detail, Mapping):
        # Between steps that are numbers the name is the list's.
        return {
            step: with_values(inner, _inside(given, step), name if isinstance(step, int) else str(step))
            for step, inner in detail.items()
        }
    if isinstance(detail, list):
        if any(isinstance(inner, Mapping | list) for inner in detail):
            return [with_values(inner, _inside(given, place), name) for place, inner in enumerate(detail)]
        return [_said(message, given, name) for message in detail]
    return detail


def _inside(given: Any, step: Any) -> Any:
    if step == "non_field_errors":
        return given
    try:
        return given[int(step)] if isinstance(given, list) else given[step]
    except (KeyError, IndexError, TypeError, ValueError):
        return None


def _said(message: Any, given: Any, name: str) -> str:
    is_plain = isinstance(given, bool | int | float | str)
    if not is_plain or message == NO_SUCH_FIELD or _SECRET.search(name) or getattr(message, "code", "") in _SAYS_ALL:
        return str(message)
    value = json.dumps(given, ensure_ascii=False)
    if len(value) > _MAX_LENGTH or value.strip('"') in message:
        return str(message)
    return f"{message} Given was {value}."
