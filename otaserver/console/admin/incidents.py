from django.contrib import admin
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from otaserver.campaigns.models import SoftwareChange, WorkshopCase
from otaserver.console import failure_words
from otaserver.console.admin.base import ReadOnlyAdmin
from otaserver.console.site import site
from otaserver.console.tables import badge


@admin.register(WorkshopCase, site=site)
class WorkshopCaseAdmin(ReadOnlyAdmin):
    empty_note = _("No vehicle needs hands.")
    tenant_field = "vehicle__tenant"
    list_display = ["vehicle", "code", "condition", "opened_at", "closed_at", "closed_by"]
    list_select_related = ["vehicle"]
    list_filter = [("closed_at", admin.EmptyFieldListFilter), "code"]
    search_fields = ["vehicle__vehicle_id", "code"]
    ordering = ["-opened_at"]
    fields = [
        ("vehicle", "assignment"),
        ("code", "condition"),
        "told_reason",
        ("opened_at", "closed_at"),
        "closed_by",
        "note",
    ]

    @admin.display(description=_("condition"))
    def condition(self, case: WorkshopCase) -> SafeString:
        return badge("closed" if case.closed_at else "open")

    @admin.display(description=_("reason"))
    def told_reason(self, case: WorkshopCase) -> str:
        return failure_words.reason_of(case)


@admin.register(SoftwareChange, site=site)
class SoftwareChangeAdmin(ReadOnlyAdmin):
    tenant_field = "vehicle__tenant"
    list_display = ["vehicle", "ecu_serial", "from_target", "to_target", "cause", "policy", "at"]
    list_select_related = ["vehicle"]
    list_filter = ["cause", "policy"]
    search_fields = ["vehicle__vehicle_id", "ecu_serial", "to_target"]
    ordering = ["-at"]
    fields = [
        ("vehicle", "ecu_serial"),
        ("from_target", "from_sha256"),
        ("to_target", "to_sha256"),
        ("cause", "policy", "campaign"),
        "at",
    ]
