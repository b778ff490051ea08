"""The step of a new campaign that says in which waves its vehicles have their turn."""

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from otaserver.campaigns.operations import WavePlan
from otaserver.console.pages.plan_forms import MAX_COUNT
from otaserver.fleet.models import Group
from otaserver.tenants.models import Tenant


class WaveForm(forms.Form):
    """One wave; a row without a size is none. `groups` are the tenant's, by their ids as text."""

    size = forms.DecimalField(label=gettext_lazy("Size"), min_value=0, max_digits=10, decimal_places=3, required=False)
    unit = forms.ChoiceField(
        label=gettext_lazy("of"),
        choices=[
            ("percent", gettext_lazy("% of all, in total")),
            ("count", gettext_lazy("vehicles")),
            ("group", gettext_lazy("all of a group")),
        ],
        initial="count",
    )
    group = forms.ChoiceField(label=gettext_lazy("Group"), required=False)
    max_failed = forms.IntegerField(
        label=gettext_lazy("May fail"), min_value=0, max_value=MAX_COUNT, initial=0, required=False
    )

    def __init__(self, *args: Any, groups: Mapping[str, Group], **more: Any) -> None:
        super().__init__(*args, **more)
        self._groups = groups
        field = self.fields["group"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [("", "-"), *((key, group.name) for key, group in groups.items())]

    def clean(self) -> dict[str, Any]:
        found = super().clean() or {}
        size, unit, group = found.get("size"), found.get("unit"), found.get("group")
        if unit == "group" and not group:
            self.add_error("group", _("Choose the group of this wave."))
        if unit == "group" and size is not None:
            self.add_error("size", _("A wave of a group takes all of it: leave the size empty."))
        if unit in ("percent", "count") and group:
            self.add_error("group", _("Choose “all of a group” for the size, or no group."))
        if size is not None and unit == "count" and size != size.to_integral_value():
            self.add_error("size", _("A number of vehicles is a whole number."))
        if size is not None and unit == "percent" and size > 100:
            self.add_error("size", _("At most 100 %."))
        return found

    def wave(self) -> WavePlan | None:
        """Return the wave of this row, once it is valid; None for an empty one."""
        given = self.cleaned_data
        failed = given.get("max_failed") or 0
        if given.get("unit") == "group":
            return WavePlan(group=self._groups[given["group"]], max_failed=failed)
        if not given.get("size"):
            return None
        if given["unit"] == "percent":
            return WavePlan(percent=given["size"], max_failed=failed)
        return WavePlan(count=int(given["size"]), max_failed=failed)


class BaseWaves(forms.BaseFormSet):  # type: ignore[type-arg]
    def clean(self) -> None:
        if not any(self.errors) and not self.plan()["waves"]:
            raise forms.ValidationError(_("A campaign has at least one wave."))

    def plan(self) -> dict[str, Any]:
        waves = [form.wave() for form in self.forms]
        return {"waves": tuple(wave for wave in waves if wave is not None)}


MAX_WAVES = 100
Waves = forms.formset_factory(WaveForm, formset=BaseWaves, extra=2, max_num=MAX_WAVES)


def waves_of(tenant: Tenant, data: Any = None, initial: Sequence[Mapping[str, Any]] = ()) -> Any:
    """Return the step: as it was given, or with these rows to begin with."""
    groups = {str(group.pk): group for group in Group.objects.filter(tenant=tenant).order_by("name")}
    given = data if data is not None and "form-TOTAL_FORMS" in data else None
    return Waves(given, initial=[dict(row) for row in initial], form_kwargs={"groups": groups})
