from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.http.response import HttpResponse
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from otaserver import clock
from otaserver.campaigns.models import Attempt, LogTail
from otaserver.campaigns.queries import explain_vehicle
from otaserver.console import queries, refusals
from otaserver.console.access import tenants_visible_to
from otaserver.console.admin.base import ReadOnlyAdmin
from otaserver.console.failure_words import with_meaning
from otaserver.console.site import site
from otaserver.console.tables import NOTHING, Table, badge, lines, moment
from otaserver.director.models import Manifest
from otaserver.fleet import queries as fleet
from otaserver.fleet.errors import FilterRefusedError
from otaserver.fleet.models import Group, Vehicle
from otaserver.fleet.watch_models import SeenRequest
from otaserver.tenants.states import Permission

ATTEMPTS_SHOWN = 20
MANIFESTS_SHOWN = 10
LOGS_SHOWN = 10
REQUESTS_SHOWN = 50


class InGroup(admin.SimpleListFilter):
    """The vehicles of the group that the address names; the list of groups leads there."""

    title = _("Group")
    parameter_name = "group"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Sequence[tuple[str, str]]:
        group = _group(request, self.value())
        return [] if group is None else [(str(group.pk), group.name)]

    # One of nobody's hides none: it finds nothing.
    def has_output(self) -> bool:
        return self.value() is not None

    def queryset(self, request: HttpRequest, queryset: QuerySet[Vehicle]) -> QuerySet[Vehicle]:
        group = _group(request, self.value())
        try:
            found = None if group is None else fleet.vehicles_in(group)
        except FilterRefusedError:
            found = None
        return queryset.none() if found is None else queryset.filter(pk__in=found.order_by().values("pk"))


def _group(request: HttpRequest, asked: str | None) -> Group | None:
    if asked is None or not asked.isdecimal():
        return None
    tenants = tenants_visible_to(request.user, Permission.VIEW)
    return Group.objects.filter(tenant__in=tenants, pk=int(asked[:18])).select_related("tenant").first()


@admin.register(Vehicle, site=site)
class VehicleAdmin(ReadOnlyAdmin):
    empty_note = _("No vehicle is known yet. One enrols with a claim code, or a fleet is imported from a file.")
    change_form_template = "console/vehicle.html"
    list_display = ["vehicle_id", "tenant", "condition", "last_contact_at", "confirmed_at", "enrolled_at"]
    list_select_related = ["tenant"]
    list_filter = [InGroup, ("blocked_at", admin.EmptyFieldListFilter), ("enrolled_at", admin.EmptyFieldListFilter)]
    # With it there is a box to search in; what is found, `get_search_results` says.
    search_fields = ["vehicle_id"]
    ordering = ["vehicle_id"]
    fields = [
        ("vehicle_id", "condition", "time_zone"),
        ("protocol", "client", "is_test_bench", "configuration"),
        ("created_at", "enrolled_at", "decommissioned_at"),
        ("last_contact_at", "confirmed_at", "is_manifest_wanted"),
        "blocked_reason",
    ]

    @admin.display(description=_("condition"))
    def condition(self, vehicle: Vehicle) -> SafeString:
        if vehicle.decommissioned_at is not None:
            return badge("decommissioned")
        if vehicle.blocked_at is not None:
            return badge("blocked")
        return badge("enrolled" if vehicle.enrolled_at else "expected")

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        row = self.get_object(request, object_id)
        shown = {} if row is None else _shown(row)
        return super().change_view(request, object_id, form_url, {**shown, **(extra_context or {})})

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Vehicle], search_term: str
    ) -> tuple[QuerySet[Vehicle], bool]:
        if not search_term.strip():
            return queryset, False
        tenants = list(tenants_visible_to(request.user, self.permission))
        return queryset.filter(pk__in=fleet.vehicles_called(tenants, search_term).values("pk")), False

    def tables(self, row: Vehicle) -> Sequence[Table]:
        found = [
            Table(_("Reports"), queries.REPORT_HEADERS, queries.reports_of(_attempts(row))),
            _manifests(row),
            _requests(row),
            _credentials(row),
            _swaps(row),
            _attributes(row),
        ]
        return [table for table in found if table.rows or table.note]


