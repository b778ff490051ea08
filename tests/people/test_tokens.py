from datetime import timedelta

import pytest

from otaserver.audit.models import Entry
from otaserver.people import operations
from otaserver.people.errors import (
    BeyondOwnPermissionsError,
    ExpiryRefusedError,
    OutlivesCallerError,
    ScopesRefusedError,
)
from otaserver.people.models import PersonalToken
from otaserver.people.queries import persons_behind
from otaserver.people.rules import Grantor
from otaserver.tenants.errors import TokenInvalidError, TokenNameTakenError
from otaserver.tenants.models import ServiceToken, User
from otaserver.tenants.states import Permission, Role
from tests.factories import NOON, make_tenant
from tests.people.people_factories import ROOT, grantor, make_member, make_personal_token

pytestmark = pytest.mark.django_db

MONTH = timedelta(days=30)


@pytest.fixture
def mia():
    return make_member(make_tenant("acme"))


def test_a_personal_token_is_shown_once_and_kept_as_a_hash(mia):
    secret = make_personal_token(mia)

    assert secret.startswith("otap_")
    assert secret not in str(PersonalToken.objects.values().get())
    assert operations.authenticate_personal_token(secret, at=NOON).member == mia
    entry = Entry.objects.get()
    assert (entry.action, entry.subject, entry.actor) == ("personal_token.created", "mia: laptop", "mia")


def test_its_last_use_is_written_once_a_minute(mia, django_assert_num_queries):
    secret = make_personal_token(mia)

    for seconds, written in ((0, 0), (59, 0), (60, 60)):
        operations.authenticate_personal_token(secret, at=NOON + timedelta(seconds=seconds))
        assert PersonalToken.objects.get().last_used_at == NOON + timedelta(seconds=written)

    with django_assert_num_queries(1):
        operations.authenticate_personal_token(secret, at=NOON + timedelta(seconds=61))


def test_a_revoked_an_ended_or_an_unknown_token_and_one_of_who_may_not_sign_in_are_refused_alike(mia):
    secret = make_personal_token(mia, days=1)
    said = set()

    for token, at in (("otap_guess", NOON), (secret, NOON + timedelta(days=1))):
        with pytest.raises(TokenInvalidError) as refused:
            operations.authenticate_personal_token(token, at=at)
        said.add(refused.value.message)
    User.objects.update(is_active=False)
    with pytest.raises(TokenInvalidError):
        operations.authenticate_personal_token(secret, at=NOON)
    User.objects.update(is_active=True)
    for _ in range(2):
        operations.revoke_personal_token(PersonalToken.objects.get(), by="mia", at=NOON)
    with pytest.raises(TokenInvalidError) as refused:
        operations.authenticate_personal_token(secret, at=NOON)

    assert said | {refused.value.message} == {"The token is unknown, expired or revoked."}
    assert [entry.action for entry in Entry.objects.order_by("pk")] == [
        "personal_token.created",
        "personal_token.revoked",
    ]


def test_a_name_is_used_once_by_a_member(mia):
    make_personal_token(mia)

    with pytest.raises(TokenNameTakenError):
        make_personal_token(mia)

    assert PersonalToken.objects.count() == 1
    make_personal_token(make_member(mia.tenant, "bob"))


REFUSALS = [
    ({"permissions": []}, ScopesRefusedError),
    ({"permissions": ["audit"]}, ScopesRefusedError),
    ({"expires_at": NOON}, ExpiryRefusedError),
    ({"expires_at": NOON + timedelta(days=400)}, ExpiryRefusedError),
    ({"by": Grantor("mia", frozenset({Permission.VIEW}))}, BeyondOwnPermissionsError),
    ({"by": Grantor("mia", frozenset(Permission), NOON + timedelta(days=29))}, OutlivesCallerError),
]


