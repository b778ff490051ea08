"""Which vehicle a device would be by what it says of itself."""

import pytest

from otaserver.fleet.device_identities import identity_problem, identity_sha256, proposed_vehicle_id


@pytest.mark.parametrize(
    ("identity", "vehicle_id"),
    [
        ({"vin": "WVWZZZ1KZAW000001", "mac": "02:00:00:00:00:01"}, "WVWZZZ1KZAW000001"),
        ({"mac": "02:00:00:00:00:01", "colour": "red"}, "02:00:00:00:00:01"),
        ({"vehicle_id": "CAR1", "vin": "VIN1"}, "CAR1"),
        ({"anything": "CAR1"}, "CAR1"),
        ({"colour": "red", "size": "large"}, ""),
        ({"vin": "two words", "mac": "02:00:00:00:00:01"}, ""),
        ({"vin": ["VIN1"]}, ""),
        ({"vin": "a" * 65}, ""),
    ],
)
def test_the_member_that_names_best_names_the_vehicle(identity, vehicle_id):
    assert proposed_vehicle_id(identity) == vehicle_id


def test_the_order_of_members_says_nothing_and_their_values_do():
    assert identity_sha256({"a": "1", "b": "2"}) == identity_sha256({"b": "2", "a": "1"})
    assert identity_sha256({"a": "1"}) != identity_sha256({"a": "2"})
    assert identity_sha256({"a": ["1", "2"]}) != identity_sha256({"a": ["2", "1"]})


@pytest.mark.parametrize(
    "identity",
    [None, [], "vin", {}, {"vin": ""}, {"": "a"}, {"vin": None}, {"vin": True}, {"vin": ["a", 7]}, {"vin": "a\n"}],
)
def test_what_cannot_be_an_identity_is_refused_in_a_sentence(identity):
    assert identity_problem(identity).endswith(".")


def test_texts_and_lists_of_texts_are_an_identity():
    assert identity_problem({"vin": "VIN1", "macs": ["a", "b"]}) is None
