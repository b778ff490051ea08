from datetime import timedelta

import pytest

from otaserver.audit.models import Entry
from otaserver.people.models import Invitation, PersonalToken
from otaserver.tenants.models import Member, ServiceToken
from otaserver.tenants.states import Permission, Role
from tests.factories import NOON, make_tenant
from tests.operator_api.conftest import Caller
from tests.people.people_factories import make_member, make_personal_token

pytestmark = pytest.mark.any_database

TOMORROW = "2026-06-02T12:00:00Z"


@pytest.fixture
def mia(tenant):
    return make_member(tenant)


@pytest.fixture
def as_mia(mia):
    return Caller(mia.tenant, make_personal_token(mia))


def test_a_personal_token_acts_as_its_member(as_mia):
    me = as_mia.get("/me").json()

    assert (me["person"], me["token"], me["role"]) == ("mia", "laptop", "administrator")
    as_mia.post("/tenant/stop", {"reason": "Smoke."})
    assert Entry.objects.get(action="tenant.stopped").actor == "mia"


def test_it_may_what_the_member_may_now_and_no_more_than_its_scopes(mia):
    make_member(mia.tenant, "ann")
    token = Caller(mia.tenant, make_personal_token(mia, permissions=["view", "stop"]))
    assert token.get("/audit").json()["permission"] == "audit"
    assert token.post("/tenant/stop", {"reason": "Smoke."}).status_code == 200

    Member.objects.filter(pk=mia.pk).update(role=Role.VIEWER)

    assert token.get("/me").json()["permissions"] == ["view"]
    assert token.post("/tenant/stop", {"reason": "Smoke."}).status_code == 403


def test_members_are_listed_without_what_is_nobody_elses(caller, mia):
    shown = caller.get("/members").json()["results"]

    assert shown == [
        {
            "id": mia.pk,
            "username": "mia",
            "email": "",
            "role": "administrator",
            "is_active": True,
            "is_from_single_sign_on": False,
            "last_sign_in_at": None,
        }
    ]
    assert caller.get(f"/members/{mia.pk}").json() == shown[0]


def test_a_member_gets_another_role_or_goes(caller, mia):
    bob = make_member(mia.tenant, "bob", Role.VIEWER)

    changed = caller("PATCH", f"/members/{bob.pk}", {"role": "approver"})
    gone = caller.post(f"/members/{bob.pk}/remove")

    assert (changed.json()["role"], gone.status_code) == ("approver", 204)
    assert Member.objects.get() == mia


def test_the_last_administrator_stays(caller, mia):
    demoted = caller("PATCH", f"/members/{mia.pk}", {"role": "viewer"})
    removed = caller.post(f"/members/{mia.pk}/remove")

    for refused in (demoted, removed):
        assert (refused.status_code, refused.json()["code"]) == (409, "member.last_administrator")
    assert Member.objects.get().role == Role.ADMINISTRATOR


def test_a_link_makes_one_member(caller, settings, mailoutbox):
    settings.EMAIL_HOST = "mail.example"
    made = caller.post("/invitations", {"role": "approver", "email": "bob@example.com"}).json()

    assert made["link"].startswith("http://testserver/console/invitations/")
    assert made["link"] in mailoutbox[0].body
    assert mailoutbox[0].to == ["bob@example.com"]
    assert "link" not in caller.get("/invitations").json()["results"][0]
    assert caller.post(f"/invitations/{made['id']}/revoke").json()["revoked_at"]


def test_without_an_address_or_a_mail_server_the_link_is_only_shown(caller, settings, mailoutbox):
    assert caller.post("/invitations", {"role": "viewer", "email": "bob@example.com"}).status_code == 201
    settings.EMAIL_HOST = "mail.example"
    assert caller.post("/invitations", {"role": "viewer"}).status_code == 201

    assert mailoutbox == []
    assert Invitation.objects.count() == 2


def test_a_mail_server_that_fails_takes_no_invitation_back(caller, settings):
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"

    assert caller.post("/invitations", {"role": "viewer", "email": "bob@example.com"}).status_code == 201


def test_a_service_token_is_made_listed_and_revoked(caller):
    asked = {"name": "ci", "role": "release_engineer", "permissions": ["publish"], "expires_at": TOMORROW}
    made = caller.post("/tokens", asked).json()
    ci = Caller(caller.tenant, made["token"])

    assert ci.get("/packages").status_code == 403
    listed = caller.get("/tokens").json()["results"][0]
    assert {**listed, "token": made["token"]} == {**made, "last_used_at": "2026-06-01T12:00:00Z"}
    assert listed["created_by"] == "token:a administrator"
    assert caller.post(f"/tokens/{made['id']}/revoke").json()["revoked_at"] == "2026-06-01T12:00:00Z"
    assert ci.get("/packages").status_code == 401


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"name": "x", "role": "owner"}, 422, "request.fields_invalid"),
        ({"name": "", "role": "viewer"}, 422, "request.fields_invalid"),
        ({"name": "x", "role": "viewer", "permissions": []}, 422, "token.permissions_refused"),
        ({"name": "x", "role": "viewer", "permissions": ["fly"]}, 422, "request.fields_invalid"),
        ({"name": "x", "role": "viewer", "permissions": ["stop"]}, 422, "token.permissions_refused"),
        ({"name": "x", "role": "viewer", "expires_at": "2026-06-01T12:00:00Z"}, 422, "token.expiry_refused"),
        ({"name": "x", "role": "viewer", "expires_at": "2028-06-01T12:00:00Z"}, 422, "token.expiry_refused"),
        ({"name": "a administrator", "role": "viewer"}, 409, "token.name_taken"),
    ],
)
def test_a_token_that_breaks_a_rule_is_not_made(caller, body, status, code):
    refused = caller.post("/tokens", body)

    assert (refused.status_code, refused.json()["code"]) == (status, code)
    assert ServiceToken.objects.count() == 1


