"""Doing something to a campaign: what it comes to first, then the doing, with a reason."""

from datetime import datetime
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from firmware_store.models import Release
from otaserver import clock
from otaserver.campaigns import operations
from otaserver.campaigns.errors import CampaignMovedError
from otaserver.campaigns.models import Campaign, Decision, Wave
from otaserver.campaigns.states import WaveState
from otaserver.console import refusals
from otaserver.console.access import permissions_in
from otaserver.console.pages import actions, effects
from otaserver.console.pages.actions import Action
from otaserver.console.pages.control_room import CampaignPage
from otaserver.errors import OtaError
from otaserver.tenants.states import Permission


class ConfirmAction(CampaignPage):
    """Asks whether to do one thing to a campaign, and does it."""

    template = "console/confirm.html"

    def get(self, request: HttpRequest, pk: int, name: str) -> HttpResponseBase:
        campaign, action = self._wanted(name)
        return self._ask(campaign, action, _Form(campaign, action))

    def post(self, request: HttpRequest, pk: int, name: str) -> HttpResponseBase:
        campaign, action = self._wanted(name)
        form = _Form(campaign, action, data=request.POST)
        if not form.is_valid():
            return self._ask(campaign, action, form, status=422)
        try:
            made = self._carry_out(campaign, action, form.cleaned_data, at=clock.now())
        except OtaError as error:
            # What is shown beside the refusal are the numbers as they are by now.
            form.add_error(None, refusals.of(error))
            return self._ask(self.campaign(), action, form, status=error.status)
        messages.success(request, _("Done: %(what)s.") % {"what": action.label})
        return redirect("console:control_room", made.pk)

    def _wanted(self, name: str) -> tuple[Campaign, Action]:
        action = actions.BY_NAME.get(name)
        if action is None:
            raise Http404(f"There is no action {name}.")
        campaign = self.campaign()
        if not actions.is_allowed(action, campaign, permissions_in(self.person, campaign.tenant)):
            raise PermissionDenied(f"This needs the permission {action.permission.value} in {campaign.tenant}.")
        return campaign, action

    def _ask(self, campaign: Campaign, action: Action, form: "_Form", *, status: int = 200) -> HttpResponseBase:
        if not actions.is_possible(action, campaign) and status == 200:
            messages.warning(
                self.request,
                _("%(campaign)s is %(state)s by now; this cannot be done to it.")
                % {"campaign": campaign, "state": campaign.get_state_display()},
            )
            return redirect("console:control_room", campaign.pk)
        found, refusal = effects.counted(action.name, campaign, at=clock.now())
        form.carry(revision=str(campaign.revision), shown=effects.numbers(found, refusal))
        return self.render(
            str(action.question),
            status=status,
            subtitle=campaign.name,
            campaign=campaign,
            action=action,
            form=form,
            effects=found,
            refusal=refusal,
        )

    def _carry_out(self, campaign: Campaign, action: Action, given: dict[str, Any], *, at: datetime) -> Campaign:
        # An emergency stop is for whatever runs; anything else is for what the person has read.
        if action.tone != "stop" and given["revision"] != campaign.revision:
            raise CampaignMovedError(
                _("This campaign has moved since you opened this page. Look at the numbers again.")
            )
        if not action.holds_back and given["shown"] != effects.numbers(*effects.counted(action.name, campaign, at=at)):
            raise CampaignMovedError(_("These numbers have changed since you opened this page. Look at them again."))
        values = {name: value for name, value in given.items() if name not in ("revision", "shown")}
        if action.name == "approve":
            values["revision"] = given["revision"]
        made = action.operation(campaign, **values, by=self.actor, at=at)
        return made if isinstance(made, Campaign) else campaign


class _ReadForm(forms.Form):
    """A form that sends back what its page has shown, also where the page is shown again with other numbers."""

    revision = forms.IntegerField(widget=forms.HiddenInput)
    shown = forms.CharField(widget=forms.HiddenInput, max_length=200)

    def carry(self, **values: str) -> None:
        self.initial.update(values)
        if self.is_bound:
            self.data = {name: self.data[name] for name in self.data} | values


