"""The table of roles in docs/members.md, held against the one in the code."""

import pytest

from otaserver.tenants.states import PERMISSIONS, Permission, Role
from tests.processes import ROOT

TABLE = [line for line in (ROOT / "docs" / "members.md").read_text().splitlines() if line.startswith("|")]


def row(name, cells):
    return "| " + " | ".join([name, *cells]) + " |"


def test_the_page_has_the_permissions_in_their_order():
    assert TABLE[0] == row("role", Permission.values)
    assert len(TABLE) == 2 + len(Role)


@pytest.mark.parametrize(("number", "role"), list(enumerate(Role.values)))
def test_the_page_says_of_each_role_what_it_may(number, role):
    cells = ["yes" if permission in PERMISSIONS[role] else "" for permission in Permission]

    assert TABLE[2 + number].replace(" ", "") == row(role, cells).replace(" ", "")
