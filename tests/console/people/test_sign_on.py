"""Single sign-on against an issuer of the test's own."""

from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from django.core.cache import cache
from django.test import Client

from otaserver.audit.models import Entry
from otaserver.people.models import SignIn, SignOnIdentity
from otaserver.people.sign_on_rules import grants_in
from otaserver.people.states import SignInStep
from otaserver.tenants.models import Member, Tenant, User
from otaserver.tenants.states import Role
from tests.console.people.conftest import enrol, is_in, sign_in
from tests.console.people.issuer import CLIENT_ID, EC, RSA, SECRET, public
from tests.factories import NOON, make_tenant
from tests.people.people_factories import code_of, make_member

pytestmark = pytest.mark.any_database
BEGIN, CALLBACK = "/console/login/sign-on/", "/console/login/sign-on/callback/"


def claims(**changed):
    """What the issuer states about ann; None leaves a claim out."""
    now = int(NOON.timestamp())
    return {
        "sub": "0017",
        "iat": now,
        "exp": now + 300,
        "email": "Ann@example.com",
        "email_verified": True,
        "groups": ["drivers", "all"],
    } | changed


def begun(client=None, *, next_url=""):
    """Press the button; return who did, and where they are led."""
    client = client or Client(REMOTE_ADDR="192.0.2.1")
    answer = client.post(BEGIN, {"next": next_url})
    assert answer.status_code == 302, answer.content.decode()[-3000:]
    return client, answer["Location"]


def come(issuer, *, client=None, next_url="", signed=None, **changed):
    """The whole way; return who came, and what they were answered."""
    client, location = begun(client, next_url=next_url)
    return client, client.get(CALLBACK, issuer.state(location, claims(**changed), **(signed or {})))


def refused(answer, code, sentence=""):
    assert answer.status_code in (403, 502), answer.status_code
    text = answer.content.decode()
    assert f"<code>{code}</code>" in text
    assert sentence in text
    assert 'name="username"' in text
    return True


def nobody_came(client):
    return not is_in(client) and not User.objects.exists() and not SignOnIdentity.objects.exists()


def actions():
    return list(Entry.objects.order_by("number").values_list("action", "actor", "details"))


def test_without_settings_there_is_nothing_of_it(db):
    assert "Single sign-on" not in Client().get("/console/login/").content.decode()
    assert Client().post(BEGIN).status_code == Client().get(CALLBACK).status_code == 404


def test_the_sign_in_page_has_a_button_that_remembers_where_one_wanted_to_go(issuer):
    text = Client().get("/console/login/?next=/console/keys/").content.decode()

    assert "Single sign-on" in text
    assert '<input type="hidden" name="next" value="/console/keys/">' in text


def test_the_issuer_is_asked_for_a_code_with_state_nonce_and_challenge(issuer):
    client, location = begun()

    asked = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
    kept = client.session["sign_on"]
    assert location.startswith(f"{issuer.url}/authorize?")
    assert (asked["response_type"], asked["client_id"], asked["scope"]) == ("code", CLIENT_ID, "openid email profile")
    assert asked["redirect_uri"] == f"https://ota.example.com{CALLBACK}"
    assert (asked["state"], asked["nonce"]) == (kept["state"], kept["nonce"])
    assert asked["code_challenge_method"] == "S256"
    assert kept["verifier"] not in location


def test_a_person_with_a_group_comes_in_and_gets_an_account_and_its_role(issuer, tenant):
    client, answer = come(issuer, next_url="/console/keys/")

    assert (answer.status_code, answer["Location"]) == (302, "/console/keys/")
    assert is_in(client)
    ann = Member.objects.get()
    assert (ann.user.username, ann.user.email, ann.role) == ("ann@example.com", "ann@example.com", Role.VIEWER)
    assert ann.is_from_single_sign_on
    assert not ann.user.has_usable_password()
    assert SignOnIdentity.objects.values_list("issuer", "subject").get() == (issuer.url, "0017")
    assert [action for action, _, _ in actions()] == ["member.joined", "sign_on.linked"]
    tried = SignIn.objects.get()
    assert (tried.step, tried.has_succeeded) == (SignInStep.SINGLE_SIGN_ON, True)


def test_the_session_is_a_new_one_and_the_answer_counts_once(issuer):
    client, location = begun()
    before, brought = client.session.session_key, issuer.state(location, claims())
    client.get(CALLBACK, brought)

    assert client.session.session_key != before
    assert refused(client.get(CALLBACK, brought), "sign_on.not_begun_here")


