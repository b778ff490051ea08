"""Groups: by a filter that is checked while it is typed, or by hand."""

import zlib
from typing import Any

from django import forms
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from otaserver import clock
from otaserver.console import refusals
from otaserver.console.pages.base import Page, is_fragment, versioned
from otaserver.errors import OtaError
from otaserver.fleet import operations, queries
from otaserver.fleet.filters.fields import ECU_FIELDS, VEHICLE_FIELDS
from otaserver.fleet.models import Attribute, Group, Vehicle
from otaserver.tenants.models import Tenant
from otaserver.tenants.states import Permission

MAX_BY_HAND = 2000
MAX_SHOWN = 500


class GroupForm(forms.Form):
    name = forms.CharField(label=gettext_lazy("Name"), max_length=100)
    filter = forms.CharField(
        label=gettext_lazy("Filter"),
        required=False,
        max_length=10_000,
        widget=forms.Textarea(attrs={"rows": 3, "class": "c-code", "spellcheck": "false", "autocomplete": "off"}),
        help_text=gettext_lazy("Vehicles that match it now and later. Ctrl and space shows what can be asked for."),
    )
    vehicles = forms.CharField(
        label=gettext_lazy("Or vehicles by hand"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, "class": "c-code"}),
        help_text=gettext_lazy("Vehicle ids, one a line."),
    )

    def clean(self) -> dict[str, Any]:
        found = super().clean() or {}
        chosen = found.get("vehicles", "").split()
        if bool(found.get("filter")) == bool(chosen):
            self.add_error("filter", _("Write a filter, or list vehicles by hand: one of the two."))
        if len(chosen) > MAX_BY_HAND:
            self.add_error("vehicles", _("At most %(number)s at a time.") % {"number": MAX_BY_HAND})
        return {**found, "vehicles": chosen}


class GroupList(Page):
    template = "console/groups_list.html"

    def get(self, request: HttpRequest) -> HttpResponseBase:
        tenant = self.tenant()
        groups = list(Group.objects.filter(tenant=tenant).order_by("name")[: MAX_SHOWN + 1])
        has_more = len(groups) > MAX_SHOWN
        groups = groups[:MAX_SHOWN]
        sizes = operations.ask_sizes(groups, at=clock.now())
        rows = [(group, sizes.get(group.pk)) for group in groups]
        version = f'"{zlib.crc32(repr([(group.pk, size) for group, size in rows] + [has_more]).encode()):x}"'

        def make() -> TemplateResponse:
            return self.render(
                _("Groups"),
                template="console/groups_rows.html" if is_fragment(request) else "",
                tenant=tenant,
                tenants=list(self.tenants()),
                groups=rows,
                has_more=has_more,
                is_complete=len(sizes) == len(groups),
                version=version,
                may_manage=self.may(tenant, Permission.MANAGE_FLEET),
            )

        return versioned(request, version, make)


class NewGroup(Page):
    template = "console/new_group.html"
    permission = Permission.MANAGE_FLEET

    def get(self, request: HttpRequest) -> HttpResponseBase:
        if is_fragment(request):
            return self._preview(self.tenant(), request.GET.get("filter", "").strip())
        return self._ask(GroupForm())

    def post(self, request: HttpRequest) -> HttpResponseBase:
        tenant, form = self.tenant(), GroupForm(request.POST)
        if not form.is_valid():
            return self._ask(form, status=422)
        given = form.cleaned_data
        found = list(Vehicle.objects.of(tenant).filter(vehicle_id__in=given["vehicles"]))
        missing = sorted(set(given["vehicles"]) - {vehicle.vehicle_id for vehicle in found})
        if missing:
            form.add_error("vehicles", _("There is no vehicle %(vehicle)s.") % {"vehicle": missing[0]})
            return self._ask(form, status=422)
        try:
            operations.create_group(
                tenant, name=given["name"], filter=given["filter"], vehicles=found, by=self.actor, at=clock.now()
            )
        except OtaError as error:
            form.add_error("filter" if "line" in error.details else None, refusals.of(error))
            return self._ask(form, status=error.status)
        return redirect(self.address(tenant, "groups"))

    def _preview(self, tenant: Tenant, text: str) -> HttpResponseBase:
        found, error = None, ""
        try:
            found = queries.preview(tenant, text) if text else None
        except OtaError as refusal:
            error = refusals.of(refusal)
        return self.render("", template="console/filter_preview.html", preview=found, error=error)

    def _ask(self, form: GroupForm, *, status: int = 200) -> HttpResponseBase:
        tenant = self.tenant()
        attributes = Attribute.objects.filter(tenant=tenant).order_by("name").values_list("name", flat=True)
        words = [
            *VEHICLE_FIELDS,
            *(f"ecu.{name}" for name in ECU_FIELDS),
            *(f"attribute.{name}" for name in attributes),
            "group",
            *("and", "or", "not", "in", "startswith", "endswith"),
        ]
        return self.render(
            _("New group"), status=status, form=form, tenant=tenant, tenants=list(self.tenants()), words=words
        )
