"""Files with which fleets arrive: first what would come of one, then the taking in of the same file."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from otaserver import clock
from otaserver.console.pages.actions import Effect
from otaserver.console.pages.writing import WritePage
from otaserver.fleet import operations
from otaserver.fleet.arrival_models import FleetImport
from otaserver.fleet.models import Vehicle
from otaserver.fleet.states import ImportKind, ImportState
from otaserver.tenants.models import Tenant
from otaserver.tenants.states import Permission

_KINDS = {
    ImportKind.CSV: gettext_lazy("CSV with a header"),
    ImportKind.JSON_LINES: gettext_lazy("JSON Lines"),
}
COUNTED = {
    "lines": gettext_lazy("lines were read"),
    "refused": gettext_lazy("lines are left out"),
    "vehicles_created": gettext_lazy("vehicles become known"),
    "vehicles_changed": gettext_lazy("vehicles are changed"),
    "ecus_changed": gettext_lazy("vehicles get other ECUs"),
    "tokens_given": gettext_lazy("tokens are given"),
    "claim_codes": gettext_lazy("claim codes are made"),
    "attributes_set": gettext_lazy("attributes are set"),
    "memberships": gettext_lazy("places in groups are given"),
    "groups_created": gettext_lazy("groups are made"),
}


class FileForm(forms.Form):
    file = forms.FileField(label=gettext_lazy("File"), max_length=255)


class ImportForm(FileForm):
    kind = forms.ChoiceField(label=gettext_lazy("Kind"), choices=list(_KINDS.items()))


class NewImport(WritePage):
    """Sends a file for a dry run; nothing is written but what would come of it."""

    permission = Permission.MANAGE_FLEET
    title = gettext_lazy("Import vehicles")
    button = gettext_lazy("Try it")
    note = gettext_lazy("First only what the file would do is found out; its page then leads on to taking it in.")
    back = "console:fleet_fleetimport_changelist"
    asks_again = False

    def form(self, tenant: Tenant, data: Any = None) -> ImportForm:
        return ImportForm(data, self.request.FILES if data is not None else None)

    def effects(self, tenant: Tenant, given: Mapping[str, Any]) -> Sequence[Effect]:
        return [Effect(Vehicle.objects.of(tenant).count(), _("vehicles are known so far"))]

    def carry_out(self, tenant: Tenant, given: Mapping[str, Any]) -> HttpResponseBase:
        return self._begin(tenant, given["file"], kind=given["kind"], is_dry_run=True)

    def _begin(self, tenant: Tenant, file: "UploadedFile[Any]", *, kind: str, is_dry_run: bool) -> HttpResponseBase:
        row = operations.begin_import(
            tenant,
            file,
            filename=file.name or "fleet",
            kind=kind,
            is_dry_run=is_dry_run,
            by=self.actor,
            at=clock.now(),
        )
        return redirect("console:fleet_fleetimport_change", row.pk)


class TakeIn(NewImport):
    """Takes in the file of a dry run. It is sent again: files may hold tokens, and none is kept."""

    title = gettext_lazy("Take this file in?")
    button = gettext_lazy("Take it in")
    note = gettext_lazy("Choose the same file again: the server keeps none, as it may hold tokens.")

    def subject(self) -> Tenant:
        self.row = self.find(FleetImport.objects.select_related("tenant"), self.kwargs["pk"])
        self.require(self.row.tenant, self.permission)
        return self.row.tenant

    @property
    def about(self) -> str:
        return self.row.filename

    def form(self, tenant: Tenant, data: Any = None) -> FileForm:  # type: ignore[override]
        form = _SameFileForm(data, self.request.FILES if data is not None else None)
        form.row = self.row
        return form

    def effects(self, tenant: Tenant, given: Mapping[str, Any]) -> Sequence[Effect]:
        counts = self.row.counts
        return [Effect(counts[name], str(word)) for name, word in COUNTED.items() if counts.get(name)]

    def carry_out(self, tenant: Tenant, given: Mapping[str, Any]) -> HttpResponseBase:
        return self._begin(tenant, given["file"], kind=self.row.kind, is_dry_run=False)


class _SameFileForm(FileForm):
    row: FleetImport

    def clean(self) -> dict[str, Any]:
        found = super().clean() or {}
        if not (self.row.is_dry_run and self.row.state == ImportState.FINISHED):
            raise forms.ValidationError(_("Only a file whose dry run has ended is taken in."))
        file = found.get("file")
        if file is not None and _sha256(file) != self.row.sha256:
            self.add_error("file", _("This is another file than the one that was tried."))
        return found


def _sha256(file: "UploadedFile[Any]") -> str:
    digest = hashlib.sha256()
    for chunk in file.chunks():
        digest.update(chunk)
    file.seek(0)
    return digest.hexdigest()
