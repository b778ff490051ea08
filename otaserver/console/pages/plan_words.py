"""What the steps of a new campaign say, in words, for whoever sends them."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django import forms
from django.utils.translation import gettext as _

from otaserver.console.tables import moment

# What the review words by itself.
_WORDED = frozenset(
    [
        *("name", "release", "fallback_release", "no_way_back_reason", "requires", "group", "preconditions", "consent"),
        *("acceptable_percent", "unacceptable_percent", "soak_hours"),
    ]
)


def facts(steps: Iterable[forms.Form]) -> Sequence[tuple[Any, str]]:
    """Return names and values of all else that these valid forms say; what was left empty says nothing."""
    return [
        (field.label, _worded(field, form.cleaned_data[name]))
        for form in steps
        if form.is_valid()
        for name, field in form.fields.items()
        if name not in _WORDED and form.cleaned_data[name] not in (None, "")
    ]


def _worded(field: forms.Field, value: Any) -> str:
    if isinstance(field, forms.ChoiceField):
        choices: Any = field.choices
        return str({str(key): word for key, word in choices}.get(str(value), value))
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    return moment(value) if isinstance(value, datetime) else str(value)
