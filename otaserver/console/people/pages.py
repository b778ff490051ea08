"""Pages made of panels: a text, a table, a form, and buttons that each do one thing.

Every button sends `do`: the name of an action of the page and, after a colon, the row that it is for.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, cast

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.forms import Form
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views import View
from django.views.decorators.cache import never_cache

from otaserver.console import refusals
from otaserver.console.access import asked_tenant, tenants_visible_to
from otaserver.console.site import site
from otaserver.console.tables import Table
from otaserver.errors import OtaError
from otaserver.people.rules import Grantor
from otaserver.tenants.models import Member, Tenant, User
from otaserver.tenants.rules import permissions_of
from otaserver.tenants.states import Permission


@dataclass(frozen=True)
class Panel:
    """One part of a page. `shown_once` is a secret that no later page has."""

    title: str
    note: str = ""
    shown_once: Sequence[str] = ()
    picture: SafeString | str = ""
    table: Table | None = None
    form: Form | None = None
    buttons: Sequence[SafeString] = field(default_factory=tuple)


def button(do: str, label: object, *, is_danger: bool = False, sure: str = "") -> SafeString:
    """Return a button of a panel or, quieter, of a row in its table: of those there are many.

    `sure` is what the browser asks before it sends what cannot be taken back.
    """
    tone = "end" if is_danger else "plain" if ":" in do else "go"
    asks = format_html(' data-sure="{}"', sure) if sure else ""
    return format_html(
        '<button type="submit" name="do" value="{}" class="c-button c-button--{}"{}>{}</button>',
        do,
        tone,
        asks,
        str(label),
    )


@method_decorator(never_cache, name="dispatch")
class PanelPage(View):
    """A page for whoever is signed in. What an action answers is shown at the top; None leads back to the page.

    A form that it answers was filled in wrongly, and is shown again in its place (`form`).
    """

    title: ClassVar[object]
    # Whose buttons are its own, by name: a method of the page.
    actions: ClassVar[Mapping[str, Callable[..., Panel | Form | None]]] = {}
    _wrong: Form | None = None

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if not request.user.is_authenticated:
            return HttpResponseRedirect(f"{reverse('console:login')}?next={request.path}")
        self.refuse_stranger()
        return super().dispatch(request, *args, **kwargs)

    def refuse_stranger(self) -> None:
        """Refuse whoever may not see the page at all."""

    def panels(self) -> Sequence[Panel]:
        raise NotImplementedError

    @property
    def person(self) -> User:
        return cast(User, self.request.user)

    @property
    def actor(self) -> str:
        return self.person.get_username()

    def get(self, request: HttpRequest) -> HttpResponse:
        return self.render()

    def post(self, request: HttpRequest) -> HttpResponse:
        name, _, argument = request.POST.get("do", "").partition(":")
        if name not in self.actions:
            raise Http404("There is no such button.")
        try:
            shown = self.actions[name](self, argument) if argument else self.actions[name](self)
        except OtaError as error:
            messages.error(request, refusals.of(error))
            return self.render(status=error.status)
        if isinstance(shown, Form):
            self._wrong = shown
            return self.render(status=422)
        return HttpResponseRedirect(request.get_full_path()) if shown is None else self.render(shown)

    def more_context(self) -> dict[str, Any]:
        """Return what else the page's template is told."""
        return {}

    def form(self, blank: Form) -> Form:
        """Return the form of a panel: as it was sent, if it was just now and is wrong, else the blank one."""
        return self._wrong if self._wrong is not None and type(self._wrong) is type(blank) else blank

    def render(self, *first: Panel, status: int = 200) -> HttpResponse:
        context = {
            **site.each_context(self.request),
            "title": self.title,
            "panels": [*first, *self.panels()],
            **self.more_context(),
        }
        return TemplateResponse(self.request, "console/people/panels.html", context, status=status)


class TenantPage(PanelPage):
    """A page of one tenant in which the person has a permission: the one in its address, else the first of theirs."""

    permission: ClassVar[Permission]

    def refuse_stranger(self) -> None:
        self.tenants = list(tenants_visible_to(self.person, self.permission).order_by("name"))
        asked = asked_tenant(self.request)
        if not self.tenants or (asked is not None and asked not in self.tenants):
            where = f" in {asked}" if asked is not None else ""
            raise PermissionDenied(f"This needs the permission {self.permission.value}{where}.")
        self.tenant: Tenant = asked or self.tenants[0]

    def more_context(self) -> dict[str, Any]:
        return {"tenant": self.tenant, "tenants": self.tenants}

    @property
    def grantor(self) -> Grantor:
        return grantor_of(self.person, self.tenant)


def grantor_of(user: User, tenant: Tenant) -> Grantor:
    """Return what a person may give to others in a tenant: what they may there themselves."""
    if user.is_superuser:
        return Grantor(user.get_username(), frozenset(Permission))
    member = Member.objects.filter(user=user, tenant=tenant).first()
    return Grantor(user.get_username(), permissions_of(member.role, None) if member else frozenset())


def row_number(argument: str) -> int:
    """Return the row that a button is for."""
    if not argument.isascii() or not argument.isdigit() or len(argument) > 18:
        raise Http404("There is no such row.")
    return int(argument)
