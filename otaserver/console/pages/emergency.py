"""The emergency stop of all that a tenant runs, and its end."""

from django import forms
from django.contrib import messages
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from otaserver import clock
from otaserver.campaigns import operations
from otaserver.console import refusals
from otaserver.console.pages import effects
from otaserver.console.pages.base import Page
from otaserver.errors import OtaError
from otaserver.tenants.models import Tenant
from otaserver.tenants.states import Permission


class StopForm(forms.Form):
    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 2, "autofocus": True}),
        help_text=gettext_lazy("Everybody of this tenant will read it."),
    )


class StopEverything(Page):
    """Stops one tenant; of several, the person says which."""

    template = "console/stop_everything.html"
    permission = Permission.STOP

    def get(self, request: HttpRequest) -> HttpResponseBase:
        return self._ask()

    def post(self, request: HttpRequest) -> HttpResponseBase:
        form, tenant = StopForm(request.POST), self._posted()
        if not form.is_valid() or tenant is None:
            return self._ask(form, tenant, status=422)
        try:
            halted = operations.stop_tenant(tenant, reason=form.cleaned_data["reason"], by=self.actor, at=clock.now())
        except OtaError as error:
            form.add_error(None, refusals.of(error))
            return self._ask(form, tenant, status=error.status)
        messages.warning(request, _("Everything is stopped: %(count)s campaigns were halted.") % {"count": len(halted)})
        return redirect("console:index")

    def _posted(self) -> Tenant | None:
        return self.tenants().filter(name=self.request.POST.get("tenant", "")).first()

    def _ask(
        self, form: StopForm | None = None, sent_for: Tenant | None = None, *, status: int = 200
    ) -> HttpResponseBase:
        """Ask once for each tenant; what was wrong is told at the one that it was sent for."""
        self.tenant()
        choices = []
        for each in self.tenants().filter(stopped_at=None):
            own = form if form is not None and each == sent_for else StopForm()
            own.auto_id = f"id_{each.pk}_%s"
            choices.append((each, effects.stop_effects(each), own))
        return self.render(_("Stop everything at once?"), status=status, choices=choices)


class ResumeEverything(Page):
    template = "console/resume_everything.html"
    permission = Permission.MANAGE_CAMPAIGNS

    def get(self, request: HttpRequest, pk: int) -> HttpResponseBase:
        return self._ask(self._stopped(pk), StopForm())

    def post(self, request: HttpRequest, pk: int) -> HttpResponseBase:
        tenant, form = self._stopped(pk), StopForm(request.POST)
        if not form.is_valid():
            return self._ask(tenant, form, status=422)
        try:
            operations.resume_tenant(tenant, reason=form.cleaned_data["reason"], by=self.actor, at=clock.now())
        except OtaError as error:
            form.add_error(None, refusals.of(error))
            return self._ask(tenant, form, status=error.status)
        messages.success(request, _("Campaigns may be started and resumed again."))
        return redirect("console:index")

    def _stopped(self, pk: int) -> Tenant:
        tenant = self.find(Tenant.objects.all(), pk, tenant_field="pk")
        self.require(tenant, self.permission)
        return tenant

    def _ask(self, tenant: Tenant, form: StopForm, *, status: int = 200) -> HttpResponseBase:
        title = _("Let campaigns of %(tenant)s run again?") % {"tenant": tenant}
        return self.render(title, status=status, form=form, tenant=tenant)
