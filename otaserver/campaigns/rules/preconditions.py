"""What the vehicle's state must be like before it installs: a catalogue of typed conditions, all of which must hold."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

MAX_CONDITIONS = 20
MAX_MEASURED = 50
MAX_NAME_LENGTH = 64
MAX_TEXT_LENGTH = 200
# Signed metadata holds no floats; a decimal of more places than this is not worth a signature.
MAX_DECIMALS = 3
_BOUNDS = {">=": "lowest", ">": "lowest", "<=": "highest", "<": "highest"}
_FIELDS = {"name", "operator", "value"}


@dataclass(frozen=True)
class Quantity:
    """A number within bounds, compared by <, <=, >, >=."""

    unit: str
    lowest: float
    highest: float


@dataclass(frozen=True)
class Choice:
    """One of some words, compared by == or by "in" and a list."""

    words: frozenset[str]


class Flag(NamedTuple):
    """True or false, compared by ==."""


CATALOGUE: Mapping[str, Quantity | Choice | Flag] = {
    "state_of_charge": Quantity("%", 0, 100),
    "fuel_level": Quantity("%", 0, 100),
    "battery_12v": Quantity("V", 0, 60),
    "speed": Quantity("km/h", 0, 500),
    "odometer": Quantity("km", 0, 10_000_000),
    "temperature": Quantity("°C", -100, 150),
    "parked": Flag(),
    "doors_closed": Flag(),
    "ignition_off": Flag(),
    "charging": Flag(),
    "link_type": Choice(frozenset({"cellular", "wifi", "ethernet", "usb"})),
}


def preconditions_problem(conditions: Sequence[Any]) -> str | None:
    """Return why these cannot be a campaign's preconditions, with the value at fault, or None."""
    if len(conditions) > MAX_CONDITIONS:
        return f"A campaign has at most {MAX_CONDITIONS} preconditions, not {len(conditions)}."
    for condition in conditions:
        problem = _problem(condition)
        if problem is not None:
            return problem
    return next((said for name in CATALOGUE if (said := _contradiction(name, conditions)) is not None), None)


def _problem(condition: Any) -> str | None:
    if not isinstance(condition, Mapping) or set(condition) != _FIELDS:
        return f"A precondition has a name, an operator and a value; {condition!r} has not, or has more."
    name, operator, value = condition["name"], condition["operator"], condition["value"]
    kind = CATALOGUE.get(name) if isinstance(name, str) else None
    if kind is None:
        return f"There is no precondition {name!r}; there are {', '.join(sorted(CATALOGUE))}."
    if isinstance(kind, Quantity):
        return _quantity_problem(name, kind, operator, value)
    if isinstance(kind, Choice):
        return _choice_problem(name, kind, operator, value)
    if operator != "==" or not isinstance(value, bool):
        return f"{name} is compared by == with true or false, not by {operator!r} with {value!r}."
    return None


def _quantity_problem(name: str, kind: Quantity, operator: Any, value: Any) -> str | None:
    if operator not in _BOUNDS:
        return f"{name} is compared by {', '.join(_BOUNDS)}, not by {operator!r}."
    if not _is_number(value) or not kind.lowest <= value <= kind.highest:
        return f"{name} is a number of {kind.unit} from {kind.lowest} to {kind.highest}; {value!r} is not."
    if round(value, MAX_DECIMALS) != value:
        return f"{name} has at most {MAX_DECIMALS} decimals; {value!r} has more."
    return None


def _choice_problem(name: str, kind: Choice, operator: Any, value: Any) -> str | None:
    if operator not in ("==", "in"):
        return f"{name} is compared by == or in, not by {operator!r}."
    words = value if operator == "in" else [value]
    if not isinstance(words, list) or not words or not all(isinstance(w, str) and w in kind.words for w in words):
        return f"{name} is one of {', '.join(sorted(kind.words))}; {value!r} is not."
    return None


def _contradiction(name: str, conditions: Sequence[Mapping[str, Any]]) -> str | None:
    """Return why no vehicle could meet all conditions on this value, or None."""
    own = [condition for condition in conditions if condition["name"] == name]
    kind = CATALOGUE[name]
    if not own or _can_hold(kind, own):
        return None
    listed = " and ".join(sentence(condition) for condition in own)
    if len(own) > 1:
        return f"No vehicle can meet {listed} at once."
    within = f": it measures {kind.lowest} to {kind.highest} {kind.unit}" if isinstance(kind, Quantity) else ""
    return f"No vehicle can meet {listed}{within}."


def _can_hold(kind: Quantity | Choice | Flag, own: Sequence[Mapping[str, Any]]) -> bool:
    if isinstance(kind, Quantity):
        # Exact tests at the bounds themselves, and between each two of them.
        bounds = sorted({kind.lowest, kind.highest, *(condition["value"] for condition in own)})
        between = [(one + other) / 2 for one, other in pairwise(bounds)]
        tried: Iterable[Any] = [*bounds, *between]
    else:
        tried = kind.words if isinstance(kind, Choice) else (True, False)
    return any(all(holds(condition, value) for condition in own) for value in tried)


def holds(condition: Mapping[str, Any], value: Any) -> bool:
    """Return whether a measured value meets a condition; one of another type does not."""
    operator, wanted = condition["operator"], condition["value"]
    if operator in _BOUNDS:
        if not _is_number(value):
            return False
        return _compare(operator, float(value), float(wanted))
    if operator == "in":
        return isinstance(value, str) and value in wanted
    return type(value) is type(wanted) and bool(value == wanted)


def _compare(operator: str, value: float, wanted: float) -> bool:
    tests = {">=": value >= wanted, ">": value > wanted, "<=": value <= wanted, "<": value < wanted}
    return tests[operator]


def unmet(conditions: Sequence[Mapping[str, Any]], measured: Mapping[str, Any]) -> list[str]:
    """Return what keeps a vehicle with these values from installing, each with value and condition."""
    return [
        f"{condition['name']} is {_shown(measured.get(condition['name']))}, must be {_bound(condition)}"
        for condition in conditions
        if not holds(condition, measured.get(condition["name"]))
    ]


def sentence(condition: Mapping[str, Any]) -> str:
    """Return a condition as people write it."""
    return f"{condition['name']} {_bound(condition)}"


def _bound(condition: Mapping[str, Any]) -> str:
    if condition["operator"] == "in":
        return f"one of {', '.join(condition['value'])}"
    return f"{condition['operator']} {_shown(condition['value'])}"


def _shown(value: Any) -> str:
    if value is None:
        return "unknown"
    return str(value).lower() if isinstance(value, bool) else str(value)


def signed(conditions: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the conditions as orders carry them: numbers that are not whole as decimals in text, like "12.4"."""
    return [{**condition, "value": _signable(condition["value"])} for condition in conditions]


def _signable(value: Any) -> Any:
    if isinstance(value, float):
        return int(value) if value.is_integer() else f"{value:.{MAX_DECIMALS}f}".rstrip("0")
    return value


def bounded(measured: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is kept of the values that a vehicle measured: finite numbers and short texts, by short names.

    Whatever else it sends is left out: a report must not be lost for it.
    """
    kept = {name: value for name, value in measured.items() if len(name) <= MAX_NAME_LENGTH and _is_plain(value)}
    return dict(list(kept.items())[:MAX_MEASURED])


def _is_plain(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= MAX_TEXT_LENGTH
    return isinstance(value, bool) or (_is_number(value) and abs(value) < 1e15)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
