"""Webhooks: whom events are posted to, made, changed, held, and delivered to again."""

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from otaserver import clock
from otaserver.console.pages.actions import Effect
from otaserver.console.pages.credentials import NoForm
from otaserver.console.pages.writing import ChangeForm, WritePage
from otaserver.events import operations
from otaserver.events.models import Delivery, Endpoint
from otaserver.events.rules.types import TYPES
from otaserver.events.states import DeliveryState, EndpointState
from otaserver.tenants.models import Tenant
from otaserver.tenants.states import Permission


def _patterns() -> list[tuple[str, str]]:
    nouns = dict.fromkeys(name.partition(".")[0] for name in TYPES)
    names = [[f"{noun}.*", *(name for name in TYPES if name.startswith(f"{noun}."))] for noun in nouns]
    return [(name, name) for each in names for name in each]


class WebhookForm(ChangeForm):
    url = forms.CharField(
        label=gettext_lazy("Address"),
        max_length=500,
        widget=forms.URLInput(attrs={"placeholder": "https://…"}),
        help_text=gettext_lazy("Each event is posted there, signed."),
    )
    description = forms.CharField(label=gettext_lazy("Description"), max_length=200, required=False)
    types = forms.MultipleChoiceField(
        label=gettext_lazy("Events"),
        required=False,
        choices=_patterns,
        widget=forms.CheckboxSelectMultiple(attrs={"class": "c-checks"}),
        help_text=gettext_lazy("None chosen: the usual ones, which are all but those of which there may be thousands."),
    )


class PauseForm(forms.Form):
    reason = forms.CharField(
        label=gettext_lazy("Reason"), max_length=500, widget=forms.Textarea(attrs={"rows": 2, "autofocus": True})
    )


class SpanForm(forms.Form):
    since = forms.DateTimeField(
        label=gettext_lazy("From"), widget=forms.DateTimeInput(attrs={"type": "datetime-local"})
    )
    until = forms.DateTimeField(label=gettext_lazy("To"), widget=forms.DateTimeInput(attrs={"type": "datetime-local"}))


class NewWebhook(WritePage):
    permission = Permission.ADMINISTER
    title = gettext_lazy("New webhook")
    button = gettext_lazy("Make a webhook")
    note = gettext_lazy("The secret that its messages are signed with is shown once, when it is made.")
    back = "console:events_endpoint_changelist"
    asks_again = False

    def form(self, tenant: Tenant, data: Any = None) -> WebhookForm:
        return WebhookForm(data)

    def carry_out(self, tenant: Tenant, given: Mapping[str, Any]) -> HttpResponseBase:
        _made, secret = operations.create_endpoint(tenant, **given, by=self.actor, at=clock.now())
        shown: HttpResponseBase = self.show_once(
            _("The secret of the new webhook"), _("Copy it now: it is not shown again."), text=secret
        )
        return shown


class WebhookPage(WritePage):
    """Changes one endpoint that was not removed."""

    permission = Permission.ADMINISTER
    back = "console:events_endpoint_changelist"
    asks_again = False

    def subject(self) -> Tenant:
        rows = Endpoint.objects.exclude(state=EndpointState.REMOVED).select_related("tenant")
        self.endpoint = self.find(rows, self.kwargs["pk"])
        self.require(self.endpoint.tenant, self.permission)
        return self.endpoint.tenant

    @property
    def about(self) -> str:
        """Return what the question is about."""
        return self.endpoint.url

    def form(self, tenant: Tenant, data: Any = None) -> forms.Form:
        return NoForm(data)

    def effects(self, tenant: Tenant, given: Mapping[str, Any]) -> Sequence[Effect]:
        return [Effect(self._waiting(), _("deliveries wait"))]

    def _waiting(self) -> int:
        return Delivery.objects.filter(endpoint=self.endpoint, state=DeliveryState.PENDING).count()


