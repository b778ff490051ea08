"""A person's own things: password, second factor, tokens, sessions, and which of their tenants they look at."""

from collections.abc import Sequence

import segno
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.forms import Form
from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from otaserver import clock
from otaserver.console import refusals
from otaserver.console.access import tenants_in_session
from otaserver.console.people import sessions
from otaserver.console.people.forms import PersonalTokenForm, TenantChoiceForm
from otaserver.console.people.pages import Panel, PanelPage, button, grantor_of, row_number
from otaserver.console.people.sign_in import CodeForm, counted_try, show_code
from otaserver.console.tables import Table, moment
from otaserver.people import operations, rules
from otaserver.people.errors import CodeWrongError
from otaserver.people.models import PersonalToken, SignOnIdentity
from otaserver.people.states import SignInStep
from otaserver.tenants.models import Member, Tenant, User


class ProfilePage(PanelPage):
    title = gettext_lazy("Your profile")

    def panels(self) -> Sequence[Panel]:
        found = [self._second_factor(), self._tokens(), self._sessions()]
        own = list(self._own_tenants())
        if len(own) > 1:
            initial = {"tenant": self.person.chosen_tenant_id or ""}
            form = TenantChoiceForm(own, initial=initial, auto_id="id_shown_%s")
            found.append(Panel(_("Tenant"), form=form, buttons=[button("choose", _("Show"))]))
        return found

    def _own_tenants(self) -> QuerySet[Tenant]:
        """All tenants of the person that their session may show, also those that it does not show just now."""
        everything = Tenant.objects.all()
        own = everything if self.person.is_superuser else everything.filter(members__user=self.person)
        return (own if self.person.has_second_factor else own.filter(second_factor_required=False)).order_by("name")

    def _second_factor(self) -> Panel:
        if not operations.has_second_factor(self.person):
            link = format_html('<a class="c-link" href="{}">{}</a>', reverse("people:enrolment"), _("Set up"))
            note = _("None: your password alone lets you in.")
            if not self.person.has_usable_password():
                note = _("None here: the issuer of single sign-on lets you in.")
            return Panel(_("Second factor"), note, buttons=[link])
        return Panel(
            _("Second factor"),
            _("An authenticator. To change something, enter a code that it shows or a recovery code."),
            form=CodeForm(),
            buttons=[
                button("recovery_codes", _("New recovery codes")),
                button("remove_second_factor", _("Remove"), is_danger=True),
            ],
        )

    def _tokens(self) -> Panel:
        tokens = PersonalToken.objects.filter(member__user=self.person).select_related("member__tenant")
        rows = [
            [
                token.name,
                token.member.tenant.name,
                moment(token.created_at),
                moment(token.last_used_at),
                moment(token.expires_at),
                moment(token.revoked_at) if token.revoked_at else button(f"revoke_token:{token.pk}", _("Revoke")),
            ]
            for token in tokens.order_by("-pk")
        ]
        headers = [_("name"), _("tenant"), _("made"), _("last used"), _("ends"), _("revoked")]
        return Panel(
            _("Personal tokens"),
            f"{_('With one of these a program acts as you, with the role that you have.')} {self._until()}".strip(),
            table=Table("", headers, rows) if rows else None,
            form=self.form(PersonalTokenForm(self._member_tenants())),
            buttons=[button("make_token", _("Make a token"))],
        )

    def _until(self) -> str:
        if not SignOnIdentity.objects.filter(user=self.person).exists():
            return ""
        hours = settings.OIDC_TOKEN_HOURS
        return _("It rests once you have not come in by single sign-on for %(hours)s hours.") % {"hours": hours}

    def _member_tenants(self) -> QuerySet[Tenant]:
        members_of = Tenant.objects.filter(members__user=self.person).order_by("name")
        return tenants_in_session(self.person, members_of)

    def _sessions(self) -> Panel:
        buttons = [button("end_sessions", _("Sign out everywhere"))]
        # Who comes in by single sign-on alone has none to change.
        if self.person.has_usable_password():
            address, label = reverse("console:password_change"), _("Change the password")
            buttons.append(format_html('<a class="c-link" href="{}">{}</a>', address, label))
        return Panel(_("Sessions"), buttons=buttons)

    def make_token(self) -> Panel | Form:
        form = PersonalTokenForm(self._member_tenants(), self.request.POST)
        if not form.is_valid():
            return form
        member = Member.objects.select_related("tenant", "user").get(
            user=self.person, tenant=form.cleaned_data["tenant"]
        )
        at = clock.now()
        _made, secret = operations.issue_personal_token(
            member,
            name=form.cleaned_data["name"],
            by=grantor_of(self.person, member.tenant),
            at=at,
            expires_at=at + form.cleaned_data["life"],
        )
        return Panel(_("Your new token"), _("Copy it now: it is not shown again."), shown_once=[secret])

    def revoke_token(self, argument: str = "") -> None:
        own = PersonalToken.objects.select_related("member__tenant", "member__user").filter(member__user=self.person)
        found = own.filter(pk=row_number(argument)).first()
        if found is None:
            raise Http404("There is no such token.")
        operations.revoke_personal_token(found, by=self.actor, at=clock.now())

    def recovery_codes(self) -> Panel | None:
        if not self._has_shown_code():
            return None
        codes = operations.renew_recovery_codes(self.person, at=clock.now())
        return Panel(_("Recovery codes"), _("Each works once. Keep them away from your phone."), shown_once=codes)

    def remove_second_factor(self) -> None:
        if self._has_shown_code():
            operations.remove_second_factor(self.person, by=self.actor, at=clock.now())
            self.request.session[sessions.SECOND_FACTOR] = False

    def end_sessions(self) -> None:
        operations.end_sessions(self.person)

    def choose(self) -> None:
        form = TenantChoiceForm(self._own_tenants(), self.request.POST)
        if not form.is_valid():
            raise Http404("There is no such tenant.")
        chosen = form.cleaned_data["tenant"]
        self.request.session[sessions.CHOSEN] = int(chosen) if chosen else None

    def _has_shown_code(self) -> bool:
        try:
            show_code(self.request, self.person, self.request.POST.get("code", "")[:40])
        except ValidationError as error:
            messages.error(self.request, error.messages[0])
            return False
        return True

    actions = {
        "make_token": make_token,
        "revoke_token": revoke_token,
        "recovery_codes": recovery_codes,
        "remove_second_factor": remove_second_factor,
        "end_sessions": end_sessions,
        "choose": choose,
    }


