"""The console, at `/console/`: what one may see of one's tenants, and do in them."""

from typing import Any

from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.urls import path
from django.utils.translation import gettext as _
from django.views import View
from unfold.sites import UnfoldAdminSite

from otaserver import clock
from otaserver.console.access import may_somewhere, tenants_visible_to
from otaserver.console.dashboard import dashboard
from otaserver.tenants.states import Permission


class ConsoleSite(UnfoldAdminSite):
    index_template = "console/dashboard.html"
    site_url = None
    enable_nav_sidebar = True

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._pages: list[tuple[str, type[View], str]] = []

    def add_page(self, route: str, page: type[View], name: str) -> None:
        """Serve a page of our own below `/console/`, to those who are signed in."""
        self._pages.append((route, page, name))

    def get_urls(self) -> Any:
        own = [path(route, self.admin_view(page.as_view()), name=name) for route, page, name in self._pages]
        return [*own, *super().get_urls()]

    def has_permission(self, request: HttpRequest) -> bool:
        return may_somewhere(request, Permission.VIEW)

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[dict[str, Any]]:
        # Every page would make the list of all models, which only a page about one app shows: a third of its cost.
        return super().get_app_list(request, app_label) if app_label else []

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        stoppable = tenants_visible_to(request.user, Permission.STOP)
        stopped = tenants_visible_to(request.user, Permission.VIEW).filter(stopped_at__isnull=False)
        return {
            **super().each_context(request),
            "may_stop": stoppable.filter(stopped_at=None).exists(),
            "stopped_tenants": list(stopped.order_by("name")),
            "resumable": set(
                tenants_visible_to(request.user, Permission.MANAGE_CAMPAIGNS).values_list("pk", flat=True)
            ),
        }

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        found = dashboard(
            tenants_visible_to(request.user, Permission.VIEW),
            audited=tenants_visible_to(request.user, Permission.AUDIT),
            managed=tenants_visible_to(request.user, Permission.MANAGE_CAMPAIGNS),
            at=clock.now(),
        )
        return super().index(request, {"title": _("Overview"), "dashboard": found, **(extra_context or {})})


site = ConsoleSite("console")
