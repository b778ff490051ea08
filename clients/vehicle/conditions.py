"""Whether measured values meet an order's preconditions. What cannot be judged is not met."""

import math
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

_COMPARISONS = frozenset({">=", ">", "<=", "<"})


def unmet(conditions: Sequence[Mapping[str, Any]], measured: Mapping[str, Any]) -> list[str]:
    """Return what keeps the vehicle from installing, each with the value and what it must be."""
    return [_sentence(condition, measured) for condition in conditions if not _holds(condition, measured)]


def values_that_meet(conditions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return values that meet all conditions, for vehicles that are always ready; what nothing meets is left out."""
    found = {}
    for name in {str(condition.get("name")) for condition in conditions}:
        own = [condition for condition in conditions if condition.get("name") == name]
        value = next((value for value in _candidates(own) if not unmet(own, {name: value})), None)
        if value is not None:
            found[name] = value
    return found


def _candidates(own: Sequence[Mapping[str, Any]]) -> Iterator[Any]:
    for condition in own:
        wanted = condition.get("value")
        yield from wanted if isinstance(wanted, list) else [wanted]
        number = _number(wanted)
        if number is not None:
            yield from (float(number), float(number) + 1, float(number) - 1)
    numbers = [float(number) for condition in own if (number := _number(condition.get("value"))) is not None]
    yield (sum(numbers) / len(numbers)) if numbers else None


def _holds(condition: Mapping[str, Any], measured: Mapping[str, Any]) -> bool:
    name, operator, wanted = condition.get("name"), condition.get("operator"), condition.get("value")
    value = measured.get(name) if isinstance(name, str) else None
    if operator in _COMPARISONS:
        return _compares(str(operator), value, _number(wanted))
    if operator == "in":
        return isinstance(wanted, list) and isinstance(value, str) and value in wanted
    # By exact type: 1 is not true.
    return operator == "==" and value is not None and type(value) is type(wanted) and bool(value == wanted)


def _compares(operator: str, value: Any, wanted: Decimal | None) -> bool:
    if wanted is None or isinstance(value, bool) or not isinstance(value, int | float):
        return False
    if isinstance(value, float) and not math.isfinite(value):
        return False
    # As it is written: 12.4 measured is 12.4, not the nearest binary fraction.
    found = Decimal(str(value))
    return {">=": found >= wanted, ">": found > wanted, "<=": found <= wanted, "<": found < wanted}[operator]


def _number(wanted: Any) -> Decimal | None:
    """Read a bound; signed metadata holds no floats, so that one that is not whole is a decimal in text."""
    if isinstance(wanted, bool) or not isinstance(wanted, int | str):
        return None
    try:
        number = Decimal(wanted)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _sentence(condition: Mapping[str, Any], measured: Mapping[str, Any]) -> str:
    name, wanted = condition.get("name"), condition.get("value")
    bound = "one of " + ", ".join(map(str, wanted)) if isinstance(wanted, list) else _shown(wanted)
    operator = "" if isinstance(wanted, list) else f"{condition.get('operator')} "
    return f"{name} is {_shown(measured.get(str(name)))}, must be {operator}{bound}"


def _shown(value: Any) -> str:
    if value is None:
        return "unknown"
    return str(value).lower() if isinstance(value, bool) else str(value)
