from datetime import timedelta

import pytest

from otaserver.people import operations
from otaserver.people.errors import AccountTakenError
from otaserver.people.models import SignOnIdentity
from otaserver.people.sign_on_rules import Statement, grants_in
from otaserver.tenants.errors import TokenInvalidError
from otaserver.tenants.models import Member, User
from otaserver.tenants.states import Role
from tests.factories import NOON, make_tenant
from tests.people.people_factories import make_member, make_personal_token

SECOND = timedelta(seconds=1)


@pytest.mark.django_db(transaction=True)
def test_of_two_first_sign_ins_at_once_nothing_is_made_twice(at_once):
    make_member(make_tenant("acme"), "bob", Role.VIEWER)
    User.objects.update(email="bob@example.com")
    stated = Statement("https://id.example", "17", "bob@example.com", True, frozenset({"drivers"}))
    grants = grants_in("drivers=acme:viewer")

    results = at_once(*[lambda: operations.sign_on(stated, grants=grants, at=NOON)] * 2)

    assert all(isinstance(result, User | AccountTakenError) for result in results), results
    assert any(isinstance(result, User) for result in results)
    assert (SignOnIdentity.objects.count(), Member.objects.count(), User.objects.count()) == (1, 1, 1)


STATED = Statement("https://id.example", "17", "ann@example.com", True, frozenset({"drivers"}))
GRANTS = grants_in("drivers=acme:viewer")
WEEK = timedelta(hours=168)


@pytest.mark.django_db
def test_a_token_of_who_comes_by_single_sign_on_rests_a_week_after_they_last_did():
    tenant = make_tenant("acme")
    member = operations.sign_on(STATED, grants=GRANTS, at=NOON).memberships.get()
    theirs, by_hand = make_personal_token(member), make_personal_token(make_member(tenant))

    assert operations.authenticate_personal_token(theirs, at=NOON + WEEK - SECOND).member == member
    with pytest.raises(TokenInvalidError):
        operations.authenticate_personal_token(theirs, at=NOON + WEEK)
    assert operations.authenticate_personal_token(by_hand, at=NOON + WEEK).member != member

    operations.sign_on(STATED, grants=GRANTS, at=NOON + WEEK)
    assert operations.authenticate_personal_token(theirs, at=NOON + WEEK).member == member


@pytest.mark.django_db
def test_how_long_such_a_token_acts_is_a_setting(settings):
    make_tenant("acme")
    theirs = make_personal_token(operations.sign_on(STATED, grants=GRANTS, at=NOON).memberships.get())
    settings.OIDC_TOKEN_HOURS = 1

    with pytest.raises(TokenInvalidError):
        operations.authenticate_personal_token(theirs, at=NOON + timedelta(hours=1))
