import pytest

from otaserver.campaigns.rules import approvals


@pytest.mark.parametrize(
    ("is_way_back", "by_tenant", "rollbacks_need_approval", "expected"),
    [
        (False, 0, False, 0),
        (False, 2, False, 2),
        (False, 2, True, 2),
        (True, 2, False, 0),
        (True, 2, True, 2),
        (True, 0, True, 0),
    ],
)
def test_a_tenant_says_how_many_people_and_whether_roll_backs_need_them(
    is_way_back, by_tenant, rollbacks_need_approval, expected
):
    found = approvals.required(
        is_way_back=is_way_back, by_tenant=by_tenant, rollbacks_need_approval=rollbacks_need_approval
    )

    assert found == expected


@pytest.mark.parametrize(
    ("required", "given", "expected"), [(0, 0, 1), (0, 1, 0), (1, 0, 1), (1, 1, 0), (2, 1, 1), (1, 2, 0)]
)
def test_somebody_approves_in_any_case(required, given, expected):
    assert approvals.missing(required=required, given=given) == expected


def test_authors_approve_only_where_nobody_else_is_required():
    assert approvals.own_approval_problem("alice", is_author=True, required=0) is None
    assert approvals.own_approval_problem("bob", is_author=False, required=1) is None
    assert approvals.own_approval_problem("carol", is_author=True, required=1) == (
        "carol has drafted or changed this campaign; 1 person other than its authors must approve it."
    )
    assert "2 people other" in approvals.own_approval_problem("alice", is_author=True, required=2)


@pytest.mark.parametrize(
    ("approved", "fitting", "is_refused"),
    [(None, 1000, False), (1, 1, False), (1, 2, True), (10, 11, False), (10, 12, True), (100, 3, False)],
)
def test_a_fleet_may_grow_by_a_tenth_between_the_approval_and_the_start(approved, fitting, is_refused):
    assert (approvals.growth_problem(approved=approved, fitting=fitting) is not None) == is_refused
