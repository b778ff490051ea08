"""A new campaign in steps: what was given is kept from step to step, until it is sent or thrown away."""

from collections.abc import Mapping
from typing import Any, cast

from django.http import Http404, HttpRequest, QueryDict
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from otaserver import clock
from otaserver.campaigns import operations
from otaserver.campaigns.models import Campaign
from otaserver.campaigns.operations import CampaignPlan, Forecast
from otaserver.campaigns.states import CampaignState
from otaserver.console.pages.base import Page, is_fragment
from otaserver.console.pages.plan_forms import GateForm, StepForm, Waves, WhatForm, WhenForm, WhomForm
from otaserver.errors import OtaError
from otaserver.tenants.models import Tenant
from otaserver.tenants.states import Permission

_KEY = "new_campaign"
STEPS: Mapping[str, Any] = {
    "what": gettext_lazy("Release"),
    "whom": gettext_lazy("Group"),
    "waves": gettext_lazy("Waves"),
    "gate": gettext_lazy("Gate"),
    "when": gettext_lazy("When and how"),
    "review": gettext_lazy("Forecast and review"),
}
_ORDER = list(STEPS)
_FORMS: Mapping[str, type[StepForm]] = {"what": WhatForm, "whom": WhomForm, "gate": GateForm, "when": WhenForm}
_RATES = (0.001, 0.005, 0.02, 0.05)
_RUNS = 5


