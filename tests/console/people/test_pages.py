"""What people do for themselves, and administrators for others."""

import re

import pytest
from django.test import Client

from otaserver.audit.models import Entry
from otaserver.people import operations
from otaserver.people.models import Invitation, PersonalToken
from otaserver.tenants.models import Member, ServiceToken, User
from otaserver.tenants.states import Role
from tests.console.people.conftest import do, enrol, is_in, sign_in, signed_in
from tests.factories import NOON, make_tenant
from tests.people.people_factories import ROOT, code_of, make_member, make_personal_token

pytestmark = pytest.mark.any_database


def secret_in(answer, pattern):
    return re.search(pattern, answer.content.decode())[0]


def test_a_person_makes_a_token_sees_it_once_and_revokes_it(mia):
    client = signed_in()
    made = do(client, "profile/", "make_token", name="laptop", tenant=mia.tenant.pk, life="30")
    secret = secret_in(made, r"otap_[\w-]{43}")

    assert made["Cache-Control"].startswith("max-age=0, no-cache, no-store")
    assert operations.authenticate_personal_token(secret, at=NOON).member == mia
    assert "otap_" not in client.get("/console/profile/").content.decode()
    do(client, "profile/", f"revoke_token:{PersonalToken.objects.get().pk}")
    assert PersonalToken.objects.get().revoked_at == NOON


@pytest.mark.parametrize("field", [{"tenant": "999"}, {"life": "4000"}, {"name": ""}, {"name": "x" * 101}])
def test_a_token_is_made_of_what_the_form_offers(mia, field):
    asked = {"name": "laptop", "tenant": mia.tenant.pk, "life": "30"} | field

    assert do(signed_in(), "profile/", "make_token", **asked).status_code == 422
    assert not PersonalToken.objects.exists()


def test_nobody_makes_or_revokes_a_token_of_somebody_else(mia, bob):
    foreign = make_tenant("other")
    make_personal_token(bob)
    client = signed_in()

    do(client, "profile/", "make_token", name="x", tenant=foreign.pk, life="30")
    answer = do(client, "profile/", f"revoke_token:{PersonalToken.objects.get().pk}")

    assert answer.status_code == 404
    assert PersonalToken.objects.get().revoked_at is None


def test_with_a_code_recovery_codes_are_made_anew_and_the_second_factor_goes(mia, hands):
    enrol(mia, hands)
    client, _ = sign_in()
    client.post("/console/login/second-factor/", {"code": code_of(mia.user, hands.now)})
    assert do(client, "profile/", "remove_second_factor", code="000000").status_code == 302
    assert operations.has_second_factor(mia.user)

    hands.forward(seconds=30)
    renewed = do(client, "profile/", "recovery_codes", code=code_of(mia.user, hands.now))
    code = secret_in(renewed, r"\b[a-z2-7]{4}(-[a-z2-7]{4}){3}\b")
    do(client, "profile/", "remove_second_factor", code=code)

    assert not operations.has_second_factor(mia.user)
    assert is_in(client)


def test_setting_up_a_second_factor_signs_out_everywhere_else(mia, hands):
    here, there = signed_in(), signed_in()
    here.get("/console/profile/second-factor/")
    key = here.session.session_key

    do(here, "profile/second-factor/", "confirm", code=code_of(mia.user, hands.now))

    assert (is_in(here), is_in(there)) == (True, False)
    assert here.session.session_key != key


def test_who_has_a_second_factor_cannot_replace_it_without_it(mia, hands):
    client = signed_in()
    enrol(mia, hands)

    assert client.get("/console/profile/second-factor/")["Location"] == "/console/profile/"
    assert do(client, "profile/second-factor/", "confirm", code="123456").status_code == 302


def test_a_person_of_two_tenants_chooses_which_they_look_at(mia):
    other = make_member(make_tenant("other", title="Other Ltd"), role=Role.VIEWER)
    client = signed_in()
    assert "Other Ltd" in client.get("/console/profile/").content.decode()

    do(client, "profile/", "choose", tenant=other.tenant.pk)
    assert client.get("/console/members/").status_code == 403
    do(client, "profile/", "choose", tenant="")
    assert client.get("/console/members/").status_code == 200
    assert do(client, "profile/", "choose", tenant="999").status_code == 404


def test_members_and_tokens_are_listed_with_their_buttons(mia, bob):
    operations.issue_service_token(mia.tenant, name="night build", role=Role.VIEWER, by=ROOT, at=NOON)
    client = signed_in()

    members, tokens = (client.get(f"/console/{path}").content.decode() for path in ("members/", "tokens/"))

    for row in (mia, bob):
        assert f">{row.user.username}</td>" in members
        assert f'value="remove:{row.pk}"' in members
        assert f'value="change_role:{row.pk}"' in members
    assert ">night build</td>" in tokens
    assert f'value="revoke:{ServiceToken.objects.get().pk}"' in tokens


def test_an_administrator_gives_roles_and_removes(mia, bob):
    client = signed_in()

    do(client, "members/", f"change_role:{bob.pk}", role="approver")
    assert Member.objects.get(pk=bob.pk).role == Role.APPROVER
    assert do(client, "members/", f"change_role:{bob.pk}", role="owner").status_code == 422
    do(client, "members/", f"remove:{bob.pk}")

    assert Member.objects.get() == mia
    assert [entry.actor for entry in Entry.objects.all()] == ["mia", "mia"]


