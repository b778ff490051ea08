"""The console: a read-only view of one's tenants, at `/console/`. Changes go through the operator API."""

from typing import Any

from django.http import HttpRequest
from django.template.response import TemplateResponse
from unfold.sites import UnfoldAdminSite

from otaserver import clock
from otaserver.console.access import tenants_visible_to
from otaserver.console.dashboard import dashboard
from otaserver.tenants.states import Permission


class ConsoleSite(UnfoldAdminSite):
    index_template = "console/dashboard.html"
    index_title = "Overview"
    site_url = None
    enable_nav_sidebar = True

    def has_permission(self, request: HttpRequest) -> bool:
        return tenants_visible_to(request.user, Permission.VIEW).exists()

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        found = dashboard(
            tenants_visible_to(request.user, Permission.VIEW),
            audited=tenants_visible_to(request.user, Permission.AUDIT),
            at=clock.now(),
        )
        return super().index(request, {"dashboard": found, **(extra_context or {})})


site = ConsoleSite("console")
