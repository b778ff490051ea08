from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from otaserver.console import refusals
from otaserver.console.admin.base import ReadOnlyAdmin
from otaserver.console.site import site
from otaserver.fleet.watch_models import SeenRequest


@admin.register(SeenRequest, site=site)
class SeenRequestAdmin(ReadOnlyAdmin):
    empty_note = _("Requests are kept only of vehicles that are watched. Watch one by the command: ota vehicle watch")
    list_display = ["at", "vehicle", "address", "method", "path", "status", "code", "identity"]
    list_select_related = ["vehicle"]
    list_filter = ["status"]
    search_fields = ["vehicle__vehicle_id", "address", "path"]
    ordering = ["-id"]
    fields = [
        ("at", "vehicle", "address"),
        ("method", "path"),
        ("identity", "client"),
        ("status", "code"),
        "told_reason",
    ]

    @admin.display(description=_("reason"))
    def told_reason(self, request: SeenRequest) -> str:
        return refusals.told(request.code, request.reason)
