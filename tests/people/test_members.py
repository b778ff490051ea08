from datetime import timedelta

import pytest

from otaserver.audit.models import Entry
from otaserver.people import operations
from otaserver.people.errors import (
    AlreadyMemberError,
    BeyondOwnPermissionsError,
    InvitationInvalidError,
    LastAdministratorError,
    UsernameRefusedError,
    UsernameTakenError,
)
from otaserver.people.models import Invitation, PersonalToken
from otaserver.people.operations import Newcomer
from otaserver.people.rules import INVITATION_LIFE, Grantor
from otaserver.tenants.errors import TokenInvalidError
from otaserver.tenants.models import Member, User
from otaserver.tenants.states import PERMISSIONS, Permission, Role
from tests.factories import NOON, make_tenant
from tests.people.people_factories import ROOT, make_member, make_personal_token

pytestmark = pytest.mark.django_db


@pytest.fixture
def tenant():
    return make_tenant("acme")


def test_a_member_gets_another_role_and_it_stands_in_the_records(tenant):
    make_member(tenant)
    bob = make_member(tenant, "bob", Role.VIEWER)

    operations.change_role(bob, role=Role.APPROVER, by=ROOT, at=NOON)

    assert Member.objects.get(pk=bob.pk).role == Role.APPROVER
    entry = Entry.objects.get()
    assert (entry.action, entry.subject, entry.actor) == ("member.changed", "bob", "root")
    assert entry.details == {"before": "viewer", "role": "approver"}


def test_the_same_role_again_changes_nothing(tenant):
    operations.change_role(make_member(tenant), role=Role.ADMINISTRATOR, by=ROOT, at=NOON)

    assert not Entry.objects.exists()


def test_the_last_administrator_is_neither_demoted_nor_removed(tenant):
    mia = make_member(tenant)
    make_member(tenant, "bob", Role.VIEWER)
    make_member(make_tenant("other"), "eve")
    inactive = make_member(tenant, "ann")
    User.objects.filter(pk=inactive.user_id).update(is_active=False)

    with pytest.raises(LastAdministratorError):
        operations.change_role(mia, role=Role.VIEWER, by=ROOT, at=NOON)
    with pytest.raises(LastAdministratorError):
        operations.remove_member(mia, by="root", at=NOON)

    assert Member.objects.get(pk=mia.pk).role == Role.ADMINISTRATOR
    assert not Entry.objects.exists()


def test_one_of_two_administrators_may_go(tenant):
    mia, bob = make_member(tenant), make_member(tenant, "bob")

    operations.remove_member(mia, by="bob", at=NOON)

    assert Member.objects.get() == bob
    with pytest.raises(LastAdministratorError):
        operations.remove_member(bob, by="bob", at=NOON)


@pytest.mark.django_db(transaction=True)
def test_of_two_administrators_who_remove_each_other_one_stays(at_once):
    tenant = make_tenant("acme")
    mia, bob = make_member(tenant), make_member(tenant, "bob")

    ends = at_once(
        lambda: operations.remove_member(mia, by="bob", at=NOON),
        lambda: operations.remove_member(bob, by="mia", at=NOON),
    )

    assert sorted(type(end).__name__ for end in ends) == ["LastAdministratorError", "NoneType"]
    assert Member.objects.count() == 1


def test_who_is_removed_loses_tokens_and_sessions_at_once_and_keeps_other_tenants(tenant):
    make_member(tenant, "ann")
    mia = make_member(tenant)
    elsewhere = make_member(make_tenant("other"))
    token, other_token = make_personal_token(mia), make_personal_token(elsewhere)
    session = mia.user.get_session_auth_hash()

    operations.remove_member(mia, by="ann", at=NOON)

    with pytest.raises(TokenInvalidError):
        operations.authenticate_personal_token(token, at=NOON)
    assert operations.authenticate_personal_token(other_token, at=NOON).member == elsewhere
    assert User.objects.get(username="mia").get_session_auth_hash() != session
    assert Entry.objects.last().action == "member.removed"


def test_removing_a_member_twice_is_recorded_once(tenant):
    make_member(tenant, "ann")
    mia = make_member(tenant)

    operations.remove_member(mia, by="ann", at=NOON)
    operations.remove_member(Member(pk=mia.pk or 1, tenant=tenant, user=mia.user), by="ann", at=NOON)

    assert Entry.objects.count() == 1


def test_nobody_gives_a_role_that_may_more_than_they_may(tenant):
    make_member(tenant)
    bob = make_member(tenant, "bob", Role.VIEWER)
    few = Grantor("token:few", frozenset({Permission.VIEW, Permission.ADMINISTER}))

    with pytest.raises(BeyondOwnPermissionsError) as refused:
        operations.change_role(bob, role=Role.APPROVER, by=few, at=NOON)
    with pytest.raises(BeyondOwnPermissionsError):
        operations.invite(tenant, role=Role.APPROVER, by=few, at=NOON)

    assert refused.value.details == {"permissions": ["approve", "stop"]}
    assert (Member.objects.get(pk=bob.pk).role, Invitation.objects.count()) == (Role.VIEWER, 0)


def invited(tenant, role=Role.APPROVER):
    return operations.invite(tenant, role=role, by=ROOT, at=NOON)[1]


