"""Settings of a tenant: how often its vehicles call, who must agree to campaigns, and how DDI vehicles are read."""

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from otaserver import clock
from otaserver.console.pages.actions import Effect
from otaserver.console.pages.plan_forms import FOREIGN_SOFTWARE
from otaserver.console.pages.writing import ChangeForm, WritePage
from otaserver.fleet import operations as fleet
from otaserver.fleet import queries
from otaserver.fleet.models import Vehicle
from otaserver.fleet.states import Protocol
from otaserver.people import operations as people
from otaserver.people.models import Authenticator
from otaserver.tenants.models import Member, Tenant
from otaserver.tenants.rules import MAX_APPROVALS
from otaserver.tenants.states import Permission

_NAMES = (
    "title",
    "polling_seconds",
    "has_public_targets",
    "late_renewal_days",
    "foreign_software",
    "required_approvals",
    "rollbacks_need_approval",
    "second_factor_required",
    "storage_quota_bytes",
)


class SettingsForm(ChangeForm):
    title = forms.CharField(label=gettext_lazy("Title"), max_length=200, required=False)
    polling_seconds = forms.IntegerField(
        label=gettext_lazy("Vehicles call every, in seconds"), min_value=1, max_value=86400
    )
    late_renewal_days = forms.IntegerField(
        label=gettext_lazy("Renew credentials for so long after their end, in days"), min_value=0, max_value=3650
    )
    has_public_targets = forms.BooleanField(
        label=gettext_lazy("Whoever asks may read which packages there are"), required=False
    )
    foreign_software = forms.ChoiceField(
        label=gettext_lazy("Software that no order brought"),
        choices=[(name, word) for name, word in FOREIGN_SOFTWARE.items() if name],
    )
    required_approvals = forms.IntegerField(
        label=gettext_lazy("People who must approve a campaign"), min_value=0, max_value=MAX_APPROVALS
    )
    rollbacks_need_approval = forms.BooleanField(label=gettext_lazy("Roll-backs too"), required=False)
    second_factor_required = forms.BooleanField(
        label=gettext_lazy("People need a second factor to see this tenant"), required=False
    )
    storage_quota_bytes = forms.IntegerField(
        label=gettext_lazy("Storage, in bytes at most"), min_value=0, max_value=2**62, required=False
    )
    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        required=False,
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text=gettext_lazy("Needed where fewer people would have to agree than before."),
    )


