from django.contrib import admin
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from otaserver import clock
from otaserver.campaigns.models import Blackout
from otaserver.console.admin.base import ReadOnlyAdmin
from otaserver.console.site import site
from otaserver.console.tables import badge


@admin.register(Blackout, site=site)
class BlackoutAdmin(ReadOnlyAdmin):
    empty_note = _("Nothing is held back by the calendar. Declare a blackout by the command: ota blackout declare")
    list_display = ["name", "tenant", "condition", "group", "starts_at", "ends_at", "created_by"]
    list_select_related = ["tenant", "group"]
    search_fields = ["name", "reason"]
    ordering = ["-created_at"]
    fields = [
        ("name", "condition", "group"),
        "reason",
        ("starts_at", "ends_at"),
        ("created_by", "created_at"),
        ("lifted_by", "lifted_at"),
        "lifted_reason",
    ]

    @admin.display(description=_("state"))
    def condition(self, blackout: Blackout) -> SafeString:
        at = clock.now()
        if blackout.lifted_at is not None:
            return badge("lifted")
        if blackout.ends_at is not None and blackout.ends_at <= at:
            return badge("over")
        return badge("in_force" if blackout.starts_at <= at else "to_come")
