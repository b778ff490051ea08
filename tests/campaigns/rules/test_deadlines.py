from datetime import timedelta

import pytest

from otaserver.campaigns.rules import deadlines
from otaserver.campaigns.rules.deadlines import Timeouts
from otaserver.campaigns.states import ACTIVE_STATES, AssignmentState
from tests.factories import NOON

PATIENCE = Timeouts(offer_seconds=1000, download_seconds=300, install_seconds=50, soak_seconds=70)


def due(state, *, after=0, grace_hours=None, offered=True, installing=None):
    timeouts = Timeouts(1000, 300, 50, 70, grace_hours)
    found = deadlines.due_at(
        state,
        timeouts,
        at=NOON + timedelta(seconds=after),
        offered_at=NOON if offered else None,
        installing_at=None if installing is None else NOON + timedelta(seconds=installing),
    )
    return None if found is None else (found - NOON).total_seconds()


@pytest.mark.parametrize("state", AssignmentState)
def test_every_open_order_and_every_soak_has_an_end_and_nothing_else_has(state):
    assert (due(state) is not None) == (state in ACTIVE_STATES or state == AssignmentState.SOAKING)


@pytest.mark.parametrize(
    ("state", "case", "expected"),
    [
        ("offered", {}, 1000),
        ("offered", {"after": 5, "offered": False}, 1005),
        ("downloading", {"after": 10}, 310),
        ("held", {"after": 900}, 1200),
        ("held", {"after": 1290}, 1300),  # however often it is heard of
        ("installing", {"after": 20}, 70),
        ("installing", {"after": 20, "installing": 5}, 55),
        ("soaking", {"after": 20, "installing": 5}, 75),
        ("soaking", {"after": 200, "installing": 5}, 200),  # proved late: it matured already
        ("soaking", {"after": 20}, 90),
        ("withdrawing", {"after": 20}, 70),
        ("withdrawing", {"after": 20, "grace_hours": 2}, 7270),
    ],
)
def test_when_an_assignment_is_given_up(state, case, expected):
    assert due(state, **case) == expected


@pytest.mark.parametrize(("failures", "hours"), [(1, 1), (2, 2), (3, 4), (5, 16), (6, 24), (100, 24)])
def test_each_retry_waits_twice_as_long_up_to_a_day(failures, hours):
    assert deadlines.retry_delay(3600, failures=failures) == timedelta(hours=hours)
