"""What the issuer says by itself: that sessions have ended there (OpenID Connect Back-Channel Logout 1.0)."""

from datetime import timedelta

import jwt
import pytest
from django.conf import settings as configured
from django.test import Client

from otaserver import clock
from otaserver.audit.models import Entry
from otaserver.people import operations, tasks
from otaserver.people.models import SignIn, SignOnIdentity, SignOut
from otaserver.people.sign_on_rules import LOGOUT_EVENT
from otaserver.tenants.errors import TokenInvalidError
from otaserver.tenants.models import Member, User
from otaserver.tenants.states import Role
from tests.console.people.conftest import enrol, is_in
from tests.console.people.issuer import CLIENT_ID, EC, RSA
from tests.console.people.test_sign_on import come
from tests.factories import NOON
from tests.people.people_factories import code_of, make_member, make_personal_token

pytestmark = pytest.mark.any_database
LOGOUT = "/console/login/sign-on/logout/"


def notice(issuer, *, key=RSA[0], algorithm="RS256", headers=None, **changed):
    """A logout token of the issuer's; None leaves a claim out."""
    now = int(NOON.timestamp())
    claims = {
        "iss": issuer.url,
        "aud": CLIENT_ID,
        "iat": now,
        "exp": now + 120,
        "jti": "notice-1",
        "sub": "0017",
        "events": {LOGOUT_EVENT: {}},
    } | changed
    given = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(given, key, algorithm=algorithm, headers={"kid": "one"} | (headers or {}))


def tell(token):
    return Client(REMOTE_ADDR="192.0.2.9", enforce_csrf_checks=True).post(LOGOUT, {"logout_token": token})


def test_without_settings_there_is_nothing_of_it(db):
    assert (Client().post(LOGOUT).status_code, Client().get(LOGOUT).status_code) == (404, 405)


def test_all_sessions_of_the_person_end_and_nobody_elses(issuer, tenant):
    ann, _ = come(issuer)
    again, _ = come(issuer)
    bob, _ = come(issuer, sub="0018", email="bob@example.com")

    answer = tell(notice(issuer))

    assert (answer.status_code, answer.content, "no-store" in answer["Cache-Control"]) == (200, b"", True)
    assert (is_in(ann), is_in(again), is_in(bob)) == (False, False, True)
    entry = Entry.objects.latest("pk")
    assert (entry.action, entry.actor, entry.details) == ("sign_on.signed_out", "sign-on", {"sessions": "all"})
    assert is_in(come(issuer)[0])


@pytest.mark.parametrize("subject", [None, "0017"])
def test_of_the_session_that_is_named_only_that_one_ends(issuer, tenant, subject):
    one, _ = come(issuer, sid="s-1")
    other, _ = come(issuer, sid="s-2")

    assert tell(notice(issuer, sub=subject, sid="s-1")).status_code == 200

    assert (is_in(one), is_in(other)) == (False, True)


def test_a_session_that_ends_while_its_second_factor_is_asked_for_never_begins(issuer, bob, hands):
    User.objects.update(email="ann@example.com")
    enrol(bob, hands)
    half, asked = come(issuer, sid="s-1")

    tell(notice(issuer, sub=None, sid="s-1"))
    half.post(asked["Location"], {"code": code_of(bob.user, hands.now)})

    assert (asked["Location"], is_in(half)) == ("/console/login/second-factor/", False)


