from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from otaserver.console.admin.base import ReadOnlyAdmin
from otaserver.console.site import site
from otaserver.console.tables import Table
from otaserver.events.models import Delivery, Endpoint, Event, Mail
from otaserver.tenants.states import Permission


@admin.register(Event, site=site)
class EventAdmin(ReadOnlyAdmin):
    permission = Permission.AUDIT
    list_display = ["sequence", "tenant", "at", "type", "subject"]
    list_select_related = ["tenant"]
    list_filter = ["type"]
    search_fields = ["subject"]
    ordering = ["-id"]
    fields = [("sequence", "at"), ("type", "subject"), "public_id", "data"]


@admin.register(Endpoint, site=site)
class EndpointAdmin(ReadOnlyAdmin):
    permission = Permission.AUDIT
    empty_note = _("Nobody is told of events by a webhook yet. One is made by the command: ota webhook add URL")
    list_display = ["url", "tenant", "state", "reason", "failing_since", "created_by"]
    list_select_related = ["tenant"]
    list_filter = ["state"]
    ordering = ["-id"]
    # Never the salts.
    fields = ["url", "description", "shown_types", ("state", "reason"), "failing_since", ("created_by", "created_at")]

    @admin.display(description=_("types"))
    def shown_types(self, endpoint: Endpoint) -> str:
        return ", ".join(endpoint.types) or str(_("the usual"))


@admin.register(Delivery, site=site)
class DeliveryAdmin(ReadOnlyAdmin):
    tenant_field = "endpoint__tenant"
    permission = Permission.AUDIT
    list_display = ["id", "event", "endpoint", "state", "tries", "is_replay", "due_at", "settled_at"]
    list_select_related = ["event", "endpoint"]
    list_filter = ["state"]
    ordering = ["-id"]
    fields = [("event", "endpoint"), ("state", "tries", "is_replay"), ("created_at", "due_at", "settled_at")]

    def tables(self, row: Any) -> Sequence[Table]:
        tries = row.log.order_by("number")
        rows = [[each.number, each.at, each.status, each.latency_ms, each.problem, each.answer] for each in tries]
        return [
            Table(_("Tries"), [_("number"), _("at"), _("status"), _("milliseconds"), _("problem"), _("answer")], rows)
        ]


@admin.register(Mail, site=site)
class MailAdmin(ReadOnlyAdmin):
    permission = Permission.AUDIT
    list_display = ["id", "tenant", "address", "subject", "state", "tries", "due_at", "sent_at", "problem"]
    list_select_related = ["tenant"]
    list_filter = ["state"]
    ordering = ["-id"]
    fields = [("address", "subject"), ("state", "tries"), ("due_at", "sent_at"), "problem"]
