"""A new campaign in steps: what was given is kept from step to step, until it is sent or thrown away."""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpRequest, QueryDict
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from otaserver import clock
from otaserver.campaigns import operations
from otaserver.campaigns.draft_models import PlanDraft
from otaserver.campaigns.errors import CampaignMovedError
from otaserver.campaigns.models import Campaign
from otaserver.campaigns.operations import CampaignPlan
from otaserver.campaigns.states import CampaignState
from otaserver.console import refusals
from otaserver.console.access import SHOWN_TENANT
from otaserver.console.pages import plan_words
from otaserver.console.pages.base import Page, is_fragment
from otaserver.console.pages.gate_forms import GateForm
from otaserver.console.pages.plan_forecasts import kept_forecast
from otaserver.console.pages.plan_forms import StepForm, WhatForm, WhomForm
from otaserver.console.pages.wave_forms import waves_of
from otaserver.console.pages.when_forms import WhenForm
from otaserver.errors import OtaError
from otaserver.tenants.models import Tenant
from otaserver.tenants.states import Permission

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
_NUMBER = re.compile(r"[0-9]{1,9}\Z")
_BUTTONS = frozenset({"csrfmiddlewaretoken", SHOWN_TENANT, "next", "back", "more", "suggest"})


# Steps whose rows are added two at a time, and the prefix of their rows' names.
_ROWS: Mapping[str, str] = {"waves": "form", "when": "window"}


