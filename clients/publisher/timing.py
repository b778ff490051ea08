"""Windows and preconditions as people type them."""

import json
import re
from typing import Any

from clients.publisher.errors import InputError

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY_MINUTES = 24 * 60
_WINDOW = re.compile(r"(\S+) (([01]\d|2[0-3]):([0-5]\d))-(([01]\d|2[0-4]):([0-5]\d))\Z")
_CONDITION = re.compile(r"\s*([a-z0-9_]+)\s*(>=|<=|==|>|<|\bin\b)\s*(.+?)\s*\Z")


def read_window(text: str) -> dict[str, Any]:
    """Return a window like "mon-fri,sun 22:00-06:00" as the API takes it; the end may be on the next day.

    Raises:
        InputError: it is none.
    """
    found = _WINDOW.match(text.strip())
    if found is None:
        raise InputError(
            f"--window takes weekdays and times, like 'mon-fri 22:00-06:00' or 'sat,sun 00:00-24:00'; {text!r} is not.",
            code="input.window",
        )
    begins = int(found[3]) * 60 + int(found[4])
    ends = int(found[6]) * 60 + int(found[7])
    if ends == begins or ends > _DAY_MINUTES:
        raise InputError(
            f"A window ends at another time than it begins, and at 24:00 at the latest; {text!r} does not. A whole day "
            "is 'sat 00:00-24:00'.",
            code="input.window",
        )
    length = ends - begins if ends > begins else ends - begins + _DAY_MINUTES
    return {"weekdays": _weekdays(found[1], text), "start": found[2], "length_minutes": length}


def _weekdays(listed: str, text: str) -> list[str]:
    chosen = set()
    for part in listed.lower().split(","):
        first, _, last = part.partition("-")
        if first not in WEEKDAYS or (last or first) not in WEEKDAYS:
            raise InputError(
                f"Weekdays are {', '.join(WEEKDAYS)}, or from-to; {part!r} in {text!r} is none.", code="input.window"
            )
        start, end = WEEKDAYS.index(first), WEEKDAYS.index(last or first)
        # From Friday to Monday is over the weekend.
        chosen |= {WEEKDAYS[day % 7] for day in range(start, end + 1 if end >= start else end + 8)}
    return [day for day in WEEKDAYS if day in chosen]


def read_precondition(text: str) -> dict[str, Any]:
    """Return a precondition like "state_of_charge >= 40" or "link_type in wifi,ethernet" as the API takes it.

    Raises:
        InputError: it is none.
    """
    found = _CONDITION.match(text)
    if found is None:
        raise InputError(
            f"--precondition takes name, operator and value, like 'state_of_charge >= 40'; {text!r} is not.",
            code="input.precondition",
        )
    name, operator, value = found.groups()
    if operator == "in":
        return {"name": name, "operator": operator, "value": [word.strip() for word in value.split(",")]}
    return {"name": name, "operator": operator, "value": _value(value)}


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