@pytest.mark.parametrize(("changed", "error"), REFUSALS)
def test_a_token_that_would_be_too_much_is_not_made(mia, changed, error):
    bob = make_member(mia.tenant, "bob", Role.APPROVER)
    asked = {"name": "x", "by": ROOT, "at": NOON, "expires_at": NOON + MONTH} | changed

    with pytest.raises(error):
        operations.issue_personal_token(bob, **asked)
    with pytest.raises(error):
        operations.issue_service_token(mia.tenant, role=Role.APPROVER, **asked)

    assert (PersonalToken.objects.count(), ServiceToken.objects.count(), Entry.objects.count()) == (0, 0, 0)


def test_a_token_that_ends_makes_none_that_does_not(mia):
    ending = Grantor("token:ci", frozenset(Permission), NOON + MONTH)

    with pytest.raises(OutlivesCallerError):
        operations.issue_service_token(mia.tenant, name="x", role=Role.VIEWER, by=ending, at=NOON)
    operations.issue_service_token(mia.tenant, name="x", role=Role.VIEWER, by=ending, at=NOON, expires_at=NOON + MONTH)

    assert ServiceToken.objects.get().expires_at == NOON + MONTH


def test_a_token_with_few_permissions_makes_one_with_as_few(mia):
    few = Grantor("token:few", frozenset({Permission.VIEW, Permission.ADMINISTER}))

    made, _ = operations.issue_service_token(
        mia.tenant, name="x", role=Role.ADMINISTRATOR, by=few, at=NOON, permissions=["view", "view"]
    )

    assert made.permissions == ["view"]


def test_all_tokens_of_a_member_end_together(mia):
    make_personal_token(mia)
    make_personal_token(mia, "desktop")
    make_personal_token(make_member(mia.tenant, "bob"))

    assert operations.revoke_all_tokens(mia, by="root", at=NOON) == 2
    assert operations.revoke_all_tokens(mia, by="root", at=NOON) == 0

    assert PersonalToken.objects.filter(revoked_at=None).count() == 1
    assert Entry.objects.filter(action="personal_tokens.revoked").count() == 1


def test_a_service_token_is_its_makers(mia):
    operations.issue_service_token(mia.tenant, name="ci", role=Role.VIEWER, by=grantor(mia), at=NOON)
    operations.issue_service_token(mia.tenant, name="root's", role=Role.VIEWER, by=ROOT, at=NOON)
    stranger = make_member(make_tenant("other"), "eve")
    operations.issue_service_token(stranger.tenant, name="theirs", role=Role.VIEWER, by=grantor(stranger), at=NOON)

    found = persons_behind(mia.tenant, ["mia", "token:ci", "token:root's", "token:theirs"])

    assert found == {
        "mia": "mia",
        "token:ci": "mia",
        "token:root's": "token:root's",
        "token:theirs": "token:theirs",
    }


def test_people_are_told_apart_without_a_query_where_no_token_is_among_them(mia, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert persons_behind(mia.tenant, ["mia", "bob"]) == {"mia": "mia", "bob": "bob"}


@pytest.mark.parametrize("revoke", ["one", "all"])
def test_with_a_personal_token_go_the_open_invitations_made_with_it(mia, revoke):
    make_personal_token(mia, "laptop")
    make_personal_token(mia, "phone")
    own = grantor(mia)
    made = {
        name: operations.invite(
            mia.tenant, role=Role.VIEWER, by=Grantor(own.actor, own.permissions, personal_token=name), at=NOON
        )[0]
        for name in ("laptop", "phone", "")
    }

    if revoke == "one":
        operations.revoke_personal_token(PersonalToken.objects.get(name="laptop"), by="mia", at=NOON)
    else:
        operations.revoke_all_tokens(mia, by="mia", at=NOON)

    for invitation in made.values():
        invitation.refresh_from_db()
    gone = {name for name, invitation in made.items() if invitation.revoked_at is not None}
    assert gone == ({"laptop"} if revoke == "one" else {"laptop", "phone"})
