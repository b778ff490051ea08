"""Pages that change something of a tenant by a form: first what it will come to, then the doing."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from django import forms
from django.contrib import messages
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from otaserver.console import refusals
from otaserver.console.pages.actions import Effect
from otaserver.console.pages.base import Page
from otaserver.errors import OtaError
from otaserver.tenants.models import Tenant

CONFIRMED = "confirmed"


class ChangeForm(forms.Form):
    """A form over values that there are: `changed_data` is what differs from what its page has shown.

    Somebody else may have changed the others since, and they stay as they are by now.
    """

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        for field in self.fields.values():
            field.show_hidden_initial = True


class WritePage(Page):
    """Takes a form, shows what it says and what that will come to, and does it once that is confirmed."""

    template = "console/write.html"
    title: ClassVar[Any]
    button: ClassVar[Any]
    # What is said above the form.
    note: ClassVar[Any] = ""
    tone: ClassVar[str] = "go"
    # What of several the question is about.
    about: Any = ""
    # Where "back" leads to: a page of ours, or of the admin.
    back: ClassVar[str]
    # False: one look at the form is enough, as where the form itself is nothing but the question.
    asks_again: ClassVar[bool] = True
    # The form that is carried out.
    sent: forms.Form

    def subject(self) -> Tenant:
        """Return the tenant that is changed, once the person may do it there."""
        return self.tenant()

    def form(self, tenant: Tenant, data: Any = None) -> forms.Form:
        raise NotImplementedError

    def effects(self, tenant: Tenant, given: Mapping[str, Any]) -> Sequence[Effect]:
        """Return what would come of it, counted now; before anything is given, what there is to change."""
        return ()

    def facts(self, tenant: Tenant, form: forms.Form) -> Sequence[tuple[Any, Any]]:
        """Return what is to be confirmed, as names and values."""
        return [
            (form.fields[name].label, value) for name, value in form.cleaned_data.items() if value not in ("", None)
        ]

    def carry_out(self, tenant: Tenant, given: Mapping[str, Any]) -> HttpResponseBase | None:
        """Do it; return a page where there is something to show once."""
        raise NotImplementedError

    def get(self, request: HttpRequest, **where: Any) -> HttpResponseBase:
        tenant = self.subject()
        return self._ask(tenant, self.form(tenant))

    def post(self, request: HttpRequest, **where: Any) -> HttpResponseBase:
        tenant = self.subject()
        form = self.form(tenant, request.POST)
        if not form.is_valid():
            return self._ask(tenant, form, status=422)
        if self.asks_again and CONFIRMED not in request.POST:
            return self._ask(tenant, form, facts=self.facts(tenant, form))
        self.sent = form
        try:
            shown = self.carry_out(tenant, form.cleaned_data)
        except OtaError as error:
            form.add_error(None, refusals.of(error))
            return self._ask(tenant, form, status=error.status)
        if shown is not None:
            return shown
        messages.success(request, _("Done: %(what)s.") % {"what": self.title})
        return redirect(self.back)

    def _ask(
        self, tenant: Tenant, form: forms.Form, *, status: int = 200, facts: Sequence[tuple[Any, Any]] | None = None
    ) -> HttpResponseBase:
        given = form.cleaned_data if form.is_bound and form.is_valid() else {}
        return self.render(
            str(self.title),
            subtitle=str(tenant),
            status=status,
            tenant=tenant,
            tenants=list(self.tenants()) if not self.kwargs else [],
            form=form,
            facts=facts,
            effects=self.effects(tenant, given),
            page=self,
        )

    def show_once(self, title: str, note: str, *, text: str = "", download: tuple[str, str] | None = None) -> Any:
        """Return the page of a secret that the server does not keep; `download` is a file's name and its base64."""
        answer = self.render(
            title, template="console/shown_once.html", note=note, text=text, download=download, page=self
        )
        answer.headers["Cache-Control"] = "no-store"
        return answer
