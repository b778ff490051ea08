"""The first steps of a new campaign as forms: what it brings, and whom to; all steps together are a plan."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from firmware_store.models import Release
from otaserver.campaigns.models import Campaign
from otaserver.campaigns.rules.plans import name_problem
from otaserver.campaigns.rules.precedence import MAX_REQUIREMENTS
from otaserver.campaigns.states import CampaignKind, CampaignPriority, CampaignState
from otaserver.console import sentences
from otaserver.fleet.models import Group
from otaserver.tenants.models import Tenant
from otaserver.tenants.states import ForeignSoftware

MAX_COUNT = 2**31 - 1
HOUR = 3600
DAY = 24 * HOUR

PRIORITIES = {
    CampaignPriority.SAFETY_RECALL: gettext_lazy("safety recall"),
    CampaignPriority.SECURITY: gettext_lazy("security"),
    CampaignPriority.QUALITY: gettext_lazy("quality"),
    CampaignPriority.FEATURE: gettext_lazy("feature"),
}
FOREIGN_SOFTWARE = {
    "": gettext_lazy("as the tenant says"),
    ForeignSoftware.ADOPT: gettext_lazy("take it for the vehicle's state"),
    ForeignSoftware.FLAG: gettext_lazy("show it to somebody"),
    ForeignSoftware.REDRIVE: gettext_lazy("order the release again, else show it"),
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
    requires = forms.ModelMultipleChoiceField(
        Campaign.objects.none(),
        label=gettext_lazy("Only after these campaigns"),
        required=False,
        widget=forms.SelectMultiple(attrs={"size": 4}),
        help_text=gettext_lazy("A vehicle waits until each of these has succeeded on it."),
    )

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        for name in ("release", "fallback_release"):
            field = self.fields[name]
            assert isinstance(field, forms.ModelChoiceField)
            field.queryset = self._releases()
        required = self.fields["requires"]
        assert isinstance(required, forms.ModelMultipleChoiceField)
        rows = Campaign.objects.filter(tenant=self.tenant).exclude(kind=CampaignKind.ROLLBACK)
        required.queryset = rows.exclude(state=CampaignState.CANCELLED).order_by("-created_at", "-pk")

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        problem = name_problem(name)
        if problem:
            raise forms.ValidationError(sentences.of(problem))
        return name

    def clean_requires(self) -> list[Campaign]:
        found = list(self.cleaned_data["requires"].order_by("pk"))
        if len(found) > MAX_REQUIREMENTS:
            raise forms.ValidationError(_("At most %(number)s at a time.") % {"number": MAX_REQUIREMENTS})
        return found

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
    foreign_software = forms.ChoiceField(
        label=gettext_lazy("Software that no order brought"),
        choices=list(FOREIGN_SOFTWARE.items()),
        required=False,
        help_text=gettext_lazy("What is done where a vehicle of the campaign proves to run some."),
    )

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        field = self.fields["group"]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = Group.objects.filter(tenant=self.tenant).order_by("name")

    def plan(self) -> dict[str, Any]:
        found = dict(self.cleaned_data)
        days = found.pop("max_inventory_age_days")
        return {**found, "max_inventory_age_seconds": days * DAY if days else None}
