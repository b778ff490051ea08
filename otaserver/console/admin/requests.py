from django.contrib import admin

from otaserver.console.admin.base import ReadOnlyAdmin
from otaserver.console.site import site
from otaserver.fleet.watch_models import SeenRequest


@admin.register(SeenRequest, site=site)
class SeenRequestAdmin(ReadOnlyAdmin):
    list_display = ["at", "vehicle", "address", "method", "path", "status", "code", "identity"]
    list_select_related = ["vehicle"]
    list_filter = ["status"]
    search_fields = ["vehicle__vehicle_id", "address", "path"]
    ordering = ["-id"]
    fields = [
        ("at", "vehicle", "address"),
        ("method", "path", "client"),
        "identity",
        ("status", "code"),
        "reason",
    ]
