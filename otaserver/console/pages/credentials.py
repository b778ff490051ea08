"""What lets vehicles in and what they check files against: made, shown once, and ended."""

import base64
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar

from django import forms
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from firmware_store import operations as store
from firmware_store.models import Package, VerificationKey
from firmware_store.states import KeyFormat, PackageState
from otaserver import clock
from otaserver.console.pages.actions import Effect
from otaserver.console.pages.settings import ddi_vehicles
from otaserver.console.pages.writing import WritePage
from otaserver.fleet import operations
from otaserver.fleet.models import Vehicle
from otaserver.fleet.protocol_models import GatewayToken
from otaserver.fleet.provisioning_models import ProvisioningCredential
from otaserver.fleet.states import Protocol
from otaserver.tenants.models import Tenant
from otaserver.tenants.states import Permission

_ONCE = gettext_lazy("Copy it now: it is not shown again.")


class GatewayTokenForm(forms.Form):
    name = forms.CharField(label=gettext_lazy("Name"), max_length=100)
    token = forms.CharField(
        label=gettext_lazy("Token"),
        required=False,
        max_length=128,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        help_text=gettext_lazy("Only if vehicles were flashed with one already. Empty: the server makes one."),
    )


class NewGatewayToken(WritePage):
    permission = Permission.ADMINISTER
    title = gettext_lazy("New gateway token")
    button = gettext_lazy("Make a token")
    note = gettext_lazy("Whoever has it speaks for any vehicle of this tenant that speaks DDI.")
    back = "console:fleet_gatewaytoken_changelist"
    asks_again = False

    def form(self, tenant: Tenant, data: Any = None) -> GatewayTokenForm:
        return GatewayTokenForm(data)

    def effects(self, tenant: Tenant, given: Mapping[str, Any]) -> Sequence[Effect]:
        return [Effect(ddi_vehicles(tenant), _("vehicles speak DDI, and could be spoken for"))]

    def carry_out(self, tenant: Tenant, given: Mapping[str, Any]) -> HttpResponseBase | None:
        chosen = given["token"] or None
        token = operations.create_gateway_token(tenant, name=given["name"], token=chosen, by=self.actor, at=clock.now())
        return None if chosen else self._show_once(token)

    def _show_once(self, token: str) -> HttpResponseBase:
        shown: HttpResponseBase = self.show_once(_("The new token"), str(_ONCE), text=token)
        return shown


class ProvisioningForm(forms.Form):
    name = forms.CharField(label=gettext_lazy("Name"), max_length=40)
    address = forms.CharField(
        label=gettext_lazy("Address of this server for vehicles"),
        max_length=500,
        widget=forms.URLInput(attrs={"placeholder": "https://…/aktualizr/…"}),
    )
    valid_days = forms.IntegerField(
        label=gettext_lazy("Valid for, in days"), min_value=1, max_value=3 * 366, initial=365
    )


class NewProvisioning(WritePage):
    permission = Permission.MANAGE_FLEET
    title = gettext_lazy("New provisioning credential")
    button = gettext_lazy("Issue it")
    note = gettext_lazy("A credential that vehicles share until each has one of its own.")
    back = "console:fleet_provisioningcredential_changelist"
    asks_again = False

    def form(self, tenant: Tenant, data: Any = None) -> ProvisioningForm:
        address = self.request.build_absolute_uri(f"/aktualizr/{tenant.name}")
        return ProvisioningForm(data, initial={"address": address})

    def effects(self, tenant: Tenant, given: Mapping[str, Any]) -> Sequence[Effect]:
        return [Effect(_expected(tenant), _("vehicles are known and not enrolled: those permitted could come with it"))]

    def carry_out(self, tenant: Tenant, given: Mapping[str, Any]) -> HttpResponseBase:
        found = operations.issue_provisioning_credential(
            tenant,
            name=given["name"],
            address=given["address"],
            valid_for=timedelta(days=given["valid_days"]),
            by=self.actor,
            at=clock.now(),
        )
        archive = base64.b64encode(found.archive).decode()
        note = _("Save it now: the server keeps no copy of the key in it.")
        shown: HttpResponseBase = self.show_once(_("The new credential"), note, download=("credentials.zip", archive))
        return shown


class VerificationKeyForm(forms.Form):
    name = forms.CharField(label=gettext_lazy("Name"), max_length=80)
    format = forms.ChoiceField(
        label=gettext_lazy("Files of the format"), choices=[(name, f".{name}") for name in KeyFormat.values]
    )
    hardware_id = forms.CharField(
        label=gettext_lazy("Hardware"),
        max_length=64,
        required=False,
        help_text=gettext_lazy("Empty: for all hardware without keys of its own."),
    )
    pem = forms.CharField(
        label=gettext_lazy("Certificates or public key, in PEM"),
        max_length=65536,
        widget=forms.Textarea(attrs={"rows": 6, "class": "c-code", "spellcheck": "false"}),
    )