def test_keys_of_both_kinds_and_a_client_without_basic_are_taken(issuer):
    issuer.described["token_endpoint_auth_methods_supported"] = ["client_secret_post"]

    client, _ = come(issuer, signed={"key": EC, "algorithm": "ES256", "kid": "curve"})

    assert is_in(client)


def test_a_token_without_a_key_id_is_checked_by_the_one_key_that_fits(issuer):
    assert is_in(come(issuer, signed={"kid": None})[0])

    issuer.keys.append(public(RSA[1], kid="two"))
    cache.clear()
    client, answer = come(issuer, signed={"kid": None})
    assert refused(answer, "sign_on.statement_invalid", "has no key None")
    assert not is_in(client)


def test_keys_are_kept_and_read_again_once_when_the_issuer_has_new_ones(issuer):
    come(issuer)
    come(issuer)
    assert issuer.asked.count("/keys") == issuer.asked.count("/.well-known/openid-configuration") == 1

    issuer.keys = [public(RSA[1], kid="two")]
    client, _ = come(issuer, signed={"key": RSA[1], "kid": "two"})

    assert is_in(client)
    assert issuer.asked.count("/keys") == 2


def test_a_key_that_the_issuer_does_not_have_is_looked_for_once_more_and_refused(issuer):
    client, answer = come(issuer, signed={"key": RSA[1], "kid": "two"})

    assert refused(answer, "sign_on.statement_invalid", "has no key")
    assert issuer.asked.count("/keys") == 2
    assert nobody_came(client)


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"nonce": "another"}, "answers another request"),
        ({"nonce": None}, "answers another request"),
        ({"aud": "another"}, "Audience"),
        ({"aud": None}, "missing the &quot;aud&quot;"),
        ({"aud": [CLIENT_ID, "another"]}, "several applications"),
        ({"azp": "another"}, "another application asked"),
        ({"iss": "https://evil.example"}, "Invalid issuer"),
        ({"iss": None}, "missing the &quot;iss&quot;"),
        ({"exp": int(NOON.timestamp()) - 60}, "has expired"),
        ({"exp": None}, "missing the &quot;exp&quot;"),
        ({"exp": "soon"}, "does not say when"),
        ({"exp": float("inf")}, "does not say when"),
        ({"exp": True}, "does not say when"),
        ({"iat": int(NOON.timestamp()) + 61}, "of the future"),
        ({"nbf": int(NOON.timestamp()) + 61}, "of the future"),
        ({"iat": None}, "missing the &quot;iat&quot;"),
        ({"sub": "a\0b"}, "names nobody"),
        ({"sub": "a" * 256}, "names nobody"),
    ],
)
def test_a_statement_that_is_not_for_us_and_now_is_refused(issuer, changed, sentence):
    client, answer = come(issuer, **changed)

    assert refused(answer, "sign_on.statement_invalid", sentence)
    assert nobody_came(client)
    assert not SignIn.objects.get().has_succeeded


@pytest.mark.parametrize(
    "signed",
    [
        {"key": RSA[1]},
        {"key": "", "algorithm": "none"},
        {"key": SECRET * 8, "algorithm": "HS256"},
        {"algorithm": "RS512"},
        {"algorithm": "PS256"},
        {"key": EC, "algorithm": "ES256"},
    ],
    ids=lambda signed: signed.get("algorithm", "another key"),
)
def test_a_statement_that_the_issuer_has_not_signed_is_refused(issuer, signed):
    client, answer = come(issuer, signed=signed)

    assert refused(answer, "sign_on.statement_invalid")
    assert nobody_came(client)


def test_a_key_that_is_not_for_signatures_is_none(issuer):
    issuer.keys = [public(RSA[0], kid="one", use="enc")]

    assert refused(come(issuer)[1], "sign_on.statement_invalid", "has no key")


@pytest.mark.parametrize("brought", [{"state": "another"}, {"state": "ü"}, {"iss": "https://evil.example"}])
def test_an_answer_to_another_browser_or_of_another_issuer_is_refused(issuer, brought):
    client, location = begun()
    right = issuer.state(location, claims())

    assert refused(client.get(CALLBACK, right | brought), "sign_on.not_begun_here")
    # What was begun is over with the first answer.
    assert refused(client.get(CALLBACK, right), "sign_on.not_begun_here")
    assert nobody_came(client)
    assert "/token" not in issuer.asked


def test_an_answer_to_who_began_nothing_or_too_long_ago_is_refused(issuer, hands):
    client, location = begun()
    brought = issuer.state(location, claims())
    assert refused(Client().get(CALLBACK, brought), "sign_on.not_begun_here")
    hands.forward(minutes=10, seconds=1)
    assert refused(client.get(CALLBACK, brought), "sign_on.not_begun_here", "too long")
    assert nobody_came(client)


