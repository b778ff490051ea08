import re
from itertools import product
from pathlib import Path

import pytest

from otaserver.campaigns.rules import changes
from otaserver.campaigns.rules.changes import LIVE, LIVE_STATES, Allowance, FieldChange, Refusal
from otaserver.campaigns.rules.windows import Window
from otaserver.campaigns.states import CampaignState

CLOSED = sorted(set(CampaignState) - LIVE_STATES - {CampaignState.DRAFT})
# Sunday night wraps around the week, Monday's into Tuesday.
NIGHT = Window(0b1000001, 22 * 60, 240)
NEVER = ["name", "release", "group", "waves", "acceptable_rate", "alpha", "soak_seconds", "is_stratified", "anything"]


def refusal(state, field, before, after, *, is_rollback=False):
    return changes.refusal(state, [FieldChange(field, before, after)], is_rollback=is_rollback)


@pytest.mark.parametrize("field", [*LIVE, *NEVER])
def test_everything_of_a_draft_may_be_changed(field):
    assert refusal("draft", field, 1, 2) is None


@pytest.mark.parametrize(("state", "field"), list(product(CLOSED, [*LIVE, *NEVER])))
def test_nothing_is_changed_in_review_when_approved_or_when_over(state, field):
    assert refusal(state, field, 2, 1).rule == f"nothing of a campaign that is {state} is changed"


@pytest.mark.parametrize(("state", "field"), list(product(sorted(LIVE_STATES), NEVER)))
def test_what_was_approved_stays_while_vehicles_follow_it(state, field):
    assert refusal(state, field, 1, 2) == Refusal(field, 2, f"{field} stays as it was approved")


@pytest.mark.parametrize("field", [name for name, allowed in LIVE.items() if allowed is Allowance.EITHER_WAY])
def test_pace_patience_and_limits_change_either_way(field):
    assert refusal("running", field, 5, None) is None
    assert refusal("running", field, None, 5) is None


@pytest.mark.parametrize(
    ("field", "before", "after", "is_allowed"),
    [
        ("max_verification_failed", 2, 1, True),
        ("max_verification_failed", 2, 3, False),
        ("halt_codes", ["a"], ["a", "b"], True),
        ("halt_codes", ["a", "b"], ["a"], False),
        ("halt_codes", ["a"], [], False),
        ("grace_hours", 5, 4, True),
        ("grace_hours", 5, None, True),
        ("grace_hours", 5, 6, False),
        ("grace_hours", None, 0, False),
        ("priority", 2, 3, True),
        ("priority", 2, 0, False),
        ("halt_action", "hold_offers", "withdraw", True),
        ("halt_action", "withdraw", "roll_back", True),
        ("halt_action", "roll_back", "withdraw", False),
        ("halt_action", "withdraw", "hold_offers", False),
        ("foreign_software", "redrive", "flag", True),
        ("foreign_software", "flag", "redrive", False),
        ("foreign_software", "flag", "", False),
        ("windows", [], [NIGHT], True),
        ("windows", [NIGHT], [], False),
        ("windows", [NIGHT], [Window(0b1, 23 * 60, 60)], True),
        ("windows", [NIGHT], [Window(0b1, 23 * 60, 60), Window(0b10, 0, 60)], True),
        ("windows", [NIGHT], [Window(0b1, 21 * 60, 120)], False),
        ("windows", [NIGHT], [Window(0b11, 22 * 60, 120)], False),
    ],
)
def test_some_may_only_be_made_stricter(field, before, after, is_allowed):
    found = refusal("running", field, before, after)

    assert (found is None) == is_allowed
    if found is not None:
        assert found == Refusal(
            field, after, f"{field} may only be made stricter than {before!r} while the campaign is running"
        )


def test_a_roll_back_is_never_for_something_else():
    found = refusal("draft", "release", "a", "b", is_rollback=True)

    assert found.rule == "release of a roll-back follows from what it takes back"
    assert refusal("draft", "max_in_flight", 1, 2, is_rollback=True) is None


def test_the_docs_name_every_field_that_may_change_and_no_other():
    text = (Path(__file__).parents[3] / "docs/people.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("| `")]

    assert sorted(re.findall(r"`(\w+)`", " ".join(row.split(" | ")[0] for row in rows))) == sorted(LIVE)


def test_the_first_change_that_is_refused_is_named():
    found = changes.refusal(
        "running", [FieldChange("max_failed", 1, 2), FieldChange("alpha", 0.1, 0.2)], is_rollback=False
    )

    assert found.field == "alpha"