def test_a_notice_counts_once(issuer, tenant):
    come(issuer)
    token = notice(issuer)
    assert tell(token).status_code == 200
    client, _ = come(issuer)

    answer = tell(token)

    assert (answer.status_code, answer.json()["error"], is_in(client)) == (400, "invalid_request", True)
    assert SignOut.objects.count() == 1


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"key": RSA[1]}, "Signature verification failed"),
        ({"key": "x" * 32, "algorithm": "HS256"}, "it is signed by 'HS256'"),
        ({"key": None, "algorithm": "none"}, "it is signed by 'none'"),
        ({"iss": "https://other.example.com"}, "Invalid issuer"),
        ({"aud": "another"}, "Audience doesn't match"),
        ({"exp": int(NOON.timestamp()) - 60}, "it has expired"),
        ({"iat": int(NOON.timestamp()) + 61}, "it is of the future"),
        ({"iat": None}, 'missing the "iat" claim'),
        ({"exp": None}, 'missing the "exp" claim'),
        ({"jti": None}, 'missing the "jti" claim'),
        ({"jti": ""}, "it has no id of its own"),
        ({"events": None}, 'missing the "events" claim'),
        ({"events": {}}, "it is no logout"),
        ({"events": {LOGOUT_EVENT: "yes"}}, "it is no logout"),
        ({"events": [LOGOUT_EVENT]}, "it is no logout"),
        ({"nonce": "n"}, "it has a nonce"),
        ({"sub": None}, "it names neither a person nor a session"),
        ({"sub": 17}, "Subject must be a string"),
        ({"sid": ["s"]}, "it names nobody"),
        ({"headers": {"typ": "at+jwt"}}, "it is a token of the type 'at+jwt'"),
    ],
)
def test_what_is_not_a_logout_of_this_issuer_for_us_ends_nothing(issuer, tenant, changed, why):
    client, _ = come(issuer)

    answer = tell(notice(issuer, **changed))

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert why in answer.json()["error_description"]
    assert is_in(client)
    assert not SignOut.objects.exists()


@pytest.mark.parametrize("token", ["", "x.y.z", "a" * 20_000])
def test_what_is_no_token_is_refused(issuer, token):
    assert tell(token).status_code == 400


@pytest.mark.parametrize("kind", ["logout+jwt", "application/logout+jwt", "JWT"])
def test_a_token_may_say_of_what_type_it_is(issuer, tenant, kind):
    client, _ = come(issuer)
    token = notice(issuer, key=EC, algorithm="ES256", headers={"typ": kind, "kid": "curve"})

    assert (tell(token).status_code, is_in(client)) == (200, False)


def test_a_person_whom_nobody_knows_is_no_error(issuer, db):
    assert tell(notice(issuer, sub="9999")).status_code == 200


def test_an_issuer_whose_keys_cannot_be_read_is_told_so_and_may_say_it_again(issuer, tenant):
    client, _ = come(issuer)
    issuer.keys = "none"

    answer = tell(notice(issuer, headers={"kid": "two"}))

    assert (answer.status_code, is_in(client)) == (400, True)
    assert not SignOut.objects.exists()


def test_who_sends_much_that_is_not_the_issuers_has_to_wait(issuer, tenant):
    answers = [tell(notice(issuer, key=RSA[1], jti=str(n))).status_code for n in range(120)]

    assert set(answers) == {400, 429}
    assert SignIn.objects.filter(has_succeeded=False).count() == answers.count(400)


@pytest.mark.parametrize("ends", [False, True])
def test_tokens_go_on_unless_the_settings_say_that_they_end_too(issuer, tenant, settings, ends):
    settings.OIDC_LOGOUT_ENDS_TOKENS = ends
    come(issuer)
    token = make_personal_token(Member.objects.get())

    tell(notice(issuer))

    def works():
        try:
            return bool(operations.authenticate_personal_token(token, at=clock.now()))
        except TokenInvalidError:
            return False

    assert works() is not ends
    come(issuer)
    assert works()


def test_a_person_of_a_password_is_nobody_to_the_issuer(issuer, tenant):
    make_member(tenant, "0017", Role.VIEWER)

    assert tell(notice(issuer)).status_code == 200
    assert not SignOnIdentity.objects.exists()


def test_notices_are_forgotten_once_no_session_can_be_left(issuer, tenant):
    tell(notice(issuer, sid="s-1"))
    end = NOON + timedelta(seconds=configured.SESSION_COOKIE_AGE)

    with clock.using(lambda: end - timedelta(seconds=1)):
        tasks.forget_sign_ins()
    assert SignOut.objects.count() == 1
    with clock.using(lambda: end):
        tasks.forget_sign_ins()
    assert SignOut.objects.count() == 0