def test_what_the_issuer_refuses_is_told_and_not_repeated(issuer):
    client, location = begun(next_url="/console/keys/")
    state = issuer.state(location, claims())["state"]

    answer = client.get(CALLBACK, {"state": state, "error": "<b>access_denied"})

    assert refused(answer, "sign_on.refused_by_issuer", 'value="/console/keys/"')
    assert "<b>access" not in answer.content.decode()


def test_a_code_that_the_issuer_does_not_know_is_refused(issuer):
    client, location = begun()

    answer = client.get(CALLBACK, issuer.state(location, claims()) | {"code": "guessed"})

    assert refused(answer, "sign_on.refused_by_issuer")
    assert nobody_came(client)


@pytest.mark.parametrize(
    "described",
    [
        {"issuer": "https://another.example"},
        {"authorization_endpoint": "http://idp.example/authorize"},
        {"token_endpoint": None},
        {"jwks_uri": "file:///etc/passwd"},
    ],
)
def test_an_issuer_that_describes_another_or_unsafe_addresses_is_not_asked(issuer, described):
    issuer.described |= described

    answer = Client().post(BEGIN)

    assert (answer.status_code, refused(answer, "sign_on.issuer_unavailable")) == (502, True)


def test_an_issuer_that_does_not_answer_leaves_the_password(issuer, settings, mia):
    settings.OIDC_ISSUER = "http://127.0.0.1:9"

    assert refused(Client().post(BEGIN), "sign_on.issuer_unavailable", "does not answer")
    assert is_in(sign_in()[0])


def test_failures_from_one_address_are_counted(issuer, monkeypatch):
    SignIn.objects.bulk_create(
        SignIn(account_sha256=str(n), address="192.0.2.1", step=SignInStep.SINGLE_SIGN_ON, at=NOON) for n in range(100)
    )

    client, location = begun()
    answer = client.get(CALLBACK, issuer.state(location, claims()))

    assert (answer.status_code, "sign_in.throttled" in answer.content.decode()) == (429, True)
    assert nobody_came(client)


@pytest.mark.parametrize("changed", [{"email_verified": False}, {"email_verified": "true"}, {"email": None}])
def test_who_is_new_needs_a_verified_address(issuer, changed):
    client, answer = come(issuer, **changed)

    assert refused(answer, "sign_on.email_unverified")
    assert nobody_came(client)


def test_who_is_known_is_known_by_subject_whatever_their_address_is_now(issuer):
    come(issuer)
    other = make_member(Tenant.objects.get(), "bob", Role.ADMINISTRATOR).user
    User.objects.filter(pk=other.pk).update(email="bob@example.com")

    client, _ = come(issuer, email="bob@example.com", email_verified=False)

    assert int(client.session["_auth_user_id"]) == User.objects.get(username="ann@example.com").pk
    assert SignOnIdentity.objects.count() == 1


@pytest.mark.parametrize("groups", [["all"], [], None, {"drivers": True}, 7])
def test_who_has_no_group_of_ours_gets_no_account(issuer, groups):
    client, answer = come(issuer, groups=groups)

    assert refused(answer, "sign_on.no_group")
    assert nobody_came(client)


def tells(issuer, userinfo):
    """Let the issuer have a userinfo that says this."""
    issuer.described["userinfo_endpoint"] = f"{issuer.url}/userinfo"
    issuer.userinfo = None if userinfo is None else {"sub": "0017"} | userinfo


def test_groups_and_an_address_that_the_token_lacks_are_asked_for_at_userinfo(issuer):
    tells(issuer, {"groups": ["admins"], "email": "ann@example.com", "email_verified": True, "amr": ["mfa"]})

    client, _ = come(issuer, groups=None, email=None, email_verified=None)

    assert is_in(client)
    assert Member.objects.get().role == Role.ADMINISTRATOR
    # How somebody signed in only the signed token says.
    assert not client.session["has_second_factor"]


def test_what_the_token_says_is_not_asked_for_again_nor_changed(issuer):
    tells(issuer, {"groups": ["admins"], "email": "bob@example.com"})

    client, _ = come(issuer)

    assert is_in(client)
    assert Member.objects.get().role == Role.VIEWER
    assert "/userinfo" not in issuer.asked


def test_an_address_and_whether_it_is_verified_come_from_one_source(issuer):
    tells(issuer, {"email": "bob@example.com"})

    client, answer = come(issuer, email=None)

    assert refused(answer, "sign_on.email_unverified")
    assert nobody_came(client)