def _attempts(vehicle: Vehicle) -> QuerySet[Attempt]:
    rows = Attempt.objects.filter(vehicle=vehicle).select_related("assignment__campaign__release")
    return rows.order_by("-number")[:ATTEMPTS_SHOWN]


def _shown(vehicle: Vehicle) -> dict[str, Any]:
    wanted = queries.intended_targets(vehicle)
    logs = LogTail.objects.filter(attempt__vehicle=vehicle).select_related("attempt__assignment__campaign")
    return {
        "vehicle": vehicle,
        "explanation": explain_vehicle(vehicle, at=clock.now()),
        "ecus": [(ecu, wanted.get(ecu.serial, "")) for ecu in vehicle.ecus.order_by("-is_primary", "serial")],
        "attempts": _attempts(vehicle),
        "logs": logs.order_by("-received_at")[:LOGS_SHOWN],
    }


def _manifests(vehicle: Vehicle) -> Table:
    found = Manifest.objects.filter(vehicle=vehicle).defer("body").order_by("-received_at")[:MANIFESTS_SHOWN]
    rows = [
        [
            moment(manifest.received_at),
            badge("accepted") if manifest.is_accepted else badge("refused"),
            with_meaning(manifest.refused_code),
            lines(manifest.findings),
            manifest.sha256[:16],
        ]
        for manifest in found
    ]
    return Table(
        _("Manifests"), [_("received"), _("state"), _("refused because"), _("findings"), _("SHA-256 begins")], rows
    )


def _requests(vehicle: Vehicle) -> Table:
    rows = [
        [moment(one.at), one.method, one.path, one.status, one.code or NOTHING, one.identity, _why(one)]
        for one in vehicle.seen_requests.order_by("-pk")[:REQUESTS_SHOWN]
    ]
    is_on = vehicle.watched_until is not None and vehicle.watched_until > clock.now()
    kept = _("Kept until %(at)s.") % {"at": moment(vehicle.watched_until)}
    note = kept if is_on else str(_("Nobody watches this vehicle."))
    headers = [_("at"), _("method"), _("path"), _("answer"), _("code"), _("showed"), _("why")]
    return Table(_("Last requests"), headers, rows, note=note)


def _why(request: SeenRequest) -> str:
    return refusals.told(request.code, request.reason) or NOTHING


def _credentials(vehicle: Vehicle) -> Table:
    rows = [
        [
            gettext(one.get_kind_display()),
            one.generation,
            *map(moment, (one.created_at, one.used_at, one.expires_at, one.revoked_at)),
        ]
        for one in fleet.credentials_of(vehicle)
    ]
    return Table(
        _("Credentials"), [_("kind"), _("generation"), _("issued"), _("first used"), _("ends"), _("revoked")], rows
    )


def _swaps(vehicle: Vehicle) -> Table:
    rows = [
        [
            swap.old_serial,
            swap.new_serial or _("any"),
            swap.hardware_id,
            swap.reason,
            moment(swap.expires_at),
            moment(swap.done_at),
        ]
        for swap in vehicle.ecu_swaps.order_by("-announced_at")
    ]
    return Table(_("Announced ECUs"), [_("goes"), _("comes"), _("hardware"), _("why"), _("until"), _("done")], rows)


def _attributes(vehicle: Vehicle) -> Table:
    values = vehicle.attribute_values.select_related("attribute").order_by("attribute__name")
    rows = []
    for value in values:
        stored = [v for v in (value.text, value.number, value.boolean, value.time) if v is not None]
        rows.append([value.attribute.name, lines(stored), moment(value.changed_at)])
    reported = [
        [_("%(name)s (as reported)") % {"name": one.name}, one.text or NOTHING, moment(one.changed_at)]
        for one in vehicle.reported_attributes.all()
    ]
    return Table(_("Attributes"), [_("name"), _("value"), _("changed")], rows + reported)