def test_a_form_that_is_wrong_is_shown_again_once_and_in_its_place(mia):
    client = signed_in()

    for path, what, given in (
        ("members/", "invite", {"role": "viewer", "email": "nobody at home"}),
        ("tokens/", "make", {"role": "viewer", "life": "30", "name": ""}),
        ("profile/", "make_token", {"tenant": mia.tenant.pk, "life": "30", "name": ""}),
    ):
        answer = do(client, path, what, **given)

        page = answer.content.decode()
        assert (what, answer.status_code, page.count(f'value="{what}"')) == (what, 422, 1)
        assert ("nobody at home" in page) == (what == "invite")
    assert not Invitation.objects.exists()


def test_no_role_is_given_by_a_slip(mia, bob):
    answer = do(signed_in(), "members/", f"change_role:{bob.pk}", role="")

    assert (answer.status_code, "Choose the role first." in answer.content.decode()) == (422, True)
    assert Member.objects.get(pk=bob.pk).role == Role.VIEWER


def test_what_cannot_be_taken_back_is_asked_once_more(mia, bob):
    page = signed_in().get("/console/members/").content.decode()

    assert page.count('data-sure="Remove bob from acme?"') == 1
    assert "/static/console/sure" in page


def test_the_last_administrator_is_told_why_they_stay(mia):
    answer = do(signed_in(), "members/", f"remove:{mia.pk}")

    assert answer.status_code == 409
    assert "last administrator" in answer.content.decode()
    assert Member.objects.count() == 1


def test_a_link_leads_from_nobody_to_a_member(mia):
    made = do(signed_in(), "members/", "invite", role="approver", email="")
    link = secret_in(made, r"http://testserver/console/invitations/[\w-]{43}")
    newcomer = Client()

    page = newcomer.get(link)
    weak = newcomer.post(link, {"username": "ann", "password": "short", "again": "short"})
    unequal = newcomer.post(link, {"username": "ann", "password": "a long password!", "again": "another"})
    assert (page.status_code, page["Referrer-Policy"]) == (200, "strict-origin")
    assert (weak.status_code, unequal.status_code, User.objects.count()) == (200, 200, 1)
    joined = newcomer.post(link, {"username": "ann", "password": "a long password!", "again": "a long password!"})

    assert joined.status_code == 302
    assert is_in(newcomer)
    assert Member.objects.get(user__username="ann").role == Role.APPROVER
    assert Client().get(link).status_code == 404


def test_a_taken_name_is_told_and_the_link_stays(mia):
    _, secret = operations.invite(mia.tenant, role=Role.VIEWER, by=ROOT, at=NOON)
    fields = {"username": "mia", "password": "a long password!", "again": "a long password!"}

    assert Client().post(f"/console/invitations/{secret}", fields).status_code == 409
    assert Invitation.objects.get().accepted_at is None


def test_who_is_signed_in_joins_as_who_they_are(mia):
    eve = make_member(make_tenant("other"), "eve")
    _, secret = operations.invite(mia.tenant, role=Role.VIEWER, by=ROOT, at=NOON)

    answer = signed_in("eve").post(f"/console/invitations/{secret}")

    assert answer.status_code == 302
    assert Member.objects.get(tenant=mia.tenant, user=eve.user).role == Role.VIEWER


def test_an_administrator_makes_service_tokens_and_ends_them(mia):
    client = signed_in()
    made = do(client, "tokens/", "make", name="ci", role="viewer", life="90")

    assert secret_in(made, r"ota_[\w-]{43}")
    again = do(client, "tokens/", "make", name="ci", role="viewer", life="90")
    assert again.status_code == 409
    do(client, "tokens/", f"revoke:{ServiceToken.objects.get().pk}")
    assert ServiceToken.objects.get().revoked_at == NOON
    assert ">ci</td>" in client.get("/console/tokens/").content.decode()


def test_rows_of_another_tenant_are_not_there(mia):
    other = make_tenant("other")
    make_member(other, "ann")
    eve = make_member(other, "eve", Role.VIEWER)
    invitation, _ = operations.invite(other, role=Role.VIEWER, by=ROOT, at=NOON)
    token, _ = operations.issue_service_token(other, name="x", role=Role.VIEWER, by=ROOT, at=NOON)
    entries = Entry.objects.count()
    client = signed_in()

    for path, what in [
        ("members/", f"change_role:{eve.pk}"),
        ("members/", f"remove:{eve.pk}"),
        ("members/", f"revoke_invitation:{invitation.pk}"),
        ("tokens/", f"revoke:{token.pk}"),
        ("members/", "remove:x"),
        ("members/", "explode"),
        ("members/", ""),
    ]:
        assert do(client, path, what, role="viewer").status_code == 404, what

    assert Entry.objects.count() == entries


def test_buttons_need_the_forms_own_secret(mia, bob):
    client = signed_in()
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = client.cookies

    assert do(strict, "members/", f"remove:{bob.pk}").status_code == 403
    assert Member.objects.count() == 2


def test_each_label_speaks_for_a_field_of_its_own(mia):
    make_member(make_tenant("other"), role=Role.VIEWER)
    client = signed_in()

    for path in ("members/", "tokens/", "profile/"):
        page = client.get(f"/console/{path}").content.decode()
        ids = re.findall(r'\bid="(id_[^"]+)"', page)
        assert (path, sorted(ids)) == (path, sorted(set(ids)))
        assert {each.partition('"')[0] for each in page.split(' for="')[1:]} <= set(ids)
