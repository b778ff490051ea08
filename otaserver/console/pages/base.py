"""What all pages of our own share: whose things they show, what one may do there, and how a refusal is told."""

from collections.abc import Callable
from typing import Any, ClassVar, TypeVar, cast
from urllib.parse import urlencode

from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.cache import get_conditional_response
from django.views import View

from otaserver.console.access import actor_of, asked_tenant, permissions_in, tenants_visible_to
from otaserver.console.site import site
from otaserver.tenants.models import Tenant, User
from otaserver.tenants.states import Permission

Row = TypeVar("Row", bound=Model)


class Page(View):
    """A page of one tenant's things. Whoever may not see them is told that there is nothing."""

    template: ClassVar[str]
    # What one needs to open it; what a button on it needs is asked where it is pressed.
    permission: ClassVar[Permission] = Permission.VIEW

    @property
    def person(self) -> User:
        return cast(User, self.request.user)

    @property
    def actor(self) -> str:
        return actor_of(self.person)

    def find(self, rows: QuerySet[Row], pk: int, *, tenant_field: str = "tenant") -> Row:
        """Return the row, if it is of a tenant in which the person may open this page."""
        visible = tenants_visible_to(self.person, Permission.VIEW)
        found = rows.filter(**{f"{tenant_field}__in": visible}, pk=pk).first()
        if found is None:
            raise Http404(f"There is no {rows.model._meta.verbose_name} {pk}.")
        return found

    def may(self, tenant: Tenant, permission: Permission) -> bool:
        return permission in permissions_in(self.person, tenant)

    def require(self, tenant: Tenant, permission: Permission) -> None:
        if not self.may(tenant, permission):
            raise PermissionDenied(f"This needs the permission {permission.value} in {tenant}.")

    def tenants(self) -> QuerySet[Tenant]:
        return tenants_visible_to(self.person, self.permission).order_by("name")

    def tenant(self) -> Tenant:
        """Return the tenant that the page is about: the one in its address, else the first that the session shows.

        Another than was asked for it never is: what is meant for one tenant would be done in another. So the address
        says which it is, and pages lead on by `address`; what a form sends is for the tenant that its page has shown.
        """
        asked = asked_tenant(self.request)
        if asked is not None:
            self.require(asked, self.permission)
            return asked
        first = self.tenants().first()
        if first is None:
            raise PermissionDenied(f"This needs the permission {self.permission.value}.")
        return first

    def address(self, tenant: Tenant, name: str, *args: object) -> str:
        """Return the address of one of our own pages about this tenant."""
        return f"{reverse(f'console:{name}', args=args)}?{urlencode({'tenant': tenant.name})}"

    def render(self, title: str, *, status: int = 200, template: str = "", **context: Any) -> TemplateResponse:
        found = {**site.each_context(self.request), "title": title, **context}
        return TemplateResponse(self.request, template or self.template, found, status=status)


def is_fragment(request: HttpRequest) -> bool:
    """Return whether a page's own script asks, which takes the changing part alone."""
    return request.headers.get("X-Requested-With") == "fragment"


def versioned(request: HttpRequest, version: str, make: Callable[[], TemplateResponse]) -> HttpResponseBase:
    """Answer with what `make` makes, or that it is the same where a page's own script names the version that it has.

    A proxy that compresses makes the tag that it hands on a weak one: it still names this version (RFC 9110, 13.1.2).
    """
    same = get_conditional_response(request, etag=version) if is_fragment(request) else None
    answer = make() if same is None else same
    answer.headers["ETag"] = version
    answer.headers["Cache-Control"] = "no-store"
    return answer
