from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from django.contrib.admin.utils import flatten_fieldsets
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.http.response import HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.text import capfirst
from unfold.admin import ModelAdmin
from unfold.views import ChangeList

from otaserver.console import names
from otaserver.console.access import may_somewhere, permissions_in, tenants_visible_to
from otaserver.console.tables import Table
from otaserver.tenants.models import Tenant
from otaserver.tenants.states import Permission


class List(ChangeList):
    """A list that says "of so many" only where something is searched for or filtered out."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        if not self.query and not self.has_active_filters:
            self.full_result_count = self.result_count


class ReadOnlyAdmin(ModelAdmin):
    """Lists and pages of one model: nothing to add, change or delete, and nothing of a tenant that is not one's own."""

    # Where the row's tenant is found, and what a member must be allowed there.
    tenant_field: ClassVar[str] = "tenant"
    permission: ClassVar[Permission] = Permission.VIEW
    change_form_template = "console/page.html"
    change_list_template = "console/list.html"
    # Pages that the list leads to: what they are called, their name, and what one needs to be shown them.
    list_links: ClassVar[Sequence[tuple[Any, Any, Permission]]] = ()
    # The same of one row's page; each is asked about that row.
    row_links: ClassVar[Sequence[tuple[Any, str, Permission]]] = ()
    # Said where there is nothing yet: how there comes to be something.
    empty_note: ClassVar[Any] = ""
    list_per_page = 50
    show_full_result_count = False
    actions = None
    list_filter_submit = False

    def tables(self, row: Any) -> Sequence[Table]:
        """Return what stands below the fields on the row's page."""
        return ()

    def is_open(self, row: Any) -> bool:
        """Return whether what `row_links` lead to can still be done to the row."""
        return True

    # Unfold calls it a list; it is the class of one.
    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[List]:  # type: ignore[override]
        return List

    def links(self, row: Any) -> Sequence[tuple[Any, str, Permission]]:
        """Return what of `row_links` makes sense for the row."""
        return self.row_links if self.is_open(row) else ()

    def tenant_of(self, row: Any) -> Tenant:
        """Return whose row it is."""
        found: Tenant = row.tenant
        return found

    def _links_of(self, request: HttpRequest, row: Any) -> list[tuple[Any, str]]:
        links = () if row is None else self.links(row)
        if not links:
            return []
        allowed = permissions_in(request.user, self.tenant_of(row))
        return [(label, reverse(name, args=[row.pk])) for label, name, needed in links if needed in allowed]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        tenants = tenants_visible_to(request.user, self.permission)
        return super().get_queryset(request).filter(**{f"{self.tenant_field}__in": tenants})

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        links = [
            (label, address) for label, address, permission in self.list_links if may_somewhere(request, permission)
        ]
        title = capfirst(str(self.opts.verbose_name_plural))
        context: dict[str, Any] = {"list_links": links, "title": title, **(extra_context or {})}
        return super().changelist_view(request, context)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        row = self.get_object(request, object_id)
        context = {
            "tables": [] if row is None else self.tables(row),
            "row_links": self._links_of(request, row),
            "title": names.called(row),
            "subtitle": None,
            **(extra_context or {}),
        }
        return super().change_view(request, object_id, form_url, context)

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        # What no page shows (the hash of a token, the salt of a secret) nobody finds out by asking for the rows in
        # which it begins so and so.
        is_shown = lookup.partition("__")[0] in self.shown_fields(request)
        return is_shown and super().lookup_allowed(lookup, value, request)

    def shown_fields(self, request: HttpRequest) -> frozenset[str]:
        """Return the names of what the list and a row's page show, or the list is filtered by."""
        given: Iterable[Any] = self.list_filter
        filters = (_name_of(each) for each in given)
        return frozenset([*self.list_display, *flatten_fieldsets(self.get_fieldsets(request)), *filters])

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return may_somewhere(request, self.permission)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


def _name_of(filter: Any) -> str:
    if isinstance(filter, str):
        return filter
    # A filter of our own asks for rows by itself, under the name that it has in addresses.
    return str(getattr(filter, "parameter_name", None) or filter[0])
