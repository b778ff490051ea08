from itertools import product

import pytest

from otaserver.campaigns.models import Assignment
from otaserver.campaigns.states import (
    ACTIVE_STATES,
    ASSIGNMENT_TRANSITIONS,
    CAMPAIGN_TRANSITIONS,
    NEUTRAL_STATES,
    SETTLED_STATES,
    STOPPABLE_STATES,
    WAVE_TRANSITIONS,
    AssignmentState,
    CampaignState,
    WaveState,
)
from otaserver.statemachine import InvalidTransitionError
from tests.campaigns.campaign_factories import make_campaign, make_started
from tests.factories import NOON

MACHINES = [
    (CampaignState, CAMPAIGN_TRANSITIONS),
    (WaveState, WAVE_TRANSITIONS),
    (AssignmentState, ASSIGNMENT_TRANSITIONS),
]


@pytest.mark.parametrize(("states", "transitions"), MACHINES)
def test_every_state_has_its_row_and_every_one_is_reached(states, transitions):
    assert set(transitions) == set(states)
    reached = set().union(*transitions.values())
    assert set(states) - reached <= {next(iter(states))}


@pytest.mark.django_db
@pytest.mark.parametrize("machine", range(3))
def test_a_row_makes_the_transitions_of_its_table_and_no_other(machine):
    states, transitions = MACHINES[machine]
    campaign = make_campaign(vehicles=1) if machine < 2 else make_started(vehicles=1)
    row = [campaign, campaign.waves.get(), campaign.assignments.first()][machine]
    rows = type(row)._default_manager.filter(pk=row.pk)
    excluded = AssignmentState.EXCLUDED  # by a constraint these never fit, whatever the table says
    for start, end in product(states, states):
        if excluded in (start, end) and isinstance(row, Assignment):
            continue
        rows.update(state=start, **({"due_at": NOON} if machine == 2 else {}))
        row.refresh_from_db()
        if end in transitions[start]:
            row.move_to(end)
            assert rows.get().state == end
        else:
            with pytest.raises(InvalidTransitionError):
                row.move_to(end)
            assert rows.get().state == start


def test_an_excluded_vehicle_never_takes_part():
    assert ASSIGNMENT_TRANSITIONS[AssignmentState.EXCLUDED] == frozenset()


def test_an_installation_is_never_interrupted():
    assert AssignmentState.INSTALLING not in STOPPABLE_STATES
    assert not ASSIGNMENT_TRANSITIONS[AssignmentState.INSTALLING] & (NEUTRAL_STATES | {AssignmentState.WITHDRAWING})


def test_an_order_that_stands_at_the_vehicle_is_not_settled():
    assert not ACTIVE_STATES & SETTLED_STATES
    assert NEUTRAL_STATES < SETTLED_STATES


def test_only_a_person_resumes_a_halted_campaign_and_no_state_skips_review():
    assert CAMPAIGN_TRANSITIONS[CampaignState.DRAFT] == {CampaignState.IN_REVIEW, CampaignState.CANCELLED}
    assert CampaignState.COMPLETED not in CAMPAIGN_TRANSITIONS[CampaignState.HALTED]