class ChangeWebhook(WebhookPage):
    title = gettext_lazy("Change this webhook")
    button = gettext_lazy("Change it")

    def form(self, tenant: Tenant, data: Any = None) -> WebhookForm:
        return WebhookForm(data, initial={name: getattr(self.endpoint, name) for name in WebhookForm.base_fields})

    def effects(self, tenant: Tenant, given: Mapping[str, Any]) -> Sequence[Effect]:
        return [Effect(self._waiting(), _("deliveries wait, and go to the new address"))]

    def carry_out(self, tenant: Tenant, given: Mapping[str, Any]) -> None:
        changed = {name: value for name, value in given.items() if name in self.sent.changed_data}
        operations.change_endpoint(self.endpoint, **changed, by=self.actor, at=clock.now())


class PauseWebhook(WebhookPage):
    title = gettext_lazy("Pause this webhook?")
    button = gettext_lazy("Pause")
    tone = "plain"
    note = gettext_lazy("Nothing more is delivered; what happens meanwhile can be delivered again later.")

    def form(self, tenant: Tenant, data: Any = None) -> PauseForm:
        return PauseForm(data)

    def carry_out(self, tenant: Tenant, given: Mapping[str, Any]) -> None:
        operations.pause_endpoint(self.endpoint, reason=given["reason"], by=self.actor, at=clock.now())


class ResumeWebhook(WebhookPage):
    title = gettext_lazy("Deliver to this webhook again?")
    button = gettext_lazy("Resume")

    def carry_out(self, tenant: Tenant, given: Mapping[str, Any]) -> None:
        operations.resume_endpoint(self.endpoint, by=self.actor, at=clock.now())


class RotateWebhookSecret(WebhookPage):
    title = gettext_lazy("Give this webhook a new secret?")
    button = gettext_lazy("New secret")
    note = gettext_lazy("For a day the old secret signs beside the new one, so that nothing is refused meanwhile.")

    def carry_out(self, tenant: Tenant, given: Mapping[str, Any]) -> HttpResponseBase:
        secret = operations.rotate_secret(self.endpoint, by=self.actor, at=clock.now())
        shown: HttpResponseBase = self.show_once(
            _("The new secret of the webhook"), _("Copy it now: it is not shown again."), text=secret
        )
        return shown


class TryWebhook(WebhookPage):
    title = gettext_lazy("Send a test to this webhook?")
    button = gettext_lazy("Send a test")
    note = gettext_lazy("An event that says nothing is delivered, whatever the webhook is for.")

    def carry_out(self, tenant: Tenant, given: Mapping[str, Any]) -> None:
        operations.send_test(self.endpoint, by=self.actor, at=clock.now())


class ReplayWebhook(WebhookPage):
    title = gettext_lazy("Deliver again what happened in a time span")
    button = gettext_lazy("Deliver again")

    def form(self, tenant: Tenant, data: Any = None) -> SpanForm:
        return SpanForm(data)

    def carry_out(self, tenant: Tenant, given: Mapping[str, Any]) -> None:
        operations.replay_span(self.endpoint, **given, by=self.actor, at=clock.now())


class RemoveWebhook(WebhookPage):
    title = gettext_lazy("Remove this webhook?")
    button = gettext_lazy("Remove")
    tone = "end"

    def effects(self, tenant: Tenant, given: Mapping[str, Any]) -> Sequence[Effect]:
        return [Effect(self._waiting(), _("deliveries wait, and are given up"))]

    def carry_out(self, tenant: Tenant, given: Mapping[str, Any]) -> None:
        operations.remove_endpoint(self.endpoint, by=self.actor, at=clock.now())


class ReplayDelivery(WritePage):
    permission = Permission.ADMINISTER
    title = gettext_lazy("Deliver this event again?")
    button = gettext_lazy("Deliver again")
    back = "console:events_delivery_changelist"
    asks_again = False

    def subject(self) -> Tenant:
        rows = Delivery.objects.select_related("event", "endpoint__tenant")
        self.delivery = self.find(rows, self.kwargs["pk"], tenant_field="endpoint__tenant")
        self.require(self.delivery.endpoint.tenant, self.permission)
        return self.delivery.endpoint.tenant

    @property
    def about(self) -> str:
        """Return what the question is about."""
        return str(self.delivery)

    def form(self, tenant: Tenant, data: Any = None) -> NoForm:
        return NoForm(data)

    def carry_out(self, tenant: Tenant, given: Mapping[str, Any]) -> None:
        operations.replay_delivery(self.delivery, by=self.actor, at=clock.now())