def _number(text: object) -> int:
    """Return the number that a form sends, 0 for what is none: it is refused where one is needed."""
    return int(str(text)) if _NUMBER.match(str(text)) else 0


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
        revision = self._draft.campaign_revision if self._draft is not None else None
        self._keep(tenant, step, request.POST)
        self._follow(tenant, revision)
        if "back" in request.POST:
            return self._go(tenant, _ORDER[max(_ORDER.index(step) - 1, 0)])
        if "more" in request.POST:
            return self._go(tenant, step)
        if "suggest" in request.POST:
            return self._suggest(tenant)
        form = self._form(tenant, step)
        if not form.is_valid():
            return self._show(tenant, step, form, status=422)
        return self._go(tenant, _ORDER[_ORDER.index(step) + 1])

    def _go(self, tenant: Tenant, step: str) -> HttpResponseBase:
        return redirect(self.address(tenant, "new_campaign", step))

    def _open(self, step: str) -> Tenant:
        if step not in STEPS:
            raise Http404(f"There is no step {step}.")
        tenant = self.tenant()
        self._draft = PlanDraft.objects.filter(tenant=tenant, person=self.person).select_related("campaign").first()
        return tenant

    def _keep(self, tenant: Tenant, step: str, data: QueryDict) -> None:
        # PostgreSQL stores no NUL, and what is kept was not looked at by any field yet.
        given = {
            name.replace("\0", ""): [str(value).replace("\0", "") for value in values]
            for name, values in data.lists()
            if name not in _BUTTONS
        }
        rows = f"{_ROWS.get(step, '')}-TOTAL_FORMS"
        if "more" in data:
            given[rows] = [str(_number(data.get(rows)) + 2)]
        self._draft = operations.keep_step(tenant, self.person, step, given, at=clock.now())

    def _given(self, step: str) -> QueryDict | None:
        kept = self._draft.steps.get(step) if self._draft is not None else None
        if kept is None:
            return None
        data = QueryDict(mutable=True)
        for name, values in kept.items():
            data.setlist(name, values)
        return data

    def _form(self, tenant: Tenant, step: str) -> Any:
        data = self._given(step)
        if step == "waves":
            return waves_of(tenant, data)
        form = _FORMS[step]
        return form(tenant, data, initial=getattr(form, "DEFAULTS", {}))

    def _show(
        self, tenant: Tenant, step: str, form: Any, *, status: int = 200, error: str = "", **more: Any
    ) -> HttpResponseBase:
        context: dict[str, Any] = {
            "tenant": tenant,
            "tenants": list(self.tenants()),
            "step": step,
            "steps": [
                (name, title, self._is_done(tenant, name), self.address(tenant, "new_campaign", name))
                for name, title in STEPS.items()
            ],
            "back": self.address(tenant, "new_campaign", _ORDER[max(_ORDER.index(step) - 1, 0)]),
            "fit_address": self.address(tenant, "new_campaign", "whom"),
            "drop_address": self.address(tenant, "drop_draft") if self._draft is not None else "",
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
        return self._given(step) is not None and bool(self._form(tenant, step).is_valid())

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
                found = operations.ask_fit(release, group, at=clock.now())
            except OtaError as refusal:
                error = refusals.of(refusal)
        context = {"release": release, "group": group, "counted": found, "error": error}
        return self.render("", template="console/new_fit.html", **context)

    def _suggest(self, tenant: Tenant) -> HttpResponseBase:
        release, group = self._chosen(tenant, "what", "release"), self._chosen(tenant, "whom", "group")
        if release is None or group is None:
            error = _("Choose the release and the group first.")
            return self._show(tenant, "waves", self._form(tenant, "waves"), status=422, error=error)
        budget = self.request.POST.get("failure_budget", "")
        at = clock.now()
        try:
            counted = operations.ask_fit(release, group, at=at)
            if counted is None:
                error = _("The vehicles of the group are being counted. Ask again in a few seconds.")
                return self._show(tenant, "waves", self._form(tenant, "waves"), error=error)
            found = operations.suggest_waves(release, group, failure_budget=_number(budget), at=at, counted=counted.fit)
        except OtaError as refusal:
            return self._show(tenant, "waves", self._form(tenant, "waves"), status=422, error=refusals.of(refusal))
        rows = [
            {
                "size": (size.percent if size.percent is not None else size.count),
                "unit": "percent" if size.percent is not None else "count",
                "max_failed": 0,
            }
            for size in found.suggestion.sizes
        ]
        return self._show(tenant, "waves", waves_of(tenant, initial=rows), suggestion=found, budget=budget)

    def _plan(self, tenant: Tenant) -> tuple[CampaignPlan | None, str]:
        """Return the plan, or the first step that is not complete."""
        parts: dict[str, Any] = {}
        for step in _ORDER[:-1]:
            form = self._form(tenant, step)
            if not form.is_valid():
                return None, step
            parts |= form.plan()
        return CampaignPlan(**parts), ""

    def _follow(self, tenant: Tenant, revision: int | None) -> None:
        """Let the drafted campaign be what complete steps say, unless somebody else has changed it."""
        plan, _unfinished = self._plan(tenant)
        if plan is None or (self._campaign() is not None and revision is None):
            return
        try:
            self._store(tenant, plan, revision or 0)
        except CampaignMovedError:
            # The review says so, and asks.
            return
        except OtaError as error:
            messages.error(self.request, refusals.of(error))

    def _campaign(self) -> Campaign | None:
        """Return the draft campaign that the plan has become, as it is now."""
        found = self._draft.campaign if self._draft is not None else None
        return found if found is not None and found.state == CampaignState.DRAFT else None

    @transaction.atomic
    def _store(self, tenant: Tenant, plan: CampaignPlan, revision: int) -> Campaign:
        """Store the plan as a campaign that is at this revision; 0: as a new one."""
        at, campaign, draft = clock.now(), self._campaign(), self._draft
        assert draft is not None, "a plan that is complete was kept"
        if campaign is None:
            campaign = operations.create_campaign(tenant, plan, by=self.actor, at=at)
        else:
            operations.change_campaign(campaign, plan, revision=revision, by=self.actor, at=at)
        operations.link_campaign(draft, campaign, at=at)
        return campaign

    def _review(self, tenant: Tenant, *, status: int = 200, error: str = "") -> HttpResponseBase:
        plan, unfinished = self._plan(tenant)
        if plan is None or self._draft is None:
            return self._go(tenant, unfinished)
        operations.note_review(self._draft, at=clock.now())
        campaign = self._campaign()
        is_same = campaign is not None and campaign.revision == self._draft.campaign_revision
        return self._show(
            tenant,
            "review",
            None,
            status=status,
            error=error,
            plan=plan,
            facts=plan_words.facts(self._form(tenant, step) for step in _FORMS),
            campaign=campaign,
            forecast=kept_forecast(campaign) if campaign is not None and is_same else None,
            shown=self._shown(plan),
        )

    def _shown(self, plan: CampaignPlan) -> str:
        """Return what the review sends back of what it shows: the steps, as a digest, and the campaign's revision.

        A time is written in the viewer's zone, which may be another where the plan is sent.
        """
        assert self._draft is not None, "a review shows a plan that was kept"
        campaign = self._campaign()
        said = json.dumps([self._draft.steps, str(plan.ends_at)], sort_keys=True).encode()
        return f"{campaign.revision if campaign is not None else 0}.{hashlib.sha256(said).hexdigest()[:32]}"

    def _finish(self, tenant: Tenant) -> HttpResponseBase:
        plan, unfinished = self._plan(tenant)
        if plan is None:
            return self._go(tenant, unfinished)
        try:
            campaign = self._sent(tenant, plan)
        except OtaError as error:
            self._open("review")
            return self._review(tenant, status=error.status, error=refusals.of(error))
        return redirect("console:control_room", campaign.pk)

    @transaction.atomic
    def _sent(self, tenant: Tenant, plan: CampaignPlan) -> Campaign:
        shown = self._shown(plan)
        if self.request.POST.get("shown") != shown:
            raise CampaignMovedError(_("This plan has changed since you opened this page. Look at it again."))
        campaign = self._store(tenant, plan, int(shown.partition(".")[0]))
        if "submit" in self.request.POST:
            operations.submit_campaign(campaign, by=self.actor, at=clock.now())
        operations.drop_plan(tenant, self.person)
        return campaign
