"""A person's session in the console: how it begins, what it shows, and when it ends.

It ends after so long without a page opened (what a page's own script fetches is not a person), so long after it began,
with a new password, when the person's sessions are ended (`User.session_epoch`), or when the issuer that let the person
in says that its own has ended.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib import auth
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse

from otaserver import clock
from otaserver.people import operations, queries
from otaserver.people.rules import SECOND_STEP
from otaserver.tenants.models import User

BEGUN_AT, SEEN_AT, SECOND_FACTOR, CHOSEN = "begun_at", "seen_at", "has_second_factor", "chosen_tenant"
# The ID token by which the issuer of single sign-on let the person in, with whom it has a session of its own; or "".
SIGN_ON = "id_token"
# What the issuer calls that session, by which it may end it; or "".
ISSUERS_SESSION = "issuers_session"
_PENDING = "pending_sign_in"
# Every request would write its session otherwise.
_RESOLUTION = timedelta(minutes=1)
GetResponse = Callable[[HttpRequest], HttpResponseBase]


def limit_sessions(get_response: GetResponse) -> GetResponse:
    """End sessions that are over, and tell the person's `User` what this session shows."""

    def answer(request: HttpRequest) -> HttpResponseBase:
        if request.path_info.startswith("/console/") and request.user.is_authenticated:
            _look_at(request, at=clock.now())
        return get_response(request)

    return answer


def first_factor_passed(
    request: HttpRequest, user: User, *, next_url: str, has_second: bool = False, id_token: str = "", issuers: str = ""
) -> HttpResponse:
    """Let a person in who has no second factor or has shown it elsewhere; ask any other for it first."""
    request.session[SIGN_ON], request.session[ISSUERS_SESSION] = id_token, issuers
    if has_second or not operations.has_second_factor(user):
        return begin(request, user, next_url=next_url, has_second_factor=has_second)
    request.session.cycle_key()
    request.session[_PENDING] = {
        "user": user.pk,
        "hash": user.get_session_auth_hash(),
        "at": clock.now().timestamp(),
        "next": next_url,
    }
    return HttpResponseRedirect(reverse("people:second-factor"))


def pending(request: HttpRequest) -> tuple[User, str] | None:
    """Return who has given their password a moment ago and lacks the second factor, and where they go then."""
    found: dict[str, Any] | None = request.session.get(_PENDING)
    if found is None or clock.now() - _moment(found["at"]) > SECOND_STEP:
        return None
    user = User.objects.filter(pk=found["user"], is_active=True).first()
    # Not if their password or anything else that ends sessions has changed meanwhile.
    return (user, found["next"]) if user is not None and user.get_session_auth_hash() == found["hash"] else None


def begin(request: HttpRequest, user: User, *, next_url: str, has_second_factor: bool) -> HttpResponse:
    """Sign a person in: a new session under a new key."""
    of_issuer = {name: request.session.get(name, "") for name in (SIGN_ON, ISSUERS_SESSION)}
    request.session.flush()
    auth.login(request, user, backend="django.contrib.auth.backends.ModelBackend")
    now = clock.now().timestamp()
    request.session[BEGUN_AT] = request.session[SEEN_AT] = now
    request.session[SECOND_FACTOR] = has_second_factor
    request.session.update(of_issuer)
    return HttpResponseRedirect(next_url)


def _look_at(request: HttpRequest, *, at: datetime) -> None:
    session = request.session
    begun, seen = _moment(session.get(BEGUN_AT, at.timestamp())), _moment(session.get(SEEN_AT, at.timestamp()))
    is_idle = at - seen >= timedelta(seconds=settings.SESSION_IDLE_SECONDS)
    is_over = is_idle or at - begun >= timedelta(seconds=settings.SESSION_COOKIE_AGE)
    if is_over or _has_ended_at_issuer(session.get(ISSUERS_SESSION, "")):
        auth.logout(request)
        return
    session.setdefault(BEGUN_AT, begun.timestamp())
    if _is_by_hand(request) and (SEEN_AT not in session or at - seen >= _RESOLUTION):
        session[SEEN_AT] = at.timestamp()
    user = request.user
    if isinstance(user, User):
        user.has_second_factor = session.get(SECOND_FACTOR, False)
        user.chosen_tenant_id = session.get(CHOSEN)


def _has_ended_at_issuer(session_id: str) -> bool:
    return bool(session_id) and queries.is_signed_out(settings.OIDC_ISSUER, session_id)


def _is_by_hand(request: HttpRequest) -> bool:
    # Fetch Metadata (W3C): "empty" is what a script fetches; a browser too old to say so counts as a person.
    return request.headers.get("Sec-Fetch-Dest", "document") != "empty"


def _moment(timestamp: float) -> datetime:
    return datetime.fromtimestamp(timestamp, tz=UTC)
