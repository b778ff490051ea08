import pytest

from otaserver.tenants import rules
from otaserver.tenants.states import PERMISSIONS, Permission, Role


@pytest.mark.parametrize("name", ["a", "default", "brand-7", "0", "x" * 63])
def test_ordinary_names_may_name_a_tenant(name):
    assert rules.tenant_name_problem(name) is None


@pytest.mark.parametrize("name", ["", "-a", "a-", "A", "a_b", "a/b", "x" * 64, "ä", "a\n", "a b"])
def test_names_with_other_characters_are_refused_with_the_name(name):
    assert repr(name) in (rules.tenant_name_problem(name) or "")


def test_beginnings_of_other_addresses_cannot_name_a_tenant():
    problems = {name: rules.tenant_name_problem(name) for name in rules.RESERVED_NAMES}

    assert {"uptane", "aktualizr", "api", "console", "healthz", "metrics", "webhooks"} <= problems.keys()
    assert all(problems.values())


def test_only_administrators_administer_and_every_role_but_none_unknown_may_view():
    assert [role for role in Role if rules.may(role, Permission.ADMINISTER)] == [Role.ADMINISTRATOR]
    assert all(rules.may(role, Permission.VIEW) for role in Role)
    assert not any(rules.may("owner", permission) for permission in Permission)


def test_every_role_has_a_row_and_whoever_runs_something_can_stop_it():
    assert PERMISSIONS.keys() == set(Role)
    for permissions in PERMISSIONS.values():
        if permissions & {Permission.MANAGE_CAMPAIGNS, Permission.MANAGE_FLEET, Permission.APPROVE}:
            assert Permission.STOP in permissions
