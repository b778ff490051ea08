from collections.abc import Mapping, Sequence
from typing import Any

from django.contrib import admin
from django.urls import reverse_lazy
from django.utils.translation import gettext_lazy as _

from otaserver.console.admin.base import ReadOnlyAdmin
from otaserver.console.site import site
from otaserver.console.tables import Table, badge, link_to
from otaserver.events.models import Delivery, Endpoint, Event, Mail
from otaserver.events.states import EndpointState
from otaserver.tenants.models import Tenant
from otaserver.tenants.states import Permission

DELIVERIES_SHOWN = 20
# What makes no sense in a state; None: nothing does.
_NOT_NOW: Mapping[str, frozenset[str] | None] = {
    EndpointState.ACTIVE: frozenset({"console:resume_webhook"}),
    EndpointState.PAUSED: frozenset({"console:pause_webhook", "console:try_webhook", "console:replay_webhook"}),
    EndpointState.REMOVED: None,
}


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
    empty_note = _("Nobody is told of events by a webhook yet. Make one here, or by the command: ota webhook add URL")
    list_links = [(_("New webhook"), reverse_lazy("console:new_webhook"), Permission.ADMINISTER)]
    row_links = [
        (_("Change"), "console:change_webhook", Permission.ADMINISTER),
        (_("Send a test"), "console:try_webhook", Permission.ADMINISTER),
        (_("Deliver again"), "console:replay_webhook", Permission.ADMINISTER),
        (_("New secret"), "console:rotate_webhook_secret", Permission.ADMINISTER),
        (_("Pause"), "console:pause_webhook", Permission.ADMINISTER),
        (_("Resume"), "console:resume_webhook", Permission.ADMINISTER),
        (_("Remove"), "console:remove_webhook", Permission.ADMINISTER),
    ]
    list_display = ["url", "tenant", "state", "reason", "failing_since", "created_by"]
    list_select_related = ["tenant"]
    list_filter = ["state"]
    ordering = ["-id"]
    # Never the salts.
    fields = ["url", "description", "shown_types", ("state", "reason"), "failing_since", ("created_by", "created_at")]

    def links(self, row: Endpoint) -> Sequence[tuple[Any, str, Permission]]:
        left_out = _NOT_NOW[row.state]
        return [] if left_out is None else [each for each in self.row_links if each[1] not in left_out]

    def tables(self, row: Endpoint) -> Sequence[Table]:
        return [_deliveries(row)]

    @admin.display(description=_("types"))
    def shown_types(self, endpoint: Endpoint) -> str:
        return ", ".join(endpoint.types) or str(_("the usual"))


def _deliveries(endpoint: Endpoint) -> Table:
    found = Delivery.objects.filter(endpoint=endpoint).select_related("event").order_by("-id")[:DELIVERIES_SHOWN]
    rows = [
        [
            link_to(each, str(each.event)),
            badge(each.state),
            each.tries,
            each.created_at,
            each.due_at or each.settled_at,
        ]
        for each in found
    ]
    headers = [_("event"), _("state"), _("tries"), _("made"), _("due, or settled")]
    return Table(_("Last deliveries"), headers, rows)


@admin.register(Delivery, site=site)
class DeliveryAdmin(ReadOnlyAdmin):
    row_links = [(_("Deliver again"), "console:replay_delivery", Permission.ADMINISTER)]
    tenant_field = "endpoint__tenant"
    permission = Permission.AUDIT
    list_display = ["id", "event", "endpoint", "state", "tries", "is_replay", "due_at", "settled_at"]
    list_select_related = ["event", "endpoint"]
    list_filter = ["state"]
    ordering = ["-id"]
    fields = [("event", "endpoint"), ("state", "tries", "is_replay"), ("created_at", "due_at", "settled_at")]

    def is_open(self, row: Delivery) -> bool:
        return row.endpoint.state == EndpointState.ACTIVE

    def tenant_of(self, row: Delivery) -> Tenant:
        return row.endpoint.tenant

    def tables(self, row: Any) -> Sequence[Table]:
        tries = row.log.order_by("number")
        rows = [[each.number, each.at, each.status, each.latency_ms, each.problem, each.answer] for each in tries]
        return [
            Table(_("Tries"), [_("number"), _("at"), _("status"), _("milliseconds"), _("problem"), _("answer")], rows)
        ]


@admin.register(Mail, site=site)
class MailAdmin(ReadOnlyAdmin):
    empty_note = _("Nobody was written to yet. Who is written to about what, the command shows: ota mail list")
    permission = Permission.AUDIT
    list_display = ["id", "tenant", "address", "subject", "state", "tries", "due_at", "sent_at", "problem"]
    list_select_related = ["tenant"]
    list_filter = ["state"]
    ordering = ["-id"]
    fields = [("address", "subject"), ("state", "tries"), ("due_at", "sent_at"), "problem"]
