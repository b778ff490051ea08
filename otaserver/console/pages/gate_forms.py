"""The step of a new campaign that says how results are judged, and what a halt does."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy

from otaserver.campaigns.states import HaltAction, WaveRule
from otaserver.console.pages.plan_forms import HOUR, MAX_COUNT, StepForm

HALT_ACTIONS = {
    HaltAction.WITHDRAW: gettext_lazy("withdraw every order that is not being installed"),
    HaltAction.HOLD_OFFERS: gettext_lazy("offer nothing more; let orders that stand go on"),
    HaltAction.ROLL_BACK: gettext_lazy("withdraw, and bring back what runs the release already"),
}
WAVE_RULES = {
    WaveRule.PROCEED: gettext_lazy("go on, while failures stay within the limits"),
    WaveRule.ASK: gettext_lazy("ask a person"),
}


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
    max_verification_failed = forms.IntegerField(
        label=gettext_lazy("Halt at more failed verifications than"),
        min_value=0,
        max_value=MAX_COUNT,
        help_text=gettext_lazy("A vehicle could not verify what it got: an attack, or an error in publishing."),
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
        "max_verification_failed": 0,
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
