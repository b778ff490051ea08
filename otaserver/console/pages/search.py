"""One box that finds a thing by what is written on it: an id, a serial, a name, a digest, or a page by its title."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from firmware_store.models import Package, Release
from otaserver.campaigns.models import Campaign
from otaserver.console.menu import navigation
from otaserver.console.pages.base import Page
from otaserver.console.tables import badge
from otaserver.fleet import queries as fleet
from otaserver.fleet.models import Ecu, Group, Vehicle
from otaserver.tenants.models import Tenant

MAX_LENGTH = 100
SHOWN = 10


@dataclass(frozen=True)
class Hit:
    """One thing that was found: where it is, what it is called, whose it is, and what else is said of it."""

    address: str
    name: str
    tenant: Tenant | None
    remark: str = ""


@dataclass(frozen=True)
class Hits:
    """What was found of one kind. `more`: the list that holds the rest, where there is one."""

    title: object
    hits: Sequence[Hit]
    has_more: bool = False
    more: str = ""


@dataclass(frozen=True)
class _Kind:
    """What is looked for: by which of its words, in which order, and how one of it is shown.

    Every word that was given must stand in one of the fields. `whole` are fields that are given as a whole or not at
    all, such as a digest. `is_listed`: there is a list that the same words lead to.
    """

    title: Any
    rows: Callable[[], QuerySet[Any]]
    hit: Callable[[Any], Hit]
    order: Sequence[str]
    fields: Sequence[str] = ()
    whole: Sequence[str] = ()
    tenant_field: str = "tenant"
    is_listed: bool = True
    # Where there may be millions: the few that are shown, by their ids, instead of `fields`.
    pick: Callable[[Sequence[Tenant], str], Sequence[int]] | None = None


class Search(Page):
    """What of the tenants that one's session shows has these words; where it is one thing alone, its page."""

    template = "console/search.html"

    def get(self, request: HttpRequest) -> HttpResponseBase:
        text = " ".join(request.GET.get("q", "").replace("\0", "").split())[:MAX_LENGTH]
        tenants = list(self.tenants())
        found = self._found(text, tenants) if text else []
        if sum(len(each.hits) for each in found) == 1:
            return redirect(found[0].hits[0].address)
        return self.render(_("Search"), text=text, found=found, names_tenants=len(tenants) > 1)

    def _found(self, text: str, tenants: Sequence[Tenant]) -> Sequence[Hits]:
        found = [self._pages(text), *(_hits(kind, text, tenants) for kind in _KINDS)]
        return [each for each in found if each.hits]

    def _pages(self, text: str) -> Hits:
        entries = [entry for part in navigation(self.request) for entry in part["items"]]
        return Hits(
            _("Pages"),
            [
                Hit(entry["link"], entry["title"], None)
                for entry in entries
                if text.lower() in entry["title"].lower() and entry["permission"](self.request)
            ],
        )


def _hits(kind: _Kind, text: str, tenants: Sequence[Tenant]) -> Hits:
    # The tenants as they are: a join would hide the index that gives the rows in their order.
    rows = kind.rows().filter(**{f"{kind.tenant_field}__in": tenants}).order_by(*kind.order)
    rows = rows.filter(_condition(kind, text)) if kind.pick is None else rows.filter(pk__in=kind.pick(tenants, text))
    found = list(rows[: SHOWN + 1])
    more = _list_of(rows.model, text) if len(found) > SHOWN and kind.is_listed else ""
    return Hits(kind.title, [kind.hit(row) for row in found[:SHOWN]], len(found) > SHOWN, more)


def _condition(kind: _Kind, text: str) -> Q:
    by_words = Q()
    for word in text.split():
        by_words &= Q.create([(f"{field}__icontains", word) for field in kind.fields], Q.OR)
    return Q.create([by_words, *((field, text.lower()) for field in kind.whole)], Q.OR)


def _vehicles_called(tenants: Sequence[Tenant], text: str) -> Sequence[int]:
    return [
        pk for rows in fleet.spellings_called(tenants, text) for pk in rows.values_list("pk", flat=True)[: SHOWN + 1]
    ]


def _ecus_called(tenants: Sequence[Tenant], text: str) -> Sequence[int]:
    rows = fleet.ecus_called(tenants, text).order_by("serial", "vehicle")
    return list(rows.values_list("pk", flat=True)[: SHOWN + 1])


def _list_of(model: type[Model], text: str) -> str:
    return f"{_page_of(model, 'changelist')}?{urlencode({'q': text})}"


def _page_of(model: type[Model], page: str, *args: object) -> str:
    return reverse(f"console:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


def _vehicle(row: Vehicle) -> Hit:
    return Hit(_page_of(Vehicle, "change", row.pk), row.vehicle_id, row.tenant)


def _release(row: Release) -> Hit:
    return Hit(_page_of(Release, "change", row.pk), str(row), row.tenant)


def _campaign(row: Campaign) -> Hit:
    return Hit(reverse("console:control_room", args=[row.pk]), row.name, row.tenant, badge(row.state))


def _package(row: Package) -> Hit:
    return Hit(_page_of(Package, "change", row.pk), row.target_name, row.tenant, badge(row.state))


def _ecu(row: Ecu) -> Hit:
    return Hit(_page_of(Vehicle, "change", row.vehicle_id), row.serial, row.vehicle.tenant, row.vehicle.vehicle_id)


def _group(row: Group) -> Hit:
    address = f"{reverse('console:groups')}?{urlencode({'tenant': row.tenant.name})}#group-{row.pk}"
    return Hit(address, row.name, row.tenant)


_KINDS = (
    _Kind(
        gettext_lazy("Vehicles"),
        lambda: Vehicle.objects.select_related("tenant"),
        _vehicle,
        order=["vehicle_id"],
        pick=_vehicles_called,
    ),
    _Kind(
        gettext_lazy("ECUs"),
        lambda: Ecu.objects.select_related("vehicle__tenant"),
        _ecu,
        order=["serial", "vehicle"],
        pick=_ecus_called,
        tenant_field="vehicle__tenant",
        is_listed=False,
    ),
    _Kind(
        gettext_lazy("Campaigns"),
        lambda: Campaign.objects.select_related("tenant"),
        _campaign,
        fields=["name"],
        order=["-created_at", "-pk"],
    ),
    _Kind(
        gettext_lazy("Releases"),
        lambda: Release.objects.select_related("tenant"),
        _release,
        fields=["name", "version"],
        order=["-created_at", "-pk"],
    ),
    _Kind(
        gettext_lazy("Packages"),
        lambda: Package.objects.select_related("tenant"),
        _package,
        fields=["target_name"],
        order=["-created_at", "-pk"],
        whole=["sha256"],
    ),
    _Kind(
        gettext_lazy("Groups"),
        lambda: Group.objects.select_related("tenant"),
        _group,
        fields=["name"],
        order=["name", "pk"],
        is_listed=False,
    ),
)
