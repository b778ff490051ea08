"""Coming in and staying in."""

import pytest
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import resolve

from otaserver.console.people.sign_in import SignInView
from otaserver.people import operations
from otaserver.people.models import SignIn
from otaserver.tenants.models import Member, Tenant, User
from tests.console.people.conftest import enrol, is_in, sign_in, signed_in
from tests.factories import make_tenant
from tests.people.people_factories import PASSWORD, code_of, make_member

pytestmark = pytest.mark.any_database


def test_the_only_way_in_is_ours():
    assert resolve("/console/login/").func.view_class is SignInView


def test_a_member_comes_in_under_a_new_session(mia):
    client = Client()
    client.get("/console/login/")
    client, answer = sign_in(client=client)

    assert (answer.status_code, answer["Location"]) == (302, "/console/")
    assert is_in(client)
    assert client.cookies["sessionid"]["httponly"]
    assert SignIn.objects.get().has_succeeded


def test_a_session_that_somebody_else_prepared_is_not_the_one_that_is_signed_in(mia):
    client = Client()
    client.get("/console/login/")
    session = client.session
    session["planted"] = True
    session.save()
    before = session.session_key
    client.cookies["sessionid"] = before

    sign_in(client=client)

    assert client.session.session_key != before
    assert "planted" not in client.session
    assert not Session.objects.filter(session_key=before).exists()


@pytest.mark.parametrize(("username", "password"), [("mia", "wrong"), ("eve", PASSWORD), ("eve", "wrong"), ("", "")])
def test_a_wrong_password_and_an_unknown_name_are_told_alike(mia, username, password):
    client, answer = sign_in(username, password)

    assert answer.status_code == 200
    assert not is_in(client)
    if username:
        assert "Please enter a correct" in answer.content.decode()
        assert not SignIn.objects.get().has_succeeded


def test_who_is_a_member_of_nothing_or_inactive_does_not_come_in(mia):
    User.objects.create_user("eve", password=PASSWORD)
    User.objects.filter(username="mia").update(is_active=False)

    for username in ("eve", "mia"):
        client, _ = sign_in(username)
        assert not is_in(client)


def test_after_five_wrong_passwords_the_right_one_has_to_wait_too(mia, hands):
    for _ in range(5):
        sign_in(password="wrong")

    client, answer = sign_in()
    assert "Too many tries have failed" in answer.content.decode()
    assert not is_in(client)
    assert is_in(sign_in(address="198.51.100.7")[0])
    hands.forward(minutes=15)
    assert is_in(sign_in()[0])


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example/", "javascript:alert(1)"])
def test_nobody_is_led_away(mia, target):
    assert sign_in(next_url=target)[1]["Location"] == "/console/"


def test_who_wanted_a_page_gets_there(mia):
    assert sign_in(next_url="/console/fleet/vehicle/")[1]["Location"] == "/console/fleet/vehicle/"


def answer_code(client, code):
    return client.post("/console/login/second-factor/", {"code": code})


def test_the_second_factor_is_asked_for_before_anything_is_seen(mia, hands):
    enrol(mia, hands)
    client, answer = sign_in(next_url="/console/fleet/vehicle/")

    assert answer["Location"] == "/console/login/second-factor/"
    assert client.get(answer["Location"]).status_code == 200
    for path in ("", "profile/", "profile/second-factor/", "members/", "fleet/vehicle/"):
        assert client.get(f"/console/{path}").status_code == 302, path
    assert answer_code(client, "000000").status_code == 200
    assert not is_in(client)
    passed = answer_code(client, code_of(mia.user, hands.now))
    assert (passed.status_code, passed["Location"]) == (302, "/console/fleet/vehicle/")
    assert is_in(client)


def test_a_recovery_code_lets_in_once(mia, hands):
    codes = enrol(mia, hands)

    first, second = sign_in()[0], sign_in()[0]

    assert answer_code(first, codes[3]).status_code == 302
    assert answer_code(second, codes[3]).status_code == 200
    assert (is_in(first), is_in(second)) == (True, False)


def test_codes_are_counted_as_tries(mia, hands):
    enrol(mia, hands)
    client, _ = sign_in()
    for _ in range(5):
        answer_code(client, "000000")

    refused = answer_code(client, code_of(mia.user, hands.now))

    assert "Too many tries have failed" in refused.content.decode()
    assert not is_in(client)


def test_the_second_step_ends_after_five_minutes_or_with_another_password(mia, hands):
    enrol(mia, hands)
    late, changed = sign_in()[0], sign_in()[0]
    mia.user.set_password("another long password")
    mia.user.save()
    assert answer_code(changed, code_of(mia.user, hands.now))["Location"] == "/console/login/"
    hands.forward(minutes=5, seconds=1)
    assert answer_code(late, code_of(mia.user, hands.now))["Location"] == "/console/login/"

    assert not is_in(late)


def test_nobody_is_asked_for_a_code_without_a_password(db):
    assert Client().get("/console/login/second-factor/")["Location"] == "/console/login/"
    assert Client().get("/console/login/").status_code == 200


def test_a_tenant_that_wants_a_second_factor_is_shown_with_one_only(mia, hands):
    Tenant.objects.update(second_factor_required=True)
    client = signed_in()
    assert not is_in(client)
    assert client.get("/console/login/")["Location"] == "/console/profile/second-factor/"
    assert client.get("/console/members/").status_code == 403
    page = client.get("/console/profile/second-factor/")
    assert "<svg" in page.content.decode()

    confirmed = client.post("/console/profile/second-factor/", {"do": "confirm", "code": code_of(mia.user, hands.now)})

    assert confirmed.content.decode().count("-") > 30
    assert is_in(client)
    assert client.get("/console/members/").status_code == 200


def test_of_several_tenants_those_without_that_wish_are_shown(mia):
    make_member(make_tenant("strict", second_factor_required=True))
    client = signed_in()

    assert is_in(client)
    assert "strict" not in client.get("/console/profile/").content.decode()


def test_a_session_ends_when_nobody_opens_a_page(mia, hands):
    client = signed_in()
    for _ in range(3):
        hands.forward(minutes=59)
        assert is_in(client)
    hands.forward(minutes=60)

    assert not is_in(client)


def test_what_a_pages_script_fetches_keeps_no_session_alive(mia, hands):
    client = signed_in()
    for _ in range(3):
        hands.forward(minutes=20)
        answer = client.get("/console/jsi18n/", headers={"Sec-Fetch-Dest": "empty"})

    assert answer.status_code == 302


def test_a_session_ends_after_twelve_hours_in_any_case(mia, hands):
    client = signed_in()
    for _ in range(23):
        hands.forward(minutes=30)
        assert is_in(client)
    hands.forward(minutes=30)

    assert not is_in(client)


def test_who_signs_out_everywhere_is_out_everywhere(mia):
    here, there = signed_in(), signed_in()

    here.post("/console/profile/", {"do": "end_sessions"})

    assert (is_in(here), is_in(there)) == (False, False)


def test_who_is_removed_is_out_at_once(mia, bob):
    client, other = signed_in("bob"), signed_in()

    operations.remove_member(bob, by="mia", at=mia.user.date_joined)

    assert (is_in(client), is_in(other)) == (False, True)
    assert client.get("/console/profile/")["Location"].startswith("/console/login/")


def test_another_role_counts_from_the_next_request_on(mia, bob):
    client = signed_in("bob")
    assert client.get("/console/members/").status_code == 403

    Member.objects.filter(pk=bob.pk).update(role="administrator")

    assert client.get("/console/members/").status_code == 200
