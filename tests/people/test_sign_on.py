import pytest

from otaserver.people import operations
from otaserver.people.errors import AccountTakenError
from otaserver.people.models import SignOnIdentity
from otaserver.people.sign_on_rules import Statement, grants_in
from otaserver.tenants.models import Member, User
from otaserver.tenants.states import Role
from tests.factories import NOON, make_tenant
from tests.people.people_factories import make_member


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