class NewVerificationKey(WritePage):
    permission = Permission.ADMINISTER
    title = gettext_lazy("New verification key")
    button = gettext_lazy("Add key")
    note = gettext_lazy("From then on files of this format are published only with a signature that holds against it.")
    back = "console:firmware_store_verificationkey_changelist"

    def form(self, tenant: Tenant, data: Any = None) -> VerificationKeyForm:
        return VerificationKeyForm(data)

    def effects(self, tenant: Tenant, given: Mapping[str, Any]) -> Sequence[Effect]:
        return [Effect(_published(tenant), _("packages are published already, and stay as they are"))]

    def carry_out(self, tenant: Tenant, given: Mapping[str, Any]) -> None:
        store.add_verification_key(tenant, **given, by=self.actor, at=clock.now())


class NoForm(forms.Form):
    """Nothing but the question."""


class EndPage(WritePage):
    """Ends one row for good."""

    tone = "end"
    asks_again = False
    rows: ClassVar[Any]

    def subject(self) -> Tenant:
        self.row = self.find(self.rows.select_related("tenant"), self.kwargs["pk"])
        tenant: Tenant = self.row.tenant
        self.require(tenant, self.permission)
        return tenant

    def form(self, tenant: Tenant, data: Any = None) -> NoForm:
        return NoForm(data)

    @property
    def about(self) -> str:
        """Return what the question is about."""
        return str(self.row.name)


class RevokeGatewayToken(EndPage):
    permission = Permission.ADMINISTER
    title = gettext_lazy("Revoke this gateway token?")
    button = gettext_lazy("Revoke")
    back = "console:fleet_gatewaytoken_changelist"
    rows = GatewayToken.objects

    def effects(self, tenant: Tenant, given: Mapping[str, Any]) -> Sequence[Effect]:
        others = GatewayToken.objects.filter(tenant=tenant, revoked_at=None).exclude(pk=self.row.pk).count()
        return [
            Effect(ddi_vehicles(tenant), _("vehicles speak DDI; those that have only this token are heard no more")),
            Effect(others, _("other gateway tokens go on to hold")),
        ]

    def carry_out(self, tenant: Tenant, given: Mapping[str, Any]) -> None:
        operations.revoke_gateway_token(tenant, name=self.row.name, by=self.actor, at=clock.now())


class RevokeProvisioning(EndPage):
    permission = Permission.MANAGE_FLEET
    title = gettext_lazy("Revoke this provisioning credential?")
    button = gettext_lazy("Revoke")
    back = "console:fleet_provisioningcredential_changelist"
    rows = ProvisioningCredential.objects

    def effects(self, tenant: Tenant, given: Mapping[str, Any]) -> Sequence[Effect]:
        enrolled = Vehicle.objects.of(tenant).filter(protocol=Protocol.AKTUALIZR, enrolled_at__isnull=False).count()
        return [
            Effect(_expected(tenant), _("vehicles are known and not enrolled; none of them can come with it any more")),
            Effect(enrolled, _("vehicles have credentials of their own, which go on to hold")),
        ]

    def carry_out(self, tenant: Tenant, given: Mapping[str, Any]) -> None:
        operations.revoke_provisioning_credential(self.row, by=self.actor, at=clock.now())


class RetireVerificationKey(EndPage):
    permission = Permission.ADMINISTER
    title = gettext_lazy("Retire this verification key?")
    button = gettext_lazy("Retire")
    back = "console:firmware_store_verificationkey_changelist"
    rows = VerificationKey.objects

    def effects(self, tenant: Tenant, given: Mapping[str, Any]) -> Sequence[Effect]:
        same = VerificationKey.objects.filter(
            tenant=tenant, format=self.row.format, hardware_id=self.row.hardware_id, retired_at=None
        ).exclude(pk=self.row.pk)
        return [
            Effect(same.count(), _("other keys for the same files hold; without any, signatures are not checked")),
            Effect(_published(tenant), _("packages are published already, and stay as they are")),
        ]

    def carry_out(self, tenant: Tenant, given: Mapping[str, Any]) -> None:
        store.retire_verification_key(self.row, by=self.actor, at=clock.now())


def _expected(tenant: Tenant) -> int:
    return Vehicle.objects.of(tenant).filter(enrolled_at=None, decommissioned_at=None).count()


def _published(tenant: Tenant) -> int:
    return Package.objects.filter(tenant=tenant, state=PackageState.PUBLISHED).count()