class TenantSettings(WritePage):
    permission = Permission.ADMINISTER
    title = gettext_lazy("Settings")
    button = gettext_lazy("Change settings")
    back = "console:index"

    def form(self, tenant: Tenant, data: Any = None) -> SettingsForm:
        return SettingsForm(data, initial={name: getattr(tenant, name) for name in _NAMES})

    def effects(self, tenant: Tenant, given: Mapping[str, Any]) -> Sequence[Effect]:
        vehicles = Vehicle.objects.of(tenant).filter(enrolled_at__isnull=False).count()
        seconds = given.get("polling_seconds", tenant.polling_seconds)
        found = [
            Effect(vehicles, _("vehicles are enrolled")),
            Effect(-(-60 * vehicles // seconds), _("calls a minute, if all of them keep to it")),
        ]
        if given.get("second_factor_required"):
            members = Member.objects.filter(tenant=tenant)
            without = members.exclude(user__in=Authenticator.objects.filter(is_confirmed=True).values("user"))
            found.append(Effect(without.count(), _("members have no second factor, and see nothing of it until then")))
        return found

    def facts(self, tenant: Tenant, form: forms.Form) -> Sequence[tuple[Any, Any]]:
        return [
            (form.fields[name].label, f"{_shown(before)} → {_shown(after)}")
            for name, (before, after) in self._changed(tenant, form).items()
        ]

    def carry_out(self, tenant: Tenant, given: Mapping[str, Any]) -> None:
        changes = {name: after for name, (_before, after) in self._changed(tenant, self.sent).items()}
        people.change_tenant_settings(tenant, changes, by=self.actor, at=clock.now(), reason=given["reason"])

    def _changed(self, tenant: Tenant, form: forms.Form) -> dict[str, tuple[Any, Any]]:
        changed = form.changed_data
        pairs = {name: (getattr(tenant, name), form.cleaned_data[name]) for name in _NAMES if name in changed}
        return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


class DdiForm(ChangeForm):
    default_hardware_id = forms.CharField(label=gettext_lazy("Hardware until a vehicle says its own"), max_length=64)
    hardware_attribute = forms.CharField(
        label=gettext_lazy("Attribute that tells the hardware"), max_length=128, required=False
    )
    version_attribute = forms.CharField(
        label=gettext_lazy("Attribute that tells the version that runs"), max_length=128, required=False
    )
    chunk_parts = forms.CharField(
        label=gettext_lazy("Parts of packages"),
        required=False,
        max_length=20_000,
        widget=forms.Textarea(attrs={"rows": 3, "class": "c-code", "placeholder": "gateway = os"}),
        help_text=gettext_lazy("One a line: hardware = part. Where none is named it is os."),
    )
    authorities = forms.CharField(
        label=gettext_lazy("Who may vouch for vehicles"),
        required=False,
        max_length=20_000,
        widget=forms.Textarea(attrs={"rows": 3, "class": "c-code"}),
        help_text=gettext_lazy("Names of authorities or issuer hashes, one a line."),
    )

    def clean_chunk_parts(self) -> dict[str, str]:
        found = {}
        for line in self.cleaned_data["chunk_parts"].splitlines():
            hardware, is_pair, part = (each.strip() for each in line.partition("="))
            if line.strip() and not (hardware and is_pair and part):
                raise forms.ValidationError(_("%(line)s: write it like gateway = os.") % {"line": line.strip()})
            if line.strip():
                found[hardware] = part
        return found

    def clean_authorities(self) -> list[str]:
        return [line.strip() for line in self.cleaned_data["authorities"].splitlines() if line.strip()]


class DdiSettingsPage(WritePage):
    permission = Permission.ADMINISTER
    title = gettext_lazy("DDI settings")
    button = gettext_lazy("Change settings")
    back = "console:fleet_ddisettings_changelist"

    def form(self, tenant: Tenant, data: Any = None) -> DdiForm:
        now = queries.ddi_settings(tenant)
        parts = "\n".join(f"{hardware} = {part}" for hardware, part in sorted(now.chunk_parts.items()))
        initial = {name: getattr(now, name) for name in DdiForm.base_fields}
        return DdiForm(data, initial={**initial, "chunk_parts": parts, "authorities": "\n".join(now.authorities)})

    def effects(self, tenant: Tenant, given: Mapping[str, Any]) -> Sequence[Effect]:
        return [Effect(ddi_vehicles(tenant), _("vehicles speak DDI, and are read so from their next call on"))]

    def facts(self, tenant: Tenant, form: forms.Form) -> Sequence[tuple[Any, Any]]:
        return [
            (form.fields[name].label, f"{_shown(before)} → {_shown(after)}")
            for name, (before, after) in self._changed(tenant, form).items()
        ]

    def carry_out(self, tenant: Tenant, given: Mapping[str, Any]) -> None:
        changes = {name: after for name, (_before, after) in self._changed(tenant, self.sent).items()}
        if changes:
            fleet.change_ddi_settings(tenant, changes, by=self.actor, at=clock.now())

    def _changed(self, tenant: Tenant, form: forms.Form) -> dict[str, tuple[Any, Any]]:
        now, changed = queries.ddi_settings(tenant), form.changed_data
        pairs = {name: (getattr(now, name), value) for name, value in form.cleaned_data.items() if name in changed}
        return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def ddi_vehicles(tenant: Tenant) -> int:
    """Return how many enrolled vehicles of a tenant speak DDI."""
    return Vehicle.objects.of(tenant).filter(protocol=Protocol.DDI, enrolled_at__isnull=False).count()


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, dict):
        return ", ".join(f"{name} = {each}" for name, each in sorted(value.items())) or "-"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "-"
    return "-" if value in (None, "") else str(value)
