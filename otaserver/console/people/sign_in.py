"""Coming in: name and password, then the second factor of whoever has one. Tries are counted (`people.sign_ins`)."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib.auth.forms import AuthenticationForm as PlainForm
from django.contrib.auth.models import AbstractBaseUser
from django.contrib.auth.views import LoginView
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.generic import FormView
from unfold.forms import AuthenticationForm
from unfold.widgets import UnfoldAdminTextInputWidget

from otaserver import clock
from otaserver.console import refusals
from otaserver.console.people import sessions
from otaserver.console.site import site
from otaserver.people import operations
from otaserver.people.errors import CodeWrongError, SignInThrottledError
from otaserver.people.models import SignIn
from otaserver.people.states import SignInStep
from otaserver.proxies import client_address
from otaserver.tenants.models import User


class SignInForm(AuthenticationForm):
    """Lets members in: the admin's form asks for `is_staff`, a flag that says nothing here."""

    error_messages = PlainForm.error_messages

    def clean(self) -> dict[str, Any]:
        assert self.request is not None
        own = counted_try(self.request, self.cleaned_data.get("username", ""), SignInStep.PASSWORD)
        cleaned: dict[str, Any] = super().clean()
        operations.note_success(own)
        return cleaned

    def confirm_login_allowed(self, user: AbstractBaseUser) -> None:
        if not isinstance(user, User) or not (user.is_superuser or user.memberships.exists()):
            params = {"username": self.username_field.verbose_name}
            raise ValidationError(self.error_messages["invalid_login"], code="invalid_login", params=params)


class CodeForm(forms.Form):
    code = forms.CharField(
        label=gettext_lazy("Code"),
        max_length=40,
        widget=UnfoldAdminTextInputWidget(
            attrs={"autocomplete": "one-time-code", "inputmode": "text", "autofocus": True}
        ),
    )


def counted_try(request: HttpRequest, account: str, step: str) -> SignIn:
    """Count a try, as a form's field does it: with a sentence where there were too many."""
    try:
        return operations.begin_sign_in(account, address=client_address(request), step=step, at=clock.now())
    except SignInThrottledError as error:
        raise ValidationError(refusals.of(error), code="throttled") from error


class SignInView(LoginView):
    template_name = "console/people/sign_in.html"
    authentication_form = SignInForm

    def get_default_redirect_url(self) -> str:
        return reverse("console:index")

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if site.has_permission(request):
            return HttpResponseRedirect(self.get_success_url())
        if request.user.is_authenticated and not getattr(request.user, "has_second_factor", False):
            # Signed in, and yet nothing to see: every tenant of theirs wants a second factor first.
            return HttpResponseRedirect(reverse("people:enrolment"))
        return super().get(request, *args, **kwargs)

    def form_valid(self, form: Any) -> HttpResponse:
        return sessions.first_factor_passed(self.request, form.get_user(), next_url=self.get_success_url())

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        more = {
            "title": _("Log in"),
            "app_path": self.request.get_full_path(),
            "has_sign_on": bool(settings.OIDC_ISSUER),
        }
        return super().get_context_data(**{**site.each_context(self.request), **more, **kwargs})


@method_decorator(never_cache, name="dispatch")
class SecondFactorView(FormView):  # type: ignore[type-arg]
    """The second step of signing in, for a few minutes after the first."""

    template_name = "console/people/second_factor.html"
    form_class = CodeForm

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        self.waiting = sessions.pending(request)
        if self.waiting is None:
            return HttpResponseRedirect(reverse("console:login"))
        return super().dispatch(request, *args, **kwargs)

    def form_valid(self, form: CodeForm) -> HttpResponse:
        assert self.waiting is not None
        user, next_url = self.waiting
        try:
            show_code(self.request, user, form.cleaned_data["code"])
        except ValidationError as error:
            form.add_error("code", error)
            return self.form_invalid(form)
        return sessions.begin(self.request, user, next_url=next_url, has_second_factor=True)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(**site.each_context(self.request), title=_("Second factor"), **kwargs)


def show_code(request: HttpRequest, user: User, code: str) -> None:
    """Take a code of the person's second factor, counted as a try.

    Raises:
        ValidationError: it is wrong, or too many were.
    """
    own = counted_try(request, user.get_username(), SignInStep.SECOND_FACTOR)
    try:
        operations.show_second_factor(user, code, at=clock.now())
    except CodeWrongError as error:
        raise ValidationError(refusals.of(error), code="wrong_code") from error
    operations.note_success(own)
