from itertools import product

import pytest

from otaserver.campaigns.rules.capabilities import CAPABILITIES, Capability, Evidence
from otaserver.campaigns.rules.withholding import reason
from otaserver.fleet.states import Protocol

PARKED = [{"name": "parked", "operator": "==", "value": True}]


def judge(abilities, **changes):
    values = {
        "is_window_open": True,
        "needs_consent": False,
        "answer": None,
        "conditions": [],
        "attributes": {},
    }
    found = reason(abilities, **(values | changes))
    return None if found is None else found.code


DUMB = CAPABILITIES[Protocol.AKTUALIZR]
MUTE = Capability(Evidence.PROVED, can_hold=True, can_abort=True, echoes_preconditions=False)


def test_a_client_that_holds_and_echoes_gets_its_order_whatever_there_is():
    for window, needs, answer in product([True, False], [True, False], [None, "yes"]):
        changes = {"is_window_open": window, "needs_consent": needs, "answer": answer, "conditions": PARKED}
        assert judge(CAPABILITIES[Protocol.UPTANE], **changes) is None


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, None),
        ({"is_window_open": False}, "withheld_window"),
        ({"needs_consent": True}, "withheld_consent"),
        ({"needs_consent": True, "answer": "yes"}, None),
        ({"needs_consent": True, "answer": "no"}, "withheld_consent"),
        ({"conditions": PARKED}, "withheld_precondition"),
        ({"conditions": PARKED, "attributes": {"parked": False}}, "withheld_precondition"),
        ({"conditions": PARKED, "attributes": {"parked": True}}, None),
    ],
)
def test_for_a_client_that_cannot_hold_the_server_waits(changes, code):
    assert judge(DUMB, **changes) == code


def test_a_client_that_holds_but_does_not_echo_is_judged_by_its_attributes_alone():
    assert judge(MUTE, is_window_open=False, needs_consent=True) is None
    assert judge(MUTE, conditions=PARKED) == "withheld_precondition"


def test_the_sentence_has_the_value_and_the_condition():
    found = reason(DUMB, is_window_open=True, needs_consent=False, answer=None, conditions=PARKED, attributes={})

    assert found.sentence == "its client cannot judge it itself: parked is unknown, must be == true"


@pytest.mark.parametrize(
    ("answer", "said"),
    [(None, "no consent is recorded"), ("no", "the owner has said no"), ("postpone", "the owner has put it off")],
)
def test_what_the_owner_answered_is_told(answer, said):
    found = reason(DUMB, is_window_open=True, needs_consent=True, answer=answer, conditions=[], attributes={})

    assert said in found.sentence
