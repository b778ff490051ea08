"""Coming in by single sign-on: away to the issuer, and back with a code; and going out again."""

import logging
import secrets
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.urls import reverse
from django.utils.crypto import constant_time_compare
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from otaserver import clock
from otaserver.console.people import openid, sessions
from otaserver.console.people.sign_in import SignInView
from otaserver.console.site import site
from otaserver.errors import OtaError
from otaserver.people import operations
from otaserver.people.errors import AnswerForAnotherError, IssuerRefusedError, IssuerUnavailableError
from otaserver.people.sign_on_rules import Statement
from otaserver.people.states import SignInStep
from otaserver.proxies import client_address

logger = logging.getLogger(__name__)
_BEGUN = "sign_on"
# How long the issuer may take with a person.
_LIFE = timedelta(minutes=10)
# Longer than any notice that names a person and a session.
_MAX_LOGOUT = 16_384


class SignOnStep(SignInView):
    """A step of single sign-on. Where it fails, the sign-in page says why and offers both ways in again."""

    begun: dict[str, Any] | None = None

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if not settings.OIDC_ISSUER:
            raise Http404("There is no single sign-on here.")
        return super().dispatch(request, *args, **kwargs)

    # Django itself passes no request; its stubs have one.
    def get_redirect_url(self, request: HttpRequest | None = None) -> str:
        return self.begun["next"] if self.begun else super().get_redirect_url()

    def refused(self, error: OtaError) -> HttpResponse:
        logger.warning("single sign-on refused code=%s reason=%s", error.code, error.message)
        wanted = self.get_redirect_url()
        path = reverse("people:sign-in") + (f"?{urlencode({'next': wanted})}" if wanted else "")
        context = self.get_context_data(form=self.authentication_form(), app_path=path, refusal=error)
        return self.render_to_response(context, status=error.status)


class SignOnView(SignOnStep):
    """The button: remembers in the session what the answer will have to hold, and leads to the issuer."""

    http_method_names = ["post"]

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        try:
            to = openid.authorization_url(
                openid.issuer(), state=state, nonce=nonce, verifier=verifier, redirect_uri=_redirect_uri()
            )
        except OtaError as error:
            return self.refused(error)
        request.session[_BEGUN] = {
            "state": state,
            "nonce": nonce,
            "verifier": verifier,
            "at": clock.now().timestamp(),
            "next": self.get_redirect_url(),
        }
        return HttpResponseRedirect(to)


class SignOnCallback(SignOnStep):
    """Where the issuer sends the person back to."""

    http_method_names = ["get"]

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        # Taken out: an answer counts once, whatever becomes of it.
        self.begun = request.session.pop(_BEGUN, None)
        try:
            stated, id_token = self._statement()
            user = operations.sign_on(stated, grants=settings.OIDC_GRANTS, at=clock.now())
        except OtaError as error:
            return self.refused(error)
        return sessions.first_factor_passed(
            request,
            user,
            next_url=self.get_success_url(),
            has_second=stated.has_second_factor,
            id_token=id_token,
            issuers=stated.session_id,
        )

    def _statement(self) -> tuple[Statement, str]:
        answer, begun, at = self.request.GET, self.begun, clock.now()
        if begun is None or not constant_time_compare(begun["state"], answer.get("state", "")):
            raise AnswerForAnotherError("This sign-in was not begun in this browser, or is over; begin again.")
        if at.timestamp() - begun["at"] > _LIFE.total_seconds():
            raise AnswerForAnotherError("This sign-in has taken too long; begin again.")
        # RFC 9207: an answer of another issuer that this browser was led to.
        if answer.get("iss", settings.OIDC_ISSUER) != settings.OIDC_ISSUER:
            raise AnswerForAnotherError("This answer is another issuer's.")
        if "code" not in answer:
            raise IssuerRefusedError("The issuer did not let you in.")
        return self._verified(answer["code"], begun)

    def _verified(self, code: str, begun: dict[str, Any]) -> tuple[Statement, str]:
        # Nobody is known yet, so that only what comes from one address counts together.
        own = operations.begin_sign_in(
            begun["state"],
            address=client_address(self.request),
            step=SignInStep.SINGLE_SIGN_ON,
            at=clock.now(),
        )
        of = openid.issuer()
        redeemed = openid.redeem(of, code, verifier=begun["verifier"], redirect_uri=_redirect_uri())
        stated = openid.verified(redeemed, of=of, nonce=begun["nonce"], at=clock.now())
        operations.note_success(own)
        return stated, redeemed.id_token


@csrf_exempt
@require_POST
@never_cache
def back_channel(request: HttpRequest) -> HttpResponse:
    """Where the issuer itself says that sessions have ended; what it says is signed, and needs no cookie."""
    if not settings.OIDC_ISSUER:
        raise Http404("There is no single sign-on here.")
    token, at = request.POST.get("logout_token", ""), clock.now()
    try:
        # Whoever sends what is not the issuer's may not have its keys asked for again and again.
        own = operations.begin_sign_in(token, address=client_address(request), step=SignInStep.SINGLE_SIGN_ON, at=at)
        notice = openid.logout_notice(token[:_MAX_LOGOUT], of=openid.issuer(), at=at)
        operations.note_success(own)
        operations.sign_out(notice, at=at)
    except OtaError as error:
        logger.warning("logout refused code=%s reason=%s", error.code, error.message)
        # OpenID Connect Back-Channel Logout 1.0, 2.8.
        told = {"error": "invalid_request", "error_description": error.message}
        return JsonResponse(told, status=error.status)
    logger.info("logout taken scope=%s", "session" if notice.session_id else "person")
    return HttpResponse(status=200)


@require_POST
@never_cache
def sign_out(request: HttpRequest) -> HttpResponse:
    """End the session here, and at the issuer too if it has let the person in."""
    id_token = request.session.get(sessions.SIGN_ON, "") if settings.OIDC_ISSUER else ""
    answer: HttpResponse = site.logout(request)
    url = _end_session_url(id_token) if id_token else ""
    return HttpResponseRedirect(url) if url else answer


def _end_session_url(id_token: str) -> str:
    try:
        return openid.end_session_url(
            openid.issuer(), id_token=id_token, back_to=settings.PUBLIC_URL + reverse("people:sign-in")
        )
    except IssuerUnavailableError as error:
        # The session here has ended all the same.
        logger.warning("issuer not reached at sign-out reason=%s", error.message)
        return ""


def _redirect_uri() -> str:
    # As it is registered with the issuer, whatever name this request was sent to.
    return str(settings.PUBLIC_URL + reverse("people:sign-on-callback"))
