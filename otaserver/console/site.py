"""The console, at `/console/`: what one may see of one's tenants, and do in them."""

from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.urls import path
from django.utils.translation import gettext as _
from django.views import View
from unfold.forms import AuthenticationForm
from unfold.sites import UnfoldAdminSite

from otaserver import clock
from otaserver.console.access import tenants_visible_to
from otaserver.console.dashboard import dashboard
from otaserver.tenants.models import User
from otaserver.tenants.states import Permission


class MemberLoginForm(AuthenticationForm):
    """Lets members in: Django's own form asks for `is_staff`, a flag that says nothing here."""

    def confirm_login_allowed(self, user: AbstractBaseUser) -> None:
        if not isinstance(user, User) or not tenants_visible_to(user, Permission.VIEW).exists():
            raise ValidationError(self.error_messages["invalid_login"], code="invalid_login", params=self._names())

    def _names(self) -> dict[str, Any]:
        return {"username": self.username_field.verbose_name}


class ConsoleSite(UnfoldAdminSite):
    login_form = MemberLoginForm
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
        return tenants_visible_to(request.user, Permission.VIEW).exists()

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
            at=clock.now(),
        )
        return super().index(request, {"title": _("Overview"), "dashboard": found, **(extra_context or {})})


site = ConsoleSite("console")
