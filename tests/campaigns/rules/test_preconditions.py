import math

import pytest

from clients.vehicle import conditions as client
from otaserver.campaigns.rules import preconditions
from otaserver.campaigns.rules.preconditions import CATALOGUE, Choice, Quantity


def condition(name, operator, value):
    return {"name": name, "operator": operator, "value": value}


CHARGED = condition("state_of_charge", ">=", 40)
GOOD = [
    CHARGED,
    condition("battery_12v", ">", 12.4),
    condition("parked", "==", True),
    condition("link_type", "in", ["wifi", "ethernet"]),
    condition("link_type", "==", "wifi"),
    condition("temperature", "<", -5),
]


@pytest.mark.parametrize(
    ("conditions", "said"),
    [
        (["parked"], "'parked' has not"),
        ([{"name": "parked", "operator": "=="}], "has not"),
        ([condition("parked", "==", True) | {"unit": "x"}], "or has more"),
        ([condition("colour", "==", "red")], "There is no precondition 'colour'"),
        ([condition(["parked"], "==", True)], "There is no precondition ['parked']"),
        ([condition("parked", "==", 1)], "not by '==' with 1"),
        ([condition("parked", ">=", True)], "not by '>='"),
        ([condition("state_of_charge", "==", 40)], "not by '=='"),
        ([condition("state_of_charge", ">=", "40")], "'40' is not"),
        ([condition("state_of_charge", ">=", True)], "True is not"),
        ([condition("state_of_charge", ">=", 101)], "from 0 to 100; 101 is not"),
        ([condition("state_of_charge", ">=", math.nan)], "nan is not"),
        ([condition("battery_12v", ">=", 12.3456)], "12.3456 has more"),
        ([condition("link_type", "in", "wifi")], "'wifi' is not"),
        ([condition("link_type", "in", [])], "[] is not"),
        ([condition("link_type", "==", "pigeon")], "'pigeon' is not"),
        ([condition("link_type", "<", "wifi")], "not by '<'"),
        ([CHARGED] * 21, "not 21"),
        (
            [condition("state_of_charge", ">=", 80), condition("state_of_charge", "<=", 20)],
            "state_of_charge >= 80 and state_of_charge <= 20 at once",
        ),
        ([condition("speed", ">", 5), condition("speed", "<=", 5)], "at once"),
        ([condition("parked", "==", True), condition("parked", "==", False)], "at once"),
        ([condition("speed", "<", 0)], "No vehicle can meet speed < 0: it measures 0 to 500 km/h."),
        ([condition("state_of_charge", ">", 100)], "state_of_charge > 100: it measures 0 to 100 %."),
        ([condition("link_type", "==", "usb"), condition("link_type", "in", ["wifi"])], "at once"),
    ],
)
def test_conditions_that_cannot_be_are_refused_with_the_value(conditions, said):
    assert said in preconditions.preconditions_problem(conditions)


def test_conditions_that_can_be_met_together_are_taken():
    assert preconditions.preconditions_problem(GOOD) is None
    assert preconditions.preconditions_problem([condition("speed", ">=", 5), condition("speed", "<=", 5)]) is None
    assert preconditions.preconditions_problem([condition("speed", ">", 5), condition("speed", "<", 6)]) is None


VALUES = [None, True, False, 0, 1, 39.999, 40, 12.4, 12.41, -6, "wifi", "usb", "40", math.inf, math.nan, [], {}]


@pytest.mark.parametrize("wanted", GOOD, ids=preconditions.sentence)
def test_the_vehicle_judges_what_was_signed_as_the_server_does(wanted):
    (signed,) = preconditions.signed([wanted])

    for value in VALUES:
        measured = {} if value is None else {wanted["name"]: value}
        assert bool(client.unmet([signed], measured)) == bool(preconditions.unmet([wanted], measured)), value
        assert client.unmet([signed], measured) == preconditions.unmet([wanted], measured), value


def test_what_was_not_measured_is_not_met():
    assert preconditions.unmet([CHARGED], {}) == ["state_of_charge is unknown, must be >= 40"]
    assert preconditions.unmet([CHARGED], {"state_of_charge": 12}) == ["state_of_charge is 12, must be >= 40"]
    assert preconditions.unmet([CHARGED], {"state_of_charge": 40}) == []


def test_signed_conditions_hold_no_floats():
    assert [each["value"] for each in preconditions.signed(GOOD)] == [
        40,
        "12.4",
        True,
        ["wifi", "ethernet"],
        "wifi",
        -5,
    ]
    assert preconditions.signed([condition("speed", "<", 5.0)])[0]["value"] == 5


def test_a_willing_vehicle_finds_values_for_every_kind_of_condition():
    assert client.unmet(preconditions.signed(GOOD), client.values_that_meet(preconditions.signed(GOOD))) == []
    for name, kind in CATALOGUE.items():
        if isinstance(kind, Quantity):
            asked = [condition(name, ">", 10), condition(name, "<", 12)]
        elif isinstance(kind, Choice):
            asked = [condition(name, "in", sorted(kind.words))]
        else:
            asked = [condition(name, "==", False)]
        assert client.unmet(asked, client.values_that_meet(asked)) == []


@pytest.mark.parametrize("odd", [{"name": "parked", "op": "==", "value": True}, {}, condition("speed", "~", 1)])
def test_a_condition_that_the_vehicle_cannot_read_is_not_met(odd):
    assert len(client.unmet([odd], {"parked": True, "speed": 1})) == 1


def test_of_measured_values_short_plain_ones_are_kept():
    measured = {"a": 1, "b": True, "c": "x", "d": math.inf, "e": [1], "f": {}, "g": "x" * 201, "h" * 65: 1, "i": None}

    assert preconditions.bounded(measured) == {"a": 1, "b": True, "c": "x"}
    assert len(preconditions.bounded({str(number): number for number in range(100)})) == 50
