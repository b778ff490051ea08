from itertools import product

import pytest

from otaserver.campaigns.rules import capabilities
from otaserver.campaigns.rules.delivery import Delivery, Facts, delivery
from otaserver.campaigns.states import ACTIVE_STATES, AssignmentState
from otaserver.fleet.states import Protocol

READY = {
    "state": AssignmentState.OFFERED,
    "is_stopped": False,
    "are_packages_published": True,
    "can_hold": False,
    "is_window_open": True,
    "needs_consent": False,
    "has_consent": False,
}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, Delivery.INSTALL),
        ({"is_window_open": False}, Delivery.WITHHOLD),
        ({"is_window_open": False, "can_hold": True}, Delivery.DOWNLOAD),
        ({"needs_consent": True}, Delivery.ASK),
        ({"needs_consent": True, "is_window_open": False}, Delivery.ASK),
        ({"needs_consent": True, "has_consent": True}, Delivery.INSTALL),
        ({"is_stopped": True}, Delivery.WITHDRAW),
        ({"are_packages_published": False}, Delivery.WITHDRAW),
        ({"state": AssignmentState.WITHDRAWING}, Delivery.WITHDRAW),
    ],
)
def test_what_a_vehicle_may_do_follows_from_the_facts(changes, expected):
    assert delivery(Facts(**(READY | changes))) == expected


def test_an_installation_is_never_interrupted():
    for flags in product([True, False], repeat=6):
        assert delivery(Facts(AssignmentState.INSTALLING, *flags)) == Delivery.INSTALL


def test_nothing_is_installed_while_stopped_taken_back_shut_or_not_agreed_to():
    for state, *flags in product(ACTIVE_STATES - {AssignmentState.INSTALLING}, *[[True, False]] * 6):
        facts = Facts(state, *flags)
        if delivery(facts) == Delivery.INSTALL:
            assert facts.is_window_open
            assert not facts.is_stopped
            assert state != AssignmentState.WITHDRAWING
            assert facts.has_consent or not facts.needs_consent


@pytest.mark.parametrize(
    ("protocol", "client", "holds"),
    [
        (Protocol.UPTANE, "", True),
        (Protocol.AKTUALIZR, "aktualizr", False),
        (Protocol.DDI, "libcurl-agent/1.0", False),
        (Protocol.DDI, "", False),
        (Protocol.DDI, "rauc-hawkbit-c-agent/1.0", True),
        (Protocol.MENDER, "mender", True),
    ],
)
def test_who_waits_at_the_install_gate_is_known_by_protocol_and_client(protocol, client, holds):
    assert capabilities.can_hold(protocol, client) is holds
