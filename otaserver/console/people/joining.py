"""The page behind the link of an invitation."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.views import View
from django.views.decorators.cache import never_cache

from otaserver import clock
from otaserver.console import refusals
from otaserver.console.people import sessions
from otaserver.console.people.forms import NewcomerForm
from otaserver.console.site import site
from otaserver.errors import OtaError
from otaserver.people import operations
from otaserver.people.operations import Newcomer
from otaserver.tenants.models import User


@method_decorator(never_cache, name="dispatch")
class JoinPage(View):
    """Whoever is signed in becomes a member as they are; anybody else makes an account first."""

    def get(self, request: HttpRequest, secret: str) -> HttpResponse:
        return self._show(request, secret, NewcomerForm())

    def post(self, request: HttpRequest, secret: str) -> HttpResponse:
        if isinstance(request.user, User):
            return self._join_as(request, request.user, secret)
        form = NewcomerForm(request.POST)
        if not form.is_valid():
            return self._show(request, secret, form)
        newcomer = Newcomer(form.cleaned_data["username"], form.cleaned_data["password"])
        try:
            member = operations.join_by_invitation(secret, newcomer, at=clock.now())
        except OtaError as error:
            form.add_error("username", refusals.of(error))
            return self._show(request, secret, form, status=error.status)
        return sessions.begin(request, member.user, next_url=reverse("console:index"), has_second_factor=False)

    def _join_as(self, request: HttpRequest, user: User, secret: str) -> HttpResponse:
        try:
            operations.accept_invitation(secret, user=user, at=clock.now())
        except OtaError as error:
            messages.error(request, refusals.of(error))
            return self._show(request, secret, NewcomerForm(), status=error.status)
        return HttpResponseRedirect(reverse("console:index"))

    def _show(self, request: HttpRequest, secret: str, form: NewcomerForm, *, status: int = 200) -> HttpResponse:
        context: dict[str, Any] = {**site.each_context(request), "title": _("Invitation"), "form": form}
        try:
            context["invitation"] = operations.find_invitation(secret, at=clock.now())
        except OtaError as error:
            context["refusal"], status = refusals.of(error), error.status
        response = TemplateResponse(request, "console/people/invitation.html", context, status=status)
        # The address is the secret. With "no-referrer" browsers would send the form from an origin of "null", which
        # Django takes for another site's.
        response.headers["Referrer-Policy"] = "strict-origin"
        return response
