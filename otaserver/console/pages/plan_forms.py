"""The steps of a new campaign as forms; what they hold together is a plan."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from firmware_store.models import Release
from otaserver.campaigns.operations import WavePlan
from otaserver.campaigns.rules.preconditions import CATALOGUE, Choice, Flag
from otaserver.campaigns.rules.windows import WEEKDAYS, Window
from otaserver.campaigns.states import CampaignPriority, Consent, HaltAction, WaveRule
from otaserver.fleet.models import Group
from otaserver.tenants.models import Tenant

MAX_COUNT = 2**31 - 1
HOUR = 3600

_DAYS = (
    gettext_lazy("Mon"),
    gettext_lazy("Tue"),
    gettext_lazy("Wed"),
    gettext_lazy("Thu"),
    gettext_lazy("Fri"),
    gettext_lazy("Sat"),
    gettext_lazy("Sun"),
)
PRIORITIES = {
    CampaignPriority.SAFETY_RECALL: gettext_lazy("safety recall"),
    CampaignPriority.SECURITY: gettext_lazy("security"),
    CampaignPriority.QUALITY: gettext_lazy("quality"),
    CampaignPriority.FEATURE: gettext_lazy("feature"),
}
CONSENTS = {
    Consent.NONE: gettext_lazy("Owners are not asked"),
    Consent.ASK: gettext_lazy("Owners are asked"),
    Consent.ASK_WITH_DEADLINE: gettext_lazy("Owners are asked; it goes ahead in the end"),
}
HALT_ACTIONS = {
    HaltAction.WITHDRAW: gettext_lazy("withdraw every order that is not being installed"),
    HaltAction.HOLD_OFFERS: gettext_lazy("offer nothing more; let orders that stand go on"),
    HaltAction.ROLL_BACK: gettext_lazy("withdraw, and bring back what runs the release already"),
}
WAVE_RULES = {
    WaveRule.PROCEED: gettext_lazy("go on, while failures stay within the limits"),
    WaveRule.ASK: gettext_lazy("ask a person"),
}


class StepForm(forms.Form):
    """One step. `plan` returns its part of the plan, once it is valid."""

    def __init__(self, tenant: Tenant, data: Any = None, initial: Mapping[str, Any] | None = None) -> None:
        super().__init__(data, initial=dict(initial or {}))
        self.tenant = tenant
        for name, field in self.fields.items():
            if field.help_text:
                field.widget.attrs["aria-describedby"] = f"id_{name}_helptext"

    def plan(self) -> dict[str, Any]:
        return dict(self.cleaned_data)

    def _releases(self) -> Any:
        return Release.objects.filter(tenant=self.tenant, published_at__isnull=False).order_by("-created_at", "-pk")


class WhatForm(StepForm):
    name = forms.CharField(label=gettext_lazy("Name"), max_length=100)
    release = forms.ModelChoiceField(Release.objects.none(), label=gettext_lazy("Release"))
    fallback_release = forms.ModelChoiceField(
        Release.objects.none(),
        label=gettext_lazy("Way back"),
        required=False,
        help_text=gettext_lazy("The release that a roll-back returns to."),
    )
    no_way_back_reason = forms.CharField(
        label=gettext_lazy("Why there is no way back"),
        required=False,
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 2}),
    )
    priority = forms.TypedChoiceField(
        label=gettext_lazy("Priority"), choices=list(PRIORITIES.items()), coerce=int, initial=CampaignPriority.QUALITY
    )

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        for name in ("release", "fallback_release"):
            field = self.fields[name]
            assert isinstance(field, forms.ModelChoiceField)
            field.queryset = self._releases()

    def clean(self) -> dict[str, Any]:
        found = super().clean() or {}
        if not found.get("fallback_release") and not found.get("no_way_back_reason"):
            self.add_error("fallback_release", _("Choose the way back, or say below why there is none."))
        return found


class WhomForm(StepForm):
    group = forms.ModelChoiceField(Group.objects.none(), label=gettext_lazy("Group"))
    is_dynamic = forms.BooleanField(label=gettext_lazy("Take in vehicles that come to match later"), required=False)
    max_inventory_age_days = forms.IntegerField(
        label=gettext_lazy("Leave out vehicles silent for more than, in days"),
        required=False,
        min_value=1,
        max_value=3660,
    )
    control_percent = forms.DecimalField(
        label=gettext_lazy("Hold out for comparison, in %"),
        min_value=0,
        max_value=50,
        max_digits=5,
        decimal_places=3,
        initial=0,
    )

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        field = self.fields["group"]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = Group.objects.filter(tenant=self.tenant).order_by("name")

    def plan(self) -> dict[str, Any]:
        found = dict(self.cleaned_data)
        days = found.pop("max_inventory_age_days")
        return {**found, "max_inventory_age_seconds": days * 86400 if days else None}


class WaveForm(forms.Form):
    size = forms.DecimalField(label=gettext_lazy("Size"), min_value=0, max_digits=10, decimal_places=3, required=False)
    unit = forms.ChoiceField(
        label=gettext_lazy("of"),
        choices=[("percent", gettext_lazy("% of all, in total")), ("count", gettext_lazy("vehicles"))],
        initial="count",
    )
    max_failed = forms.IntegerField(
        label=gettext_lazy("May fail"), min_value=0, max_value=MAX_COUNT, initial=0, required=False
    )

    def clean(self) -> dict[str, Any]:
        found = super().clean() or {}
        size = found.get("size")
        if size is not None and found.get("unit") == "count" and size != size.to_integral_value():
            self.add_error("size", _("A number of vehicles is a whole number."))
        if size is not None and found.get("unit") == "percent" and size > 100:
            self.add_error("size", _("At most 100 %."))
        return found


class BaseWaves(forms.BaseFormSet):  # type: ignore[type-arg]
    def clean(self) -> None:
        if not any(self.errors) and not self.waves():
            raise forms.ValidationError(_("A campaign has at least one wave."))

    def waves(self) -> list[WavePlan]:
        found = [form.cleaned_data for form in self.forms if form.cleaned_data.get("size")]
        return [
            WavePlan(
                percent=each["size"] if each["unit"] == "percent" else None,
                count=int(each["size"]) if each["unit"] == "count" else None,
                max_failed=each["max_failed"] or 0,
            )
            for each in found
        ]


Waves = forms.formset_factory(WaveForm, formset=BaseWaves, extra=2, max_num=20)


class GateForm(StepForm):
    acceptable_percent = forms.FloatField(
        label=gettext_lazy("Acceptable failure rate, in %"), min_value=0, max_value=100
    )
    unacceptable_percent = forms.FloatField(
        label=gettext_lazy("Unacceptable failure rate, in %"), min_value=0, max_value=100
    )
    alpha_percent = forms.FloatField(
        label=gettext_lazy("Healthy campaigns halted, at most in %"), min_value=0, max_value=50
    )
    beta_percent = forms.FloatField(label=gettext_lazy("Bad campaigns passed, at most in %"), min_value=0, max_value=50)
    soak_hours = forms.FloatField(
        label=gettext_lazy("Soak, in hours"),
        min_value=0,
        max_value=24 * 366,
        help_text=gettext_lazy("How long the new software must stay healthy before a result counts."),
    )
    is_stratified = forms.BooleanField(label=gettext_lazy("Test each hardware apart as well"), required=False)
    wave_rule = forms.ChoiceField(
        label=gettext_lazy("A wave that settles before the test decides"), choices=list(WAVE_RULES.items())
    )
    failure_budget = forms.IntegerField(
        label=gettext_lazy("Failures in all before a person is asked"), required=False, min_value=0, max_value=MAX_COUNT
    )
    max_failed = forms.IntegerField(
        label=gettext_lazy("Halt at more failures than"), required=False, min_value=0, max_value=MAX_COUNT
    )
    max_in_flight = forms.IntegerField(
        label=gettext_lazy("Vehicles in flight, at most"), required=False, min_value=1, max_value=MAX_COUNT
    )
    halt_codes = forms.CharField(
        label=gettext_lazy("Codes that halt at once, by commas"), required=False, max_length=2000
    )
    halt_action = forms.ChoiceField(label=gettext_lazy("What a halt does"), choices=list(HALT_ACTIONS.items()))

    DEFAULTS: Mapping[str, Any] = {
        "acceptable_percent": 0.5,
        "unacceptable_percent": 2,
        "alpha_percent": 1,
        "beta_percent": 5,
        "soak_hours": 8,
        "is_stratified": True,
    }

    def plan(self) -> dict[str, Any]:
        found = dict(self.cleaned_data)
        rates = {
            name: found.pop(f"{short}_percent") / 100
            for short, name in (
                ("acceptable", "acceptable_rate"),
                ("unacceptable", "unacceptable_rate"),
                ("alpha", "alpha"),
                ("beta", "beta"),
            )
        }
        codes = [code.strip() for code in found.pop("halt_codes").split(",") if code.strip()]
        soak = round(found.pop("soak_hours") * HOUR)
        return {**found, **rates, "halt_codes": codes, "soak_seconds": soak}


class WhenForm(StepForm):
    weekdays = forms.MultipleChoiceField(
        label=gettext_lazy("Install on"),
        choices=list(zip(WEEKDAYS, _DAYS, strict=True)),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=gettext_lazy("None: at any time. By the clock in each vehicle's own time zone."),
    )
    start = forms.TimeField(
        label=gettext_lazy("From"), required=False, widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M")
    )
    length_hours = forms.FloatField(label=gettext_lazy("For, in hours"), required=False, min_value=0.02, max_value=24)
    downloads_early = forms.BooleanField(label=gettext_lazy("Download before the window"), required=False)
    ends_at = forms.DateTimeField(
        label=gettext_lazy("Ends at"), required=False, widget=forms.DateTimeInput(attrs={"type": "datetime-local"})
    )
    offers_per_minute = forms.IntegerField(
        label=gettext_lazy("Offers per minute, at most"), required=False, min_value=1
    )
    preconditions = forms.CharField(
        label=gettext_lazy("Preconditions"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, "class": "c-code", "placeholder": "state_of_charge >= 30\nparked"}),
        help_text=gettext_lazy("One a line; all must hold before a vehicle installs."),
    )
    consent = forms.ChoiceField(label=gettext_lazy("Consent"), choices=list(CONSENTS.items()), initial=Consent.NONE)
    consent_postponements = forms.IntegerField(
        label=gettext_lazy("Postponements, at most"), required=False, min_value=0, max_value=100
    )
    consent_deadline_days = forms.IntegerField(
        label=gettext_lazy("Deadline after the first question, in days"), required=False, min_value=1, max_value=366
    )

    DEFAULTS: Mapping[str, Any] = {"downloads_early": True}

    def clean_preconditions(self) -> list[dict[str, Any]]:
        return [_condition(line) for line in self.cleaned_data["preconditions"].splitlines() if line.strip()]

    def clean(self) -> dict[str, Any]:
        found = super().clean() or {}
        if found.get("weekdays") and not (found.get("start") and found.get("length_hours")):
            self.add_error("start", _("A window needs the time from which, and for how long, it is open."))
        return found

    def plan(self) -> dict[str, Any]:
        found = dict(self.cleaned_data)
        weekdays, start, hours = found.pop("weekdays"), found.pop("start"), found.pop("length_hours")
        days = found.pop("consent_deadline_days")
        mask = sum(1 << WEEKDAYS.index(day) for day in weekdays)
        windows = [Window(mask, start.hour * 60 + start.minute, round(hours * 60))] if mask else []
        return {**found, "windows": windows, "consent_deadline_seconds": days * 86400 if days else None}


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