@pytest.mark.parametrize(
    ("userinfo", "code"),
    [({"sub": "0018", "groups": ["admins"]}, "sign_on.statement_invalid"), (None, "sign_on.issuer_unavailable")],
)
def test_userinfo_of_somebody_else_or_none_leaves_everybodys_roles_as_they_are(issuer, userinfo, code):
    tells(issuer, userinfo)
    come(issuer)

    client, answer = come(issuer, groups=None)

    assert refused(answer, code)
    assert not is_in(client)
    assert Member.objects.get().role == Role.VIEWER


def test_who_has_no_password_is_not_offered_to_change_it(issuer, mia):
    client, _ = come(issuer)
    profile = client.get("/console/profile/").content.decode()

    assert "Change the password" not in profile
    assert "the issuer of single sign-on lets you in" in profile
    assert "for 168 hours" in profile
    assert "Change the password" in sign_in()[0].get("/console/profile/").content.decode()


def test_a_group_of_a_tenant_that_is_not_there_gives_nothing(issuer, settings):
    settings.OIDC_GRANTS = grants_in("drivers=nowhere:viewer")

    client, answer = come(issuer)

    assert refused(answer, "sign_on.no_group")
    assert nobody_came(client)


def test_the_account_made_for_the_address_becomes_theirs_with_the_role_given_by_hand(issuer, bob):
    User.objects.update(email="ANN@example.com")

    client, _ = come(issuer, groups=["admins"])

    assert is_in(client)
    member = Member.objects.get()
    assert (member.pk, member.role, member.is_from_single_sign_on) == (bob.pk, Role.VIEWER, False)
    assert [action for action, _, _ in actions()] == ["sign_on.linked"]


def test_an_account_of_another_tenant_stays_its_owners(issuer, bob):
    Member.objects.create(tenant=make_tenant("south"), user=bob.user, role=Role.ADMINISTRATOR)
    User.objects.update(email="ann@example.com")

    client, answer = come(issuer)

    assert refused(answer, "sign_on.account_elsewhere")
    assert not is_in(client)
    assert (SignOnIdentity.objects.count(), Entry.objects.count()) == (0, 0)


def test_a_superuser_signs_in_by_password_alone(issuer):
    User.objects.create_superuser("root", "ann@example.com", "correct horse battery")

    client, answer = come(issuer)

    assert refused(answer, "sign_on.account_elsewhere")
    assert not is_in(client)
    assert not SignOnIdentity.objects.exists()


def test_two_accounts_of_one_address_and_one_that_is_anothers_are_nobodys(issuer, bob):
    come(issuer)
    client, answer = come(issuer, sub="0018")
    assert refused(answer, "sign_on.account_taken", "belongs to somebody else")
    User.objects.update(email="ann@example.com")
    assert refused(come(issuer, sub="0018")[1], "sign_on.account_taken", "Several accounts")

    assert not is_in(client)
    assert SignOnIdentity.objects.get().subject == "0017"


def test_an_account_of_that_name_with_another_address_is_somebody_elses(issuer, tenant):
    make_member(tenant, "Ann@Example.com", Role.VIEWER)

    client, answer = come(issuer)

    assert refused(answer, "sign_on.account_taken", "The name ann@example.com")
    assert not is_in(client)
    assert (SignOnIdentity.objects.count(), User.objects.count(), Entry.objects.count()) == (0, 1, 0)


def test_an_address_that_makes_no_name_is_refused_and_odd_letters_are_replaced(issuer):
    assert refused(come(issuer, email="'o@example.com")[1], "sign_on.account_taken")
    assert not User.objects.exists()

    assert is_in(come(issuer, email="ann.o'brien@example.com")[0])
    assert User.objects.get().username == "ann.o_brien@example.com"


def test_a_deactivated_account_is_refused_and_it_stands_in_the_record(issuer):
    come(issuer)
    User.objects.update(is_active=False)
    before = Entry.objects.count()

    client, answer = come(issuer, groups=["admins"])

    assert refused(answer, "sign_on.account_inactive")
    assert not is_in(client)
    assert Member.objects.get().role == Role.VIEWER
    assert actions()[before:] == [("sign_on.refused", "sign-on", {"code": "sign_on.account_inactive"})]


def test_the_role_follows_the_groups_and_the_first_of_several_counts(issuer, mia):
    come(issuer)
    client, _ = come(issuer, groups=["drivers", "admins"])

    assert is_in(client)
    assert Member.objects.get(user__username="ann@example.com").role == Role.ADMINISTRATOR
    assert actions()[-1] == ("member.changed", "sign-on", {"before": "viewer", "role": "administrator"})


