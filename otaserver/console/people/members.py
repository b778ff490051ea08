"""Members, invitations and service tokens of one tenant, for whoever administers it."""

from collections.abc import Sequence
from typing import Any

from django.db.models import Model, QuerySet
from django.forms import Form
from django.http import Http404
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from otaserver import clock
from otaserver.console.people.forms import InvitationForm, RoleForm, ServiceTokenForm
from otaserver.console.people.pages import Panel, TenantPage, button, row_number
from otaserver.console.tables import NOTHING, Table, moment
from otaserver.people import operations
from otaserver.people.invitation_mail import link_of, send_link
from otaserver.people.models import Invitation
from otaserver.tenants.models import Member, ServiceToken
from otaserver.tenants.states import Permission


def _role_form(data: Any = None) -> RoleForm:
    # Beside it stands a form with a role of its own: a label speaks for the first element of its id alone.
    return RoleForm(data, auto_id="id_given_%s")


class AdministrationPage(TenantPage):
    permission = Permission.ADMINISTER

    def find(self, rows: QuerySet[Any], argument: str) -> Any:
        found = rows.filter(tenant=self.tenant, pk=row_number(argument)).first()
        if found is None:
            raise Http404("There is no such row.")
        return found


class MembersPage(AdministrationPage):
    title = gettext_lazy("Members")

    def panels(self) -> Sequence[Panel]:
        return [self._members(), self._invitations()]

    def _members(self) -> Panel:
        members = Member.objects.filter(tenant=self.tenant).select_related("user").order_by("user__username")
        rows = [
            [
                member.user.get_username(),
                member.get_role_display(),
                moment(member.user.last_login),
                format_html(
                    "{} {}",
                    button(f"change_role:{member.pk}", _("Give the role below")),
                    button(
                        f"remove:{member.pk}",
                        _("Remove"),
                        is_danger=True,
                        sure=_("Remove %(name)s from %(tenant)s?")
                        % {"name": member.user.get_username(), "tenant": self.tenant},
                    ),
                ),
            ]
            for member in members
        ]
        headers = [_("member"), _("role"), _("last sign-in"), ""]
        return Panel(_("Members of %s") % self.tenant, table=Table("", headers, rows), form=self.form(_role_form()))

    def _invitations(self) -> Panel:
        rows = [
            [
                invitation.get_role_display(),
                invitation.email or NOTHING,
                invitation.created_by,
                moment(invitation.expires_at),
                button(
                    f"revoke_invitation:{invitation.pk}",
                    _("Revoke"),
                    sure=_("Revoke this link? It lets nobody in then."),
                ),
            ]
            for invitation in Invitation.objects.filter(
                tenant=self.tenant, accepted_at=None, revoked_at=None, expires_at__gt=clock.now()
            ).order_by("-pk")
        ]
        headers = [_("role"), _("e-mail"), _("by"), _("ends"), ""]
        return Panel(
            _("Invitations"),
            _("A link makes one person a member, once."),
            table=Table("", headers, rows) if rows else None,
            form=self.form(InvitationForm()),
            buttons=[button("invite", _("Make a link"))],
        )

    def change_role(self, argument: str = "") -> Form | None:
        form = _role_form(self.request.POST)
        member = self.find(Member.objects.select_related("tenant"), argument)
        if not form.is_valid():
            return form
        operations.change_role(member, role=form.cleaned_data["role"], by=self.grantor, at=clock.now())
        return None

    def remove(self, argument: str = "") -> None:
        member = self.find(Member.objects.select_related("tenant"), argument)
        operations.remove_member(member, by=self.actor, at=clock.now())

    def invite(self) -> Panel | Form:
        form = InvitationForm(self.request.POST)
        if not form.is_valid():
            return form
        made, secret = operations.invite(self.tenant, **form.cleaned_data, by=self.grantor, at=clock.now())
        link = self.request.build_absolute_uri(link_of(secret))
        if send_link(made, link):
            note = _("It was sent to %s, and is not shown again.") % made.email
        else:
            note = _("Give it to whom it is for: it is not shown again.")
        return Panel(_("The link"), note, shown_once=[link])

    def revoke_invitation(self, argument: str = "") -> None:
        invitation = self.find(Invitation.objects.select_related("tenant"), argument)
        operations.revoke_invitation(invitation, by=self.actor, at=clock.now())

    actions = {
        "change_role": change_role,
        "remove": remove,
        "invite": invite,
        "revoke_invitation": revoke_invitation,
    }


class TokensPage(AdministrationPage):
    title = gettext_lazy("Service tokens")

    def panels(self) -> Sequence[Panel]:
        tokens = ServiceToken.objects.filter(tenant=self.tenant).order_by("-pk")
        headers = [_("name"), _("role"), _("by"), _("last used"), _("ends"), _("revoked")]
        rows = [
            [
                token.name,
                token.get_role_display() if token.permissions is None else ", ".join(token.permissions),
                token.created_by,
                moment(token.last_used_at),
                moment(token.expires_at),
                moment(token.revoked_at) if token.revoked_at else self._revoke_button(token),
            ]
            for token in tokens
        ]
        return [
            Panel(
                _("Service tokens of %s") % self.tenant,
                _("For programs. Whoever makes one answers for what it does: it is no second person."),
                table=Table("", headers, rows) if rows else None,
                form=self.form(ServiceTokenForm()),
                buttons=[button("make", _("Make a token"))],
            )
        ]

    def _revoke_button(self, token: ServiceToken) -> SafeString:
        sure = _("Revoke the token %(name)s? Programs that use it are refused from then on.") % {"name": token.name}
        return button(f"revoke:{token.pk}", _("Revoke"), sure=sure)

    def make(self) -> Panel | Form:
        form = ServiceTokenForm(self.request.POST)
        if not form.is_valid():
            return form
        wanted, at = form.cleaned_data, clock.now()
        _made, secret = operations.issue_service_token(
            self.tenant,
            name=wanted["name"],
            role=wanted["role"],
            by=self.grantor,
            at=at,
            expires_at=at + wanted["life"],
        )
        return Panel(_("The new token"), _("Copy it now: it is not shown again."), shown_once=[secret])

    def revoke(self, argument: str = "") -> None:
        token: Model = self.find(ServiceToken.objects.select_related("tenant"), argument)
        if isinstance(token, ServiceToken):
            operations.revoke_service_token(token, by=self.actor, at=clock.now())

    actions = {"make": make, "revoke": revoke}