class _Form(_ReadForm):
    """What an action asks for besides a yes."""

    def __init__(self, campaign: Campaign, action: Action, *, data: Any = None) -> None:
        super().__init__(data, initial={"name": f"{campaign.name[:95]} back"})
        if action.takes_reason:
            self.fields["reason"] = forms.CharField(
                label=_("Reason"),
                required=actions.needs_reason(action, campaign),
                max_length=2000,
                widget=forms.Textarea(attrs={"rows": 2}),
                help_text=_("It stands in the record of decisions."),
            )
        if action.name == "schedule":
            widget = forms.DateTimeInput(attrs={"type": "datetime-local"})
            self.fields["starts_at"] = forms.DateTimeField(label=_("Starts at"), widget=widget)
        if action.name == "rollback":
            others = Release.objects.filter(tenant=campaign.tenant, published_at__isnull=False)
            self.fields["name"] = forms.CharField(label=_("Name of the roll-back"), max_length=100)
            self.fields["release"] = forms.ModelChoiceField(
                others.exclude(pk=campaign.release_id).order_by("-created_at"),
                label=_("Release to return to"),
                initial=campaign.fallback_release_id,
            )


class DecideWave(CampaignPage):
    """A wave that asks a person: on, or halt."""

    template = "console/decide_wave.html"

    def get(self, request: HttpRequest, pk: int, number: int) -> HttpResponseBase:
        return self._ask(self._wave(number), ReasonForm())

    def post(self, request: HttpRequest, pk: int, number: int) -> HttpResponseBase:
        wave, form = self._wave(number), ReasonForm(request.POST)
        if not form.is_valid() or request.POST.get("passed") not in ("yes", "no"):
            return self._ask(wave, form, status=422)
        try:
            self._decide(wave, form.cleaned_data, passed=request.POST["passed"] == "yes")
        except OtaError as error:
            form.add_error(None, refusals.of(error))
            return self._ask(self._wave(number), form, status=error.status)
        return redirect("console:control_room", wave.campaign_id)

    def _decide(self, wave: Wave, given: dict[str, Any], *, passed: bool) -> None:
        asked, following = _question(wave)
        if given["shown"] != _shown(asked, following) or given["revision"] != wave.campaign.revision:
            raise CampaignMovedError(_("These numbers have changed since you opened this page. Look at them again."))
        operations.decide_wave(wave, passed=passed, reason=given["reason"], by=self.actor, at=clock.now())

    def _wave(self, number: int) -> Wave:
        campaign = self.campaign()
        self.require(campaign.tenant, Permission.MANAGE_CAMPAIGNS)
        wave = campaign.waves.select_related("campaign__tenant").filter(number=number).first()
        if wave is None:
            raise Http404(f"There is no wave {number}.")
        return wave

    def _ask(self, wave: Wave, form: "ReasonForm", *, status: int = 200) -> HttpResponseBase:
        if wave.state != WaveState.UNDECIDED and status == 200:
            return redirect("console:control_room", wave.campaign_id)
        asked, following = _question(wave)
        form.carry(revision=str(wave.campaign.revision), shown=_shown(asked, following))
        title = _("Does wave %(number)s pass?") % {"number": wave.number}
        context: dict[str, Any] = {"wave": wave, "form": form, "asked": asked, "following": following}
        return self.render(title, status=status, subtitle=wave.campaign.name, campaign=wave.campaign, **context)


def _question(wave: Wave) -> tuple[Decision | None, Wave | None]:
    """Return what the engine asks of this wave, and the wave that comes if it passes."""
    asked = wave.decisions.filter(kind="wave.undecided").order_by("-at").first()
    return asked, wave.campaign.waves.filter(number=wave.number + 1).first()


def _shown(asked: Decision | None, following: Wave | None) -> str:
    return f"{asked.pk if asked else 0}.{(following.places if following else None) or 0}"


class ReasonForm(_ReadForm):
    reason = forms.CharField(label=gettext_lazy("Reason"), max_length=2000, widget=forms.Textarea(attrs={"rows": 2}))
