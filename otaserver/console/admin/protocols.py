"""What the field protocols bring along: who may speak for vehicles, how DDI is read, files with which fleets arrive."""

from collections.abc import Sequence

from django.contrib import admin
from django.urls import reverse_lazy
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from firmware_store.models import VerificationKey
from otaserver.console import refusals, sentences
from otaserver.console.admin.base import ReadOnlyAdmin
from otaserver.console.pages.imports import COUNTED
from otaserver.console.site import site
from otaserver.console.tables import NOTHING, Table, badge
from otaserver.fleet.arrival_models import FleetImport
from otaserver.fleet.protocol_models import DdiSettings, GatewayToken
from otaserver.fleet.provisioning_models import ProvisioningCredential
from otaserver.fleet.states import ImportState
from otaserver.tenants.states import Permission

PROBLEMS_SHOWN = 100


@admin.register(GatewayToken, site=site)
class GatewayTokenAdmin(ReadOnlyAdmin):
    empty_note = _(
        "No gateway token is needed where each vehicle has its own. Make one here for vehicles that share it."
    )
    list_links = [(_("New gateway token"), reverse_lazy("console:new_gateway_token"), Permission.ADMINISTER)]
    row_links = [(_("Revoke"), "console:revoke_gateway_token", Permission.ADMINISTER)]
    list_display = ["name", "tenant", "created_by", "created_at", "revoked_at"]
    list_select_related = ["tenant"]
    list_filter = [("revoked_at", admin.EmptyFieldListFilter)]
    search_fields = ["name"]
    ordering = ["-created_at"]
    fields = ["name", ("created_by", "created_at"), "revoked_at"]

    def is_open(self, row: GatewayToken) -> bool:
        return row.revoked_at is None


@admin.register(DdiSettings, site=site)
class DdiSettingsAdmin(ReadOnlyAdmin):
    empty_note = _(
        "Vehicles that speak DDI are read as is usual. Change the settings where yours say things otherwise."
    )
    list_links = [(_("Change settings"), reverse_lazy("console:change_ddi_settings"), Permission.ADMINISTER)]
    list_display = ["tenant", "default_hardware_id", "hardware_attribute", "version_attribute"]
    list_select_related = ["tenant"]
    fields = ["tenant", "default_hardware_id", "hardware_attribute", "version_attribute", "chunk_parts", "authorities"]


@admin.register(ProvisioningCredential, site=site)
class ProvisioningCredentialAdmin(ReadOnlyAdmin):
    empty_note = _("Vehicles with aktualizr come in with one of these. Issue one here before the first.")
    list_links = [(_("New provisioning credential"), reverse_lazy("console:new_provisioning"), Permission.MANAGE_FLEET)]
    row_links = [(_("Revoke"), "console:revoke_provisioning", Permission.MANAGE_FLEET)]
    list_display = ["name", "tenant", "created_by", "created_at", "expires_at", "revoked_at"]
    list_select_related = ["tenant"]
    list_filter = [("revoked_at", admin.EmptyFieldListFilter)]
    search_fields = ["name"]
    ordering = ["-created_at"]
    fields = ["name", ("created_by", "created_at"), ("expires_at", "revoked_at")]

    def is_open(self, row: ProvisioningCredential) -> bool:
        return row.revoked_at is None


@admin.register(VerificationKey, site=site)
class VerificationKeyAdmin(ReadOnlyAdmin):
    empty_note = _("Signatures inside package files are not checked. Add the key that yours are signed with.")
    list_links = [(_("New verification key"), reverse_lazy("console:new_verification_key"), Permission.ADMINISTER)]
    row_links = [(_("Retire"), "console:retire_verification_key", Permission.ADMINISTER)]
    list_display = ["name", "tenant", "format", "hardware_id", "created_by", "created_at", "retired_at"]
    list_select_related = ["tenant"]
    list_filter = ["format"]
    search_fields = ["name", "hardware_id"]
    ordering = ["-created_at"]
    fields = [("name", "format", "hardware_id"), ("created_by", "created_at", "retired_at"), "pem"]

    def is_open(self, row: VerificationKey) -> bool:
        return row.retired_at is None


@admin.register(FleetImport, site=site)
class FleetImportAdmin(ReadOnlyAdmin):
    empty_note = _("No fleet has been moved in by a file. Import one here: it is tried first.")
    list_links = [(_("Import vehicles"), reverse_lazy("console:new_import"), Permission.MANAGE_FLEET)]
    row_links = [(_("Take it in"), "console:take_import_in", Permission.MANAGE_FLEET)]
    list_display = ["filename", "tenant", "condition", "kind", "is_dry_run", "created_by", "created_at", "finished_at"]
    list_select_related = ["tenant"]
    list_filter = ["state", "kind"]
    search_fields = ["filename"]
    ordering = ["-created_at"]
    fields = [
        "filename",
        ("condition", "kind", "is_dry_run"),
        ("length", "done_bytes"),
        "sha256",
        ("created_by", "created_at", "finished_at"),
        "told_failure",
    ]

    def is_open(self, row: FleetImport) -> bool:
        return row.is_dry_run and row.state == ImportState.FINISHED

    @admin.display(description=_("state"), ordering="state")
    def condition(self, row: FleetImport) -> SafeString:
        return badge(row.state)

    @admin.display(description=_("failed reason"))
    def told_failure(self, row: FleetImport) -> str:
        return sentences.of(row.failed_reason) or NOTHING

    def tables(self, row: FleetImport) -> Sequence[Table]:
        found = row.problems.order_by("line")[:PROBLEMS_SHOWN]
        rows = [[each.line, each.code, each.value or NOTHING, refusals.told(each.code, each.rule)] for each in found]
        counts = [[COUNTED.get(name, name), count] for name, count in row.counts.items() if count]
        return [
            Table(_("What came of it"), [_("what"), _("number")], counts),
            Table(_("Lines left out"), [_("line"), _("code"), _("value"), _("why")], rows),
        ]
