"""The step of a new campaign that says when vehicles install, at what pace, on which conditions, and how patiently."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from otaserver.campaigns.rules.preconditions import CATALOGUE, Choice, Flag
from otaserver.campaigns.rules.windows import MAX_WINDOWS, WEEKDAYS, Window
from otaserver.campaigns.states import Consent
from otaserver.console import words
from otaserver.console.pages.plan_forms import DAY, HOUR, MAX_COUNT, StepForm
from otaserver.tenants.models import Tenant

CONSENTS = {
    Consent.NONE: gettext_lazy("Owners are not asked"),
    Consent.ASK: gettext_lazy("Owners are asked"),
    Consent.ASK_WITH_DEADLINE: gettext_lazy("Owners are asked; it goes ahead in the end"),
}


class WindowForm(forms.Form):
    """One recurring window; a row without weekdays is none."""

    weekdays = forms.MultipleChoiceField(
        label=gettext_lazy("Install on"),
        choices=list(words.WEEKDAYS.items()),
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )
    start = forms.TimeField(
        label=gettext_lazy("From"), required=False, widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M")
    )
    length_hours = forms.FloatField(label=gettext_lazy("For, in hours"), required=False, min_value=0.02, max_value=24)

    def clean(self) -> dict[str, Any]:
        found = super().clean() or {}
        has_times = found.get("start") is not None and found.get("length_hours")
        if found.get("weekdays") and not has_times:
            self.add_error("start", _("A window needs the time from which, and for how long, it is open."))
        if not found.get("weekdays") and (found.get("start") is not None or found.get("length_hours")):
            self.add_error("weekdays", _("Choose the days on which this window opens."))
        return found

    def window(self) -> Window | None:
        given = self.cleaned_data
        mask = sum(1 << WEEKDAYS.index(day) for day in given.get("weekdays", ()))
        if not mask:
            return None
        return Window(mask, given["start"].hour * 60 + given["start"].minute, round(given["length_hours"] * 60))


class BaseWindows(forms.BaseFormSet):  # type: ignore[type-arg]
    def clean(self) -> None:
        found = [] if any(self.errors) else self.windows()
        if len(set(found)) < len(found):
            raise forms.ValidationError(_("Two windows are the same."))

    def windows(self) -> list[Window]:
        return [window for window in (form.window() for form in self.forms) if window is not None]


Windows = forms.formset_factory(WindowForm, formset=BaseWindows, extra=2, max_num=MAX_WINDOWS)


def _whole(label: Any, *, least: int = 1, most: int = MAX_COUNT, **more: Any) -> forms.IntegerField:
    return forms.IntegerField(label=label, min_value=least, max_value=most, **more)


class WhenForm(StepForm):
    """The step; its windows are rows of their own."""

    downloads_early = forms.BooleanField(label=gettext_lazy("Download before the window"), required=False)
    ends_at = forms.DateTimeField(
        label=gettext_lazy("Ends at"), required=False, widget=forms.DateTimeInput(attrs={"type": "datetime-local"})
    )
    offers_per_minute = _whole(gettext_lazy("Offers per minute, at most"), required=False)
    megabytes_per_hour = _whole(gettext_lazy("Megabytes ordered per hour, at most"), required=False)
    preconditions = forms.CharField(
        label=gettext_lazy("Preconditions"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, "class": "c-code", "placeholder": "state_of_charge >= 30\nparked"}),
        help_text=gettext_lazy("One a line; all must hold before a vehicle installs."),
    )
    consent = forms.ChoiceField(label=gettext_lazy("Consent"), choices=list(CONSENTS.items()), initial=Consent.NONE)
    consent_postponements = _whole(gettext_lazy("Postponements, at most"), least=0, most=100, required=False)
    consent_deadline_days = _whole(gettext_lazy("Deadline after the first question, in days"), most=366, required=False)
    grace_hours = _whole(
        gettext_lazy("May install without contact for, in hours"),
        least=0,
        most=24 * 366,
        required=False,
        help_text=gettext_lazy("Empty: only right after the server was heard, so that an emergency stop reaches it."),
    )
    offer_timeout_days = forms.FloatField(
        label=gettext_lazy("Wait for a vehicle to call, in days"), min_value=0.0001, max_value=366
    )
    download_timeout_days = forms.FloatField(
        label=gettext_lazy("Wait for its download, in days"), min_value=0.0001, max_value=366
    )
    install_timeout_hours = forms.FloatField(
        label=gettext_lazy("Wait for its installation, in hours"),
        min_value=0.001,
        max_value=24 * 366,
        help_text=gettext_lazy("A vehicle that is silent for longer while it installs has failed."),
    )
    max_attempts = _whole(gettext_lazy("Attempts of each vehicle, at most"), most=1000)
    retry_minutes = forms.FloatField(
        label=gettext_lazy("Between two attempts, in minutes"), min_value=0, max_value=60 * 24 * 366
    )

    DEFAULTS: Mapping[str, Any] = {
        "downloads_early": True,
        "offer_timeout_days": 14,
        "download_timeout_days": 7,
        "install_timeout_hours": 4,
        "max_attempts": 3,
        "retry_minutes": 60,
    }
    _SECONDS: Mapping[str, tuple[str, int]] = {
        "offer_timeout_days": ("offer_timeout_seconds", DAY),
        "download_timeout_days": ("download_timeout_seconds", DAY),
        "install_timeout_hours": ("install_timeout_seconds", HOUR),
        "retry_minutes": ("retry_seconds", 60),
        "consent_deadline_days": ("consent_deadline_seconds", DAY),
    }

    def __init__(self, tenant: Tenant, data: Any = None, initial: Mapping[str, Any] | None = None) -> None:
        super().__init__(tenant, data, initial)
        self.windows: Any = Windows(
            data if data is not None and "window-TOTAL_FORMS" in data else None, prefix="window"
        )

    def is_valid(self) -> bool:
        has_windows = self.windows.is_valid()
        return super().is_valid() and has_windows

    def clean_preconditions(self) -> list[dict[str, Any]]:
        return [_condition(line) for line in self.cleaned_data["preconditions"].splitlines() if line.strip()]

    def plan(self) -> dict[str, Any]:
        found = dict(self.cleaned_data)
        for name, (plan_name, unit) in self._SECONDS.items():
            given = found.pop(name)
            found[plan_name] = None if given is None else round(given * unit)
        megabytes = found.pop("megabytes_per_hour")
        found["bytes_per_hour"] = None if megabytes is None else megabytes * 10**6
        return {**found, "windows": self.windows.windows()}


def _condition(line: str) -> dict[str, Any]:
    """Read one precondition: `parked`, `not parked`, `speed <= 0`, `link_type in wifi, usb`."""
    words = line.split()
    is_wanted = words[0] != "not"
    if not is_wanted:
        words = words[1:]
    kind = CATALOGUE.get(words[0]) if words else None
    if kind is None:
        known = ", ".join(sorted(CATALOGUE))
        raise forms.ValidationError(
            _("%(line)s: there is no such precondition. There are %(known)s.") % {"line": line.strip(), "known": known}
        )
    if isinstance(kind, Flag) and len(words) == 1:
        return {"name": words[0], "operator": "==", "value": is_wanted}
    if len(words) < 3 or not is_wanted:
        raise forms.ValidationError(_("%(line)s: write it like state_of_charge >= 30.") % {"line": line.strip()})
    text = " ".join(words[2:])
    if isinstance(kind, Choice):
        listed = [each.strip() for each in text.split(",")]
        return {"name": words[0], "operator": words[1], "value": listed if words[1] == "in" else text}
    try:
        return {"name": words[0], "operator": words[1], "value": float(text)}
    except ValueError:
        raise forms.ValidationError(_("%(line)s: %(value)s is not a number.") % {"line": line, "value": text}) from None