class EnrolmentPage(PanelPage):
    """Setting an authenticator up, for whoever has none: with one, a stolen session could replace it."""

    title = gettext_lazy("Set up a second factor")

    def get(self, request: object) -> HttpResponse:
        if operations.has_second_factor(self.person):
            return HttpResponseRedirect(reverse("people:profile"))
        return self.render()

    def panels(self) -> Sequence[Panel]:
        if operations.has_second_factor(self.person):
            return []
        secret = operations.begin_enrolment(self.person)
        address = rules.authenticator_url(secret, self.actor, issuer="OTA server")
        drawn = segno.make(address, error="m").svg_inline(scale=4, border=2, svgclass=None)
        return [
            Panel(
                _("Your authenticator"),
                _("Scan this with an authenticator, or type the key below into it; then enter the code that it shows."),
                shown_once=[rules.authenticator_key(secret)],
                picture=mark_safe(drawn),
                form=CodeForm(),
                buttons=[button("confirm", _("Confirm"))],
            )
        ]

    def confirm(self) -> Panel | None:
        if operations.has_second_factor(self.person):
            return None
        code = self.request.POST.get("code", "")[:40]
        try:
            own = counted_try(self.request, self.actor, SignInStep.SECOND_FACTOR)
            codes = operations.confirm_enrolment(self.person, code, at=clock.now())
        except (ValidationError, CodeWrongError) as error:
            messages.error(
                self.request, error.messages[0] if isinstance(error, ValidationError) else refusals.of(error)
            )
            return None
        operations.note_success(own)
        self._renew_session()
        return Panel(_("Recovery codes"), _("Each works once. Keep them away from your phone."), shown_once=codes)

    def _renew_session(self) -> None:
        # Whoever signed in before with the password alone is signed out; this session goes on under a new key.
        operations.end_sessions(self.person)
        user = User.objects.get(pk=self.person.pk)
        update_session_auth_hash(self.request, user)
        self.request.session[sessions.SECOND_FACTOR] = True

    actions = {"confirm": confirm}