class NewCampaign(Page):
    """One step of it."""

    permission = Permission.MANAGE_CAMPAIGNS

    def get(self, request: HttpRequest, step: str = "what") -> HttpResponseBase:
        tenant = self._open(step)
        if is_fragment(request):
            return self._fit(tenant)
        if step == "review":
            return self._review(tenant)
        return self._show(tenant, step, self._form(tenant, step))

    def post(self, request: HttpRequest, step: str) -> HttpResponseBase:
        tenant = self._open(step)
        if step == "review":
            return self._finish(tenant)
        self._keep(step, request.POST)
        if "back" in request.POST:
            return redirect("console:new_campaign", _ORDER[max(_ORDER.index(step) - 1, 0)])
        if "suggest" in request.POST:
            return self._suggest(tenant)
        form = self._form(tenant, step)
        if not form.is_valid():
            return self._show(tenant, step, form, status=422)
        return redirect("console:new_campaign", _ORDER[_ORDER.index(step) + 1])

    def _open(self, step: str) -> Tenant:
        if step not in STEPS:
            raise Http404(f"There is no step {step}.")
        tenant = self.tenant()
        if self._kept().get("tenant") != tenant.name:
            # A draft names another tenant's release and group: it is no draft of this one.
            self.request.session[_KEY] = {"tenant": tenant.name, "steps": {}}
        return tenant

    def _kept(self) -> dict[str, Any]:
        return cast(dict[str, Any], self.request.session.get(_KEY, {}))

    def _keep(self, step: str, data: QueryDict) -> None:
        dropped = {"csrfmiddlewaretoken", "back", "suggest"}
        self._kept()["steps"][step] = {name: values for name, values in data.lists() if name not in dropped}
        self.request.session.modified = True

    def _given(self, step: str) -> QueryDict | None:
        kept = self._kept()["steps"].get(step)
        if kept is None:
            return None
        data = QueryDict(mutable=True)
        for name, values in kept.items():
            data.setlist(name, values)
        return data

    def _form(self, tenant: Tenant, step: str) -> Any:
        data = self._given(step)
        if step == "waves":
            return Waves(data) if data is not None and "form-TOTAL_FORMS" in data else Waves(initial=[])
        form = _FORMS[step]
        return form(tenant, data, initial=getattr(form, "DEFAULTS", {}))

    def _show(
        self, tenant: Tenant, step: str, form: Any, *, status: int = 200, error: str = "", **more: Any
    ) -> HttpResponseBase:
        context: dict[str, Any] = {
            "tenant": tenant,
            "step": step,
            "steps": [(name, title, self._is_done(tenant, name)) for name, title in STEPS.items()],
            "form": form,
            "error": error,
            "release": self._chosen(tenant, "what", "release"),
            "group": self._chosen(tenant, "whom", "group"),
            "budget": (self._given("waves") or QueryDict("failure_budget=5")).get("failure_budget", "5"),
            **more,
        }
        template = (
            f"console/new_{step}.html" if step in ("whom", "waves", "when", "review") else "console/new_step.html"
        )
        return self.render(_("New campaign"), subtitle=str(STEPS[step]), status=status, template=template, **context)

    def _is_done(self, tenant: Tenant, step: str) -> bool:
        return step in self._kept()["steps"] and bool(self._form(tenant, step).is_valid())

    def _chosen(self, tenant: Tenant, step: str, name: str) -> Any:
        if self._given(step) is None:
            return None
        form = self._form(tenant, step)
        form.is_valid()
        return form.cleaned_data.get(name)

    def _fit(self, tenant: Tenant) -> HttpResponseBase:
        """Answer the script of the second step: who of the group that is chosen there would take part."""
        release = self._chosen(tenant, "what", "release")
        form = WhomForm(tenant, self.request.GET)
        form.is_valid()
        group, found, error = form.cleaned_data.get("group"), None, ""
        if release is not None and group is not None:
            try:
                found = operations.judge_group(release, group, at=clock.now())
            except OtaError as refusal:
                error = refusal.message
        context = {"release": release, "group": group, "fit": found, "error": error}
        return self.render("", template="console/new_fit.html", **context)

    def _suggest(self, tenant: Tenant) -> HttpResponseBase:
        release, group = self._chosen(tenant, "what", "release"), self._chosen(tenant, "whom", "group")
        if release is None or group is None:
            error = _("Choose the release and the group first.")
            return self._show(tenant, "waves", self._form(tenant, "waves"), status=422, error=error)
        budget = self.request.POST.get("failure_budget", "")
        try:
            found = operations.suggest_waves(
                release, group, failure_budget=int(budget) if budget.isdigit() else 0, at=clock.now()
            )
        except OtaError as refusal:
            return self._show(tenant, "waves", self._form(tenant, "waves"), status=422, error=refusal.message)
        rows = [
            {
                "size": (size.percent if size.percent is not None else size.count),
                "unit": "percent" if size.percent is not None else "count",
                "max_failed": 0,
            }
            for size in found.suggestion.sizes
        ]
        return self._show(tenant, "waves", Waves(initial=rows), suggestion=found, budget=budget)

    def _plan(self, tenant: Tenant) -> tuple[CampaignPlan | None, str]:
        """Return the plan, or the first step that is not complete."""
        parts: dict[str, Any] = {}
        for step in _ORDER[:-1]:
            form = self._form(tenant, step)
            if not form.is_valid():
                return None, step
            parts |= {"waves": tuple(form.waves())} if step == "waves" else form.plan()
        return CampaignPlan(**parts), ""

    def _drafted(self, tenant: Tenant, plan: CampaignPlan) -> Campaign:
        """Return the campaign that the draft is stored as: made here, or changed to what the steps say now."""
        at = clock.now()
        kept = self._kept().get("campaign")
        campaign = Campaign.objects.filter(tenant=tenant, state=CampaignState.DRAFT, pk=kept).first() if kept else None
        if campaign is None:
            campaign = operations.create_campaign(tenant, plan, by=self.actor, at=at)
            self._kept()["campaign"] = campaign.pk
            self.request.session.modified = True
        else:
            operations.change_campaign(campaign, plan, revision=campaign.revision, by=self.actor, at=at)
        return campaign

    def _review(self, tenant: Tenant, *, status: int = 200, error: str = "") -> HttpResponseBase:
        plan, unfinished = self._plan(tenant)
        if plan is None:
            return redirect("console:new_campaign", unfinished)
        campaign, forecast = None, None
        try:
            campaign = self._drafted(tenant, plan)
            forecast = _forecast(campaign)
        except OtaError as refusal:
            status, error = refusal.status, refusal.message
        return self._show(
            tenant, "review", None, status=status, error=error, plan=plan, campaign=campaign, forecast=forecast
        )

    def _finish(self, tenant: Tenant) -> HttpResponseBase:
        plan, unfinished = self._plan(tenant)
        if plan is None:
            return redirect("console:new_campaign", unfinished)
        try:
            campaign = self._drafted(tenant, plan)
            if "submit" in self.request.POST:
                operations.submit_campaign(campaign, by=self.actor, at=clock.now())
        except OtaError as refusal:
            return self._review(tenant, status=refusal.status, error=refusal.message)
        del self.request.session[_KEY]
        return redirect("console:control_room", campaign.pk)


class DropDraft(Page):
    permission = Permission.MANAGE_CAMPAIGNS

    def post(self, request: HttpRequest) -> HttpResponseBase:
        self.tenant()
        request.session.pop(_KEY, None)
        return redirect("console:new_campaign", "what")


def _forecast(campaign: Campaign) -> Forecast:
    return operations.forecast_campaign(campaign, at=clock.now(), rates=_RATES, runs=_RUNS)
