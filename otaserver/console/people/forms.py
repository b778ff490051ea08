from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django import forms
from django.contrib.auth import password_validation
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminEmailInputWidget,
    UnfoldAdminPasswordWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from otaserver.console.names import choices_of
from otaserver.people.rules import PERSONAL_TOKEN_DAYS
from otaserver.tenants.models import Tenant, User
from otaserver.tenants.states import Role

DAYS = (7, 30, PERSONAL_TOKEN_DAYS, 365)


def _days_field() -> forms.TypedChoiceField:
    return forms.TypedChoiceField(
        label=_("Ends in days"),
        choices=[(days, str(days)) for days in DAYS],
        initial=PERSONAL_TOKEN_DAYS,
        coerce=lambda text: timedelta(days=int(text)),
        widget=UnfoldAdminSelectWidget,
    )


def _role_field() -> forms.ChoiceField:
    return forms.ChoiceField(label=_("Role"), choices=choices_of(Role), widget=UnfoldAdminSelectWidget)


class RoleForm(forms.Form):
    """A role for the member whose button is pressed; none is chosen beforehand, which a slip would give."""

    role = forms.ChoiceField(
        label=_("Role to give"),
        choices=[("", "-"), *choices_of(Role)],
        error_messages={"required": _("Choose the role first.")},
        widget=UnfoldAdminSelectWidget,
    )


class InvitationForm(forms.Form):
    role = _role_field()
    email = forms.EmailField(label=_("E-mail"), required=False, max_length=254, widget=UnfoldAdminEmailInputWidget)


class ServiceTokenForm(forms.Form):
    name = forms.CharField(label=_("Name"), max_length=100, widget=UnfoldAdminTextInputWidget)
    role = _role_field()
    life = _days_field()


class PersonalTokenForm(forms.Form):
    """A token acts in one tenant: which, where a person is a member of several."""

    name = forms.CharField(label=_("Name"), max_length=100, widget=UnfoldAdminTextInputWidget)
    tenant = forms.ChoiceField(label=_("Tenant"), widget=UnfoldAdminSelectWidget)
    life = _days_field()

    def __init__(self, tenants: Iterable[Tenant], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [(tenant.pk, tenant.title or tenant.name) for tenant in tenants]
        self.fields["tenant"].choices = choices  # type: ignore[attr-defined]


class TenantChoiceForm(forms.Form):
    tenant = forms.ChoiceField(label=_("Show"), required=False, widget=UnfoldAdminSelectWidget)

    def __init__(self, tenants: Iterable[Tenant], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [("", _("All my tenants")), *((tenant.pk, tenant.title or tenant.name) for tenant in tenants)]
        self.fields["tenant"].choices = choices  # type: ignore[attr-defined]


class NewcomerForm(forms.Form):
    username = forms.CharField(label=_("Username"), max_length=150, widget=UnfoldAdminTextInputWidget)
    password = forms.CharField(
        label=_("Password"),
        strip=False,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
        help_text=password_validation.password_validators_help_text_html(),
    )
    again = forms.CharField(
        label=_("Password again"), strip=False, widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"})
    )

    def clean(self) -> dict[str, Any]:
        found: dict[str, Any] = super().clean() or {}
        password = found.get("password", "")
        if password and found.get("again") != password:
            self.add_error("again", _("The two passwords are not the same."))
        try:
            password_validation.validate_password(password, User(username=found.get("username", "")))
        except forms.ValidationError as error:
            self.add_error("password", error)
        return found
