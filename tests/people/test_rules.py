from datetime import timedelta

import pytest

from otaserver.people import rules
from otaserver.people.rules import Failures, Grantor
from otaserver.tenants.rules import permissions_of
from otaserver.tenants.states import PERMISSIONS, Permission, Role
from tests.factories import NOON


@pytest.mark.parametrize("role", Role.values)
def test_a_token_may_what_its_role_and_its_scopes_both_allow(role):
    assert permissions_of(role, None) == PERMISSIONS[role]
    assert permissions_of(role, ["view", "administer"]) == PERMISSIONS[role] & {"view", "administer"}


def test_a_role_that_there_is_not_may_nothing():
    assert permissions_of("owner", None) == frozenset()


def test_scopes_are_some_of_the_roles_permissions():
    assert rules.scopes_problem(Role.VIEWER, None) is None
    assert rules.scopes_problem(Role.VIEWER, ["view"]) is None
    assert rules.scopes_problem(Role.VIEWER, ["view", "stop"]) == "The role viewer does not have the permission stop."
    assert rules.scopes_problem(Role.VIEWER, []).startswith("A token without any permission")


@pytest.mark.parametrize(
    ("life", "is_taken"),
    [
        (timedelta(0), False),
        (timedelta(seconds=1), True),
        (timedelta(days=366), True),
        (timedelta(days=366, seconds=1), False),
    ],
)
def test_a_token_ends_within_a_year(life, is_taken):
    assert (rules.expiry_problem(NOON + life, at=NOON) is None) == is_taken


def test_a_service_token_may_have_no_end():
    assert rules.expiry_problem(None, at=NOON) is None


def test_nobody_gives_what_they_do_not_have():
    given = Grantor("mia", frozenset({Permission.VIEW, Permission.STOP}))

    assert given.lacks(["stop"]) == []
    assert given.lacks(["view", "publish", "audit"]) == ["audit", "publish"]


@pytest.mark.parametrize("name", ["mia", "Mia.B@example.com", "a", "0x+y-z_", "a" * 150])
def test_names_of_people(name):
    assert rules.username_problem(name) is None


@pytest.mark.parametrize(
    "name", ["", "token:ci", "engine", "Engine", "command", "first start", "m\u0456a", "@mia", "a" * 151, "a\n"]
)
def test_names_that_nobody_can_have(name):
    assert rules.username_problem(name)


MAKERS = {
    "token:ci": "mia",
    "token:night": "token:ci",
    "token:first": "command",
    "token:bench": "token:first",
    "token:a": "token:b",
    "token:b": "command",
}


@pytest.mark.parametrize(
    ("actor", "person"),
    [
        ("mia", "mia"),
        ("engine", "engine"),
        ("token:ci", "mia"),
        ("token:night", "mia"),
        ("token:first", "token:first"),
        ("token:bench", "token:first"),
        ("token:a", "token:b"),
        ("token:gone", "token:gone"),
    ],
)
def test_whoever_made_a_token_answers_for_it(actor, person):
    assert rules.person_of(actor, makers=MAKERS, users=frozenset({"mia"})) == person


@pytest.mark.parametrize(
    ("failures", "known", "unknown"),
    [
        (Failures(5, 20, 100), False, False),
        (Failures(6, 6, 6), True, True),
        (Failures(1, 21, 1), False, True),
        (Failures(1, 1, 101), True, True),
    ],
)
def test_tries_are_counted_by_pair_account_and_address_and_others_do_not_lock_an_owner_out(failures, known, unknown):
    assert rules.is_throttled(failures, is_known_address=True) is known
    assert rules.is_throttled(failures, is_known_address=False) is unknown


def test_an_authenticator_reads_whose_it_is_and_its_secret():
    url = rules.authenticator_url(b"12345678901234567890", "ann@example.com", issuer="OTA server")

    assert url == (
        "otpauth://totp/OTA%20server%3Aann%40example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
        "&issuer=OTA%20server&algorithm=SHA1&digits=6&period=30"
    )
    assert rules.authenticator_key(b"12345678901234567890") == "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