def test_who_lost_the_group_loses_the_role_and_every_session(issuer):
    first, _ = come(issuer)

    client, answer = come(issuer, groups=["all"])

    assert refused(answer, "sign_on.no_group")
    assert (is_in(first), is_in(client)) == (False, False)
    assert not Member.objects.exists()
    assert actions()[-1] == ("member.removed", "sign-on", {"role": "viewer"})


def test_who_lost_one_group_of_two_comes_in_with_the_other(issuer, settings):
    make_tenant("south")
    settings.OIDC_GRANTS = (*settings.OIDC_GRANTS, *grants_in("all=south:auditor"))
    first, _ = come(issuer)
    assert Member.objects.count() == 2

    client, _ = come(issuer, groups=["all"])

    assert (is_in(first), is_in(client)) == (False, True)
    assert Member.objects.values_list("tenant__name", "role").get() == ("south", Role.AUDITOR)


def test_a_role_given_by_hand_stays_when_groups_go(issuer, bob):
    User.objects.update(email="ann@example.com")
    come(issuer)

    client, _ = come(issuer, groups=[])

    assert is_in(client)
    assert Member.objects.get() == bob


@pytest.mark.parametrize("groups", [[], ["drivers"]])
def test_the_last_administrator_stays_one(issuer, groups):
    come(issuer, groups=["admins"])

    client, _ = come(issuer, groups=groups)

    assert is_in(client)
    assert Member.objects.get().role == Role.ADMINISTRATOR
    details = {"role": "administrator", "code": "member.last_administrator"}
    assert actions()[-1] == ("sign_on.role_kept", "sign-on", details)


def test_a_second_factor_is_ours_to_ask_for_unless_the_issuer_did(issuer, bob, hands):
    User.objects.update(email="ann@example.com")
    enrol(bob, hands)

    client, answer = come(issuer, amr=["pwd"], next_url="/console/keys/")
    assert answer["Location"] == "/console/login/second-factor/"
    assert not is_in(client)
    code = code_of(bob.user, hands.now)
    assert client.post(answer["Location"], {"code": code})["Location"] == "/console/keys/"
    assert is_in(client)

    assert is_in(come(issuer, amr=["pwd", "otp"])[0])


def test_a_tenant_that_wants_a_second_factor_takes_the_issuers(issuer):
    Tenant.objects.update(second_factor_required=True)

    assert is_in(come(issuer, amr=["mfa"])[0])
    without, _ = come(issuer, amr=["pwd"])
    assert not is_in(without)
    assert without.get("/console/login/")["Location"] == "/console/profile/second-factor/"


def test_who_signs_out_is_signed_out_at_the_issuer_too(issuer, settings):
    client, _ = come(issuer)

    answer = client.post("/console/logout/")

    assert not is_in(client)
    asked = parse_qs(urlsplit(answer["Location"]).query)
    assert answer["Location"].startswith(f"{issuer.url}/end?")
    assert asked["post_logout_redirect_uri"] == ["https://ota.example.com/console/login/"]
    assert asked["client_id"] == [CLIENT_ID]
    # Whose session it is: the issuer need not ask.
    hint = jwt.decode(asked["id_token_hint"][0], options={"verify_signature": False})
    assert (hint["sub"], hint["aud"]) == ("0017", CLIENT_ID)


def test_an_id_token_too_long_for_an_address_is_no_hint(issuer):
    client, _ = come(issuer, picture="x" * 6000)

    asked = parse_qs(urlsplit(client.post("/console/logout/")["Location"]).query)

    assert asked.keys() == {"client_id", "post_logout_redirect_uri"}


def test_after_a_code_of_ours_one_is_still_signed_out_at_the_issuer(issuer, bob, hands):
    User.objects.update(email="ann@example.com")
    enrol(bob, hands)
    client, answer = come(issuer)
    client.post(answer["Location"], {"code": code_of(bob.user, hands.now)})

    assert client.post("/console/logout/")["Location"].startswith(f"{issuer.url}/end?")


def test_an_issuer_that_is_away_or_has_no_sign_out_keeps_nobody_in(issuer, server):
    del issuer.described["end_session_endpoint"]
    client, _ = come(issuer)
    assert client.post("/console/logout/").status_code == 200
    assert not is_in(client)

    client, _ = come(issuer)
    cache.clear()
    issuer.described["issuer"] = "https://another.example"
    assert client.post("/console/logout/").status_code == 200
    assert not is_in(client)


def test_who_came_by_password_leaves_the_issuer_alone(issuer, mia):
    client, _ = sign_in()

    assert client.post("/console/logout/").status_code == 200
    assert not is_in(client)
    assert issuer.asked == []
