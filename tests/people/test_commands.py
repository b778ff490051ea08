from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from otaserver import clock
from otaserver.people import operations
from tests.factories import NOON, make_tenant
from tests.people.people_factories import code_of, make_member

pytestmark = [pytest.mark.django_db, pytest.mark.any_database]


@pytest.fixture(autouse=True)
def _at_noon():
    with clock.using(lambda: NOON):
        yield


def said(*arguments):
    out = StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue().strip()


def test_a_tenants_first_member_comes_by_a_link_from_the_server():
    make_tenant("acme")

    path = said("invite", "ACME", "administrator")

    found = operations.find_invitation(path.removeprefix("/console/invitations/"), at=NOON)
    assert (found.role, found.created_by) == ("administrator", "command")


def test_who_has_lost_phone_and_codes_is_helped_on_the_server():
    mia = make_member(make_tenant("acme")).user
    operations.begin_enrolment(mia)
    operations.confirm_enrolment(mia, code_of(mia), at=NOON)

    assert said("reset_second_factor", "mia") == "mia signs in with the password alone."
    assert not operations.has_second_factor(mia)


@pytest.mark.parametrize("arguments", [("invite", "acme", "viewer"), ("reset_second_factor", "eve")])
def test_what_is_not_there_is_told(arguments):
    with pytest.raises(CommandError, match="There is no"):
        said(*arguments)