def test_a_token_for_administering_alone_makes_no_administrator(caller):
    asked = {"name": "few", "role": "administrator", "permissions": ["administer"]}
    few = Caller(caller.tenant, caller.post("/tokens", asked).json()["token"])

    token = few.post("/tokens", {"name": "all", "role": "administrator"})
    invitation = few.post("/invitations", {"role": "viewer"})

    for refused in (token, invitation):
        assert (refused.status_code, refused.json()["code"]) == (403, "permission.beyond_own")
    assert (ServiceToken.objects.count(), Invitation.objects.count()) == (2, 0)


def test_ones_own_tokens_are_made_listed_and_revoked_and_nobody_elses(as_mia, mia):
    bob = make_member(mia.tenant, "bob", Role.VIEWER)
    make_personal_token(bob)
    made = as_mia.post("/me/tokens", {"name": "second", "permissions": ["view"], "expires_at": TOMORROW}).json()

    assert made["token"].startswith("otap_")
    assert [token["name"] for token in as_mia.get("/me/tokens").json()["results"]] == ["second", "laptop"]
    assert as_mia.post(f"/me/tokens/{made['id']}/revoke").status_code == 200
    assert Caller(mia.tenant, made["token"]).get("/me").status_code == 401
    foreign = PersonalToken.objects.get(member=bob)
    assert as_mia.post(f"/me/tokens/{foreign.pk}/revoke").status_code == 404
    assert PersonalToken.objects.get(pk=foreign.pk).revoked_at is None


def test_a_token_made_by_a_token_ends_no_later(as_mia):
    made = as_mia.post("/me/tokens", {"name": "second"}).json()
    later = as_mia.post("/me/tokens", {"name": "third", "expires_at": "2026-08-01T12:00:00Z"})

    assert made["expires_at"] == (NOON + timedelta(days=30)).isoformat().replace("+00:00", "Z")
    assert (later.status_code, later.json()["code"]) == (403, "token.outlives_caller")


def test_a_service_token_is_nobody(caller):
    assert caller.get("/me/tokens").json()["results"] == []
    refused = caller.post("/me/tokens", {"name": "x"})

    assert (refused.status_code, refused.json()["code"]) == (422, "token.not_a_person")


def test_who_audits_sees_the_tokens_of_members_and_who_administers_ends_them(caller, as_role, mia):
    token = Caller(mia.tenant, make_personal_token(mia))

    listed = as_role(Role.AUDITOR).get(f"/members/{mia.pk}/tokens").json()["results"]
    ended = caller.post(f"/members/{mia.pk}/tokens/revoke")

    assert [row["name"] for row in listed] == ["laptop"]
    assert ended.json() == {"revoked": 1}
    assert token.get("/me").status_code == 401


def test_a_person_has_in_each_tenant_the_role_of_that_tenant(mia):
    elsewhere = make_member(make_tenant("other"), "mia", Role.VIEWER)
    here, there = Caller(mia.tenant, make_personal_token(mia)), Caller(elsewhere.tenant, make_personal_token(elsewhere))

    assert (here.get("/me").json()["tenant"], there.get("/me").json()["tenant"]) == ("acme", "other")
    assert there.get("/me").json()["permissions"] == [Permission.VIEW]
    assert there.get(f"/members/{mia.pk}").status_code == 404
    assert len(there.get("/members").json()["results"]) == 1


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/members/{member}"),
        ("PATCH", "/members/{member}"),
        ("POST", "/members/{member}/remove"),
        ("GET", "/members/{member}/tokens"),
        ("POST", "/members/{member}/tokens/revoke"),
        ("POST", "/tokens/{token}/revoke"),
        ("POST", "/invitations/{invitation}/revoke"),
    ],
)
def test_another_tenants_people_are_not_there(stranger, caller, mia, method, path):
    invitation = caller.post("/invitations", {"role": "viewer"}).json()["id"]
    make_member(mia.tenant, "bob")
    token = ServiceToken.objects.get(tenant=mia.tenant).pk
    entries = Entry.objects.count()

    body = {"role": "viewer"} if method == "PATCH" else None
    answer = stranger(method, path.format(member=mia.pk, token=token, invitation=invitation), body)

    assert (answer.status_code, answer.json()["code"]) == (404, "resource.not_found")
    assert (Entry.objects.count(), Member.objects.filter(role=Role.ADMINISTRATOR).count()) == (entries, 2)


def test_lists_of_people_hold_only_ones_own(stranger, caller, mia):
    caller.post("/invitations", {"role": "viewer"})

    assert [stranger.get(path).json()["results"] for path in ("/members", "/invitations")] == [[], []]
    assert [row["created_by"] for row in stranger.get("/tokens").json()["results"]] == ["test"]
