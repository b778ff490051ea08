"""What a filter may speak of: an allow-list. Whatever is not here cannot be asked for."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, NoReturn

from django.db.models import Q

from otaserver.fleet import rules
from otaserver.fleet.contact_hours import last_contact
from otaserver.fleet.errors import FilterUnknownFieldError, FilterWrongTypeError
from otaserver.fleet.filters.syntax import Condition, Place
from otaserver.fleet.states import AttributeType

_NEGATIVE = {"!=": "=", "!~": "~", "not in": "in", "not startswith": "startswith", "not endswith": "endswith"}
_EQUALITY = {"=": "exact", "in": "in"}
# Without regard to case, since SQLite's LIKE has none: both databases then give the same vehicles.
_PARTS = {"~": "icontains", "startswith": "istartswith", "endswith": "iendswith"}
_ORDER = {"<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}
_LOOKUPS: dict[str, dict[str, str]] = {
    AttributeType.TEXT: _EQUALITY | _PARTS,
    AttributeType.NUMBER: _EQUALITY | _ORDER,
    AttributeType.BOOLEAN: {"=": "exact"},
    AttributeType.TIME: _EQUALITY | _ORDER,
}


@dataclass(frozen=True)
class Field:
    """Something that conditions can be about: its type, its column, and how None is asked for, if it can be."""

    type: AttributeType
    column: str
    absent: Q | None = None


VEHICLE_FIELDS: Mapping[str, Field] = {
    "vehicle_id": Field(AttributeType.TEXT, "vehicle_id"),
    "time_zone": Field(AttributeType.TEXT, "time_zone"),
    "enrolled": Field(AttributeType.TIME, "enrolled_at", Q(enrolled_at=None)),
    "last_contact": Field(AttributeType.TIME, "last_contact_at", Q(last_contact_at=None)),
    "confirmed": Field(AttributeType.TIME, "confirmed_at", Q(confirmed_at=None)),
    "blocked": Field(AttributeType.BOOLEAN, "blocked_at"),
}
ECU_FIELDS: Mapping[str, Field] = {
    "serial": Field(AttributeType.TEXT, "serial"),
    "hardware_id": Field(AttributeType.TEXT, "hardware_id"),
    "installed": Field(AttributeType.TEXT, "installed_target", Q(installed_target="")),
    "package": Field(AttributeType.TEXT, "installed_name", Q(installed_name="")),
    "version": Field(AttributeType.TEXT, "installed_version", Q(installed_version="")),
}


def is_negative(condition: Condition) -> bool:
    """Return whether the condition's operator is the complement of another one."""
    return condition.operator in _NEGATIVE


def positive(condition: Condition, field: Field) -> Q:
    """Return the rows whose `field` satisfies the condition, read with its operator's positive form. Never unknown.

    Raises:
        FilterWrongTypeError: the operator or the value does not go with the field's type.
    """
    operator = _NEGATIVE.get(condition.operator, condition.operator)
    lookup = _LOOKUPS[field.type].get(operator)
    if lookup is None:
        known = " ".join(sorted(name for name in _LOOKUPS[field.type] | _negative_names(field.type)))
        rule = (
            f"{condition.field} is of type {field.type} and has the operators {known}; {condition.operator!r} is none."
        )
        _refuse(rule, condition.operator_place, condition.operator)
    if condition.value is None:
        if field.absent is None or operator != "=":
            _refuse(f"{condition.field} cannot be compared with None in this way.", condition.value_place, "None")
        return field.absent
    if isinstance(condition.value, tuple):
        value: Any = [_typed(condition, field, item) for item in condition.value]
    else:
        value = _typed(condition, field, condition.value)
    if value == "" and operator in _PARTS:
        rule = f"An empty text is part of every other: {condition.field} {condition.operator} needs one that is not."
        _refuse(rule, condition.value_place, '""')
    if field.column == "blocked_at":
        return Q(blocked_at__isnull=not value)
    found = (
        last_contact(lookup, value) if field.column == "last_contact_at" else Q((f"{field.column}__{lookup}", value))
    )
    # SQL's "unknown" must not leak: its complement would be unknown as well.
    return found if field.absent is None else found & ~field.absent


def refuse_unknown(name: str, known: Iterable[str], place: Place) -> NoReturn:
    """Raise FilterUnknownFieldError, suggesting the known names that look alike."""
    suggestions = get_close_matches(name, sorted(known), n=3, cutoff=0.4)
    rule = f"There is no field {name}." + (f" Did you mean {' or '.join(suggestions)}?" if suggestions else "")
    raise FilterUnknownFieldError(
        rule, line=place.line, column=place.column, token=name, rule=rule, suggestions=suggestions
    )


def _negative_names(type_: AttributeType) -> dict[str, str]:
    return {name: "" for name, base in _NEGATIVE.items() if base in _LOOKUPS[type_]}


def _typed(condition: Condition, field: Field, value: object) -> rules.Value:
    parsed = rules.typed_value(field.type, value)
    if parsed is None:
        rule = f"{condition.field} is of type {field.type}: {rules.TYPE_RULES[field.type]}; {str(value)[:40]!r} is not."
        _refuse(rule, condition.value_place, str(value)[:40])
    return parsed


def _refuse(rule: str, place: Place, token: str) -> NoReturn:
    raise FilterWrongTypeError(rule, line=place.line, column=place.column, token=token, rule=rule)