def test_an_invitation_is_kept_as_a_hash_and_used_once(tenant):
    secret = invited(tenant)
    assert secret not in str(Invitation.objects.values().get())

    member = operations.join_by_invitation(secret, Newcomer("bob", "a long password"), at=NOON)

    assert (member.role, member.tenant, member.user.check_password("a long password")) == ("approver", tenant, True)
    with pytest.raises(InvitationInvalidError):
        operations.join_by_invitation(secret, Newcomer("eve", "a long password"), at=NOON)
    assert list(User.objects.values_list("username", flat=True)) == ["bob"]
    assert Entry.objects.last().details == {"role": "approver", "invited_by": "root"}


def test_who_has_an_account_joins_with_it(tenant):
    secret = invited(tenant)
    eve = make_member(make_tenant("other"), "eve", Role.VIEWER).user

    operations.accept_invitation(secret, user=eve, at=NOON)

    assert sorted(Member.objects.values_list("tenant__name", "role")) == [("acme", "approver"), ("other", "viewer")]


def test_a_member_cannot_raise_their_own_role_by_an_invitation_and_leaves_it_for_others(tenant):
    secret = invited(tenant, Role.ADMINISTRATOR)
    bob = make_member(tenant, "bob", Role.VIEWER)

    with pytest.raises(AlreadyMemberError):
        operations.accept_invitation(secret, user=bob.user, at=NOON)

    assert Member.objects.get().role == Role.VIEWER
    assert operations.find_invitation(secret, at=NOON).accepted_at is None


@pytest.mark.parametrize("age", [INVITATION_LIFE, INVITATION_LIFE + timedelta(days=1)])
def test_an_old_invitation_is_none(tenant, age):
    secret = invited(tenant)

    with pytest.raises(InvitationInvalidError):
        operations.find_invitation(secret, at=NOON + age)


def test_an_invitation_ends_no_later_than_the_token_that_made_it(tenant):
    short = Grantor("token:ci", frozenset(Permission), until=NOON + timedelta(minutes=1))

    made, secret = operations.invite(tenant, role=Role.VIEWER, by=short, at=NOON)

    assert made.expires_at == NOON + timedelta(minutes=1)
    with pytest.raises(InvitationInvalidError):
        operations.find_invitation(secret, at=NOON + timedelta(minutes=1))


def open_roles(tenant):
    return list(Invitation.objects.filter(tenant=tenant, revoked_at=None).order_by("pk").values_list("role", flat=True))


def test_the_invitations_of_a_removed_member_end_with_the_membership(tenant):
    make_member(tenant, "ann")
    mia, other = make_member(tenant), make_tenant("other")
    for where in (tenant, other):
        operations.invite(where, role=Role.VIEWER, by=Grantor("mia", frozenset(Permission)), at=NOON)
    operations.invite(tenant, role=Role.AUDITOR, by=ROOT, at=NOON)

    operations.remove_member(mia, by="ann", at=NOON)

    assert (open_roles(tenant), open_roles(other)) == ([Role.AUDITOR], [Role.VIEWER])
    assert Entry.objects.filter(action="member.invitation_revoked").count() == 1


def test_the_invitations_of_who_may_invite_no_more_end_and_accepted_ones_stay(tenant):
    make_member(tenant, "ann")
    mia = make_member(tenant)
    secrets = [
        operations.invite(tenant, role=role, by=Grantor("mia", frozenset(Permission)), at=NOON)[1]
        for role in (Role.ADMINISTRATOR, Role.VIEWER)
    ]
    operations.join_by_invitation(secrets[1], Newcomer("bob", "a long password"), at=NOON)

    operations.change_role(mia, role=Role.VIEWER, by=ROOT, at=NOON)

    assert open_roles(tenant) == [Role.VIEWER]
    with pytest.raises(InvitationInvalidError):
        operations.find_invitation(secrets[0], at=NOON)


def test_the_invitations_of_a_revoked_token_end_with_it(tenant):
    token, _ = operations.issue_service_token(tenant, name="ci", role=Role.ADMINISTRATOR, by=ROOT, at=NOON)
    operations.invite(tenant, role=Role.VIEWER, by=Grantor("token:ci", frozenset(Permission)), at=NOON)

    operations.revoke_service_token(token, by="root", at=NOON)

    assert open_roles(tenant) == []


def test_a_revoked_invitation_is_none_and_stays_so(tenant):
    secret = invited(tenant)
    for _ in range(2):
        operations.revoke_invitation(Invitation.objects.get(), by="mia", at=NOON)

    with pytest.raises(InvitationInvalidError):
        operations.join_by_invitation(secret, Newcomer("bob", "a long password"), at=NOON)
    assert [entry.action for entry in Entry.objects.order_by("pk")] == ["member.invited", "member.invitation_revoked"]
    assert not User.objects.exists()


@pytest.mark.parametrize(
    ("name", "error"),
    [("MIA", UsernameTakenError), ("token:ci", UsernameRefusedError), ("engine", UsernameRefusedError)],
)
def test_a_name_that_is_taken_or_nobodys_is_refused_and_the_invitation_stays(tenant, name, error):
    make_member(tenant)
    secret = invited(tenant)

    with pytest.raises(error):
        operations.join_by_invitation(secret, Newcomer(name, "a long password"), at=NOON)

    assert User.objects.count() == 1
    assert operations.find_invitation(secret, at=NOON)


def test_the_role_of_a_personal_token_is_the_one_that_its_member_has_now(tenant):
    make_member(tenant, "ann")
    mia = make_member(tenant)
    make_personal_token(mia)

    operations.change_role(mia, role=Role.VIEWER, by=ROOT, at=NOON)

    token = PersonalToken.objects.select_related("member").get()
    assert PERMISSIONS[token.member.role] == {Permission.VIEW}
