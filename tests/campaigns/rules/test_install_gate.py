"""What holds an order at the gate, what a bare failure means, and what an artifact's name may be of."""

import pytest

from otaserver.campaigns.rules import artifacts, failures, install_gate, unexplained
from otaserver.campaigns.rules.delivery import Delivery
from otaserver.campaigns.rules.reports import Claim, after_claim
from otaserver.campaigns.states import ACTIVE_STATES, AssignmentState

PARKED = [{"name": "parked", "operator": "==", "value": True}]


def held_by(delivery, *, is_installing=False, conditions=(), **attributes):
    found = install_gate.hold(delivery, is_installing=is_installing, conditions=conditions, attributes=attributes)
    return None if found is None else found.code


@pytest.mark.parametrize(
    ("delivery", "code"),
    [
        (Delivery.INSTALL, None),
        (Delivery.DOWNLOAD, "window"),
        (Delivery.WITHHOLD, "window"),
        (Delivery.ASK, "consent"),
    ],
)
def test_what_holds_is_a_code_that_passes(delivery, code):
    assert held_by(delivery) == code
    assert code is None or code in failures.PASSING_CODES


def test_a_precondition_holds_until_the_vehicle_says_that_it_is_met():
    assert held_by(Delivery.INSTALL, conditions=PARKED) == "precondition"
    assert held_by(Delivery.INSTALL, conditions=PARKED, parked=False) == "precondition"
    assert held_by(Delivery.INSTALL, conditions=PARKED, parked=True) is None


def test_what_is_not_met_is_said_with_its_values():
    found = install_gate.hold(
        Delivery.INSTALL,
        is_installing=False,
        conditions=[{"name": "state_of_charge", "operator": ">=", "value": 40}],
        attributes={"state_of_charge": 12.0},
    )

    assert found.sentence == "state_of_charge is 12.0, must be >= 40."


@pytest.mark.parametrize("delivery", [Delivery.INSTALL, Delivery.DOWNLOAD, Delivery.WITHHOLD, Delivery.ASK])
def test_nothing_holds_what_is_being_installed(delivery):
    assert held_by(delivery, is_installing=True, conditions=PARKED) is None


@pytest.mark.parametrize("state", AssignmentState)
@pytest.mark.parametrize("is_withdrawn", [False, True])
def test_only_a_failure_while_it_installs_counts_against_the_release(state, is_withdrawn):
    claim = Claim("finished", "failure", unexplained.failure_code(state, is_withdrawn=is_withdrawn))

    decided = after_claim(state, claim, can_prove=True)

    assert (decided.state == AssignmentState.FAILED) == (state == AssignmentState.INSTALLING)
    if state in ACTIVE_STATES:
        assert decided.state is not None


def test_what_the_server_stopped_is_no_attempt_of_the_vehicles():
    told = unexplained.failure_code(AssignmentState.HELD, is_withdrawn=False)

    assert told in failures.SHED_CODES
    assert unexplained.failure_code(AssignmentState.DOWNLOADING, is_withdrawn=True) == told
    assert unexplained.failure_code(AssignmentState.WITHDRAWING, is_withdrawn=True) == "withdrawn"


@pytest.mark.parametrize(
    ("artifact", "possible"),
    [
        ("app-1.1", [("app", "1.1")]),
        ("my-app-1.1-rc1", [("my", "app-1.1-rc1"), ("my-app", "1.1-rc1"), ("my-app-1.1", "rc1")]),
        ("app", []),
        ("-app-", []),
        ("", []),
    ],
)
def test_a_name_is_split_in_every_way_that_leaves_two_parts(artifact, possible):
    assert list(artifacts.possible_packages(artifact)) == possible
    assert all(artifacts.artifact_name(name, version) == artifact for name, version in possible)
