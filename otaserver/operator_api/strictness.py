"""Bodies mean what they say: a member that nobody reads, or a number for a text, is refused instead of guessed at."""

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers

NO_SUCH_FIELD = "There is no such field."
Messages = list[str] | dict[Any, Any]


def misfits(field: Any, value: Any) -> Messages | None:
    """Return what in `value` is of another kind than `field` says, in the framework's nested form; None: nothing.

    What is missing, too long or out of range is the field's own affair.
    """
    if value is None:
        return None
    if isinstance(field, serializers.ListSerializer | serializers.ListField):
        return _of_items(field.child, enumerate(value)) if isinstance(value, list) else None
    if isinstance(field, serializers.Serializer):
        return _of_members(field, value) if isinstance(value, Mapping) else None
    if isinstance(field, serializers.DictField):
        return _of_items(field.child, value.items()) if isinstance(value, Mapping) else None
    problem = _kind_problem(field, value)
    return [problem] if problem else None


def _of_members(serializer: serializers.Serializer[Any], value: Mapping[str, Any]) -> Messages | None:
    known = {name: field for name, field in serializer.fields.items() if not field.read_only}
    found: dict[Any, Any] = {name: [NO_SUCH_FIELD] for name in value if name not in known}
    found |= _of_items(None, ((name, inner) for name, inner in value.items() if name in known), known) or {}
    return found or None


def _of_items(child: Any, items: Any, children: Mapping[str, Any] | None = None) -> dict[Any, Any] | None:
    found = {}
    for name, inner in items:
        messages = misfits(children[name] if children is not None else child, inner)
        if messages:
            found[name] = messages
    return found or None


def _kind_problem(field: Any, value: Any) -> str | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if isinstance(field, serializers.BooleanField):
        return None if isinstance(value, bool) else "Must be true or false."
    if isinstance(field, serializers.IntegerField):
        is_whole = is_number and value == value // 1
        return None if is_whole else "Must be a whole number."
    if isinstance(field, serializers.FloatField):
        return None if is_number else "Must be a number."
    if isinstance(field, serializers.DecimalField):
        return None if is_number or isinstance(value, str) else "Must be a number, or one as a text."
    if isinstance(field, serializers.CharField | serializers.ChoiceField | serializers.DateTimeField):
        return None if isinstance(value, str) else "Must be a text."
    return None
