from datetime import UTC, datetime, timedelta, timezone

import pytest

from otaserver.fleet import rules
from otaserver.fleet.errors import (
    AttributeTypeRefusedError,
    AttributeValueRefusedError,
    EcusRefusedError,
    VehicleIdRefusedError,
)
from otaserver.fleet.rules import EcuDeclaration
from tests.factories import NOON


def ecu(serial, hardware_id="gateway", is_primary=False):
    return EcuDeclaration(serial, hardware_id, is_primary, {})


@pytest.mark.parametrize("vehicle_id", ["1", "WVWZZZ1KZ6W000001", "a" * 64, "mac=00:11:22", "x.y_z@h+1~2-3"])
def test_a_vehicle_id_of_harmless_characters_is_accepted(vehicle_id):
    rules.check_vehicle_id(vehicle_id)


@pytest.mark.parametrize(
    "vehicle_id", ["", "a" * 65, "a b", "a/b", "..", ".a", "a\n", "a\x00", "ä", "a%2fb", "a?b", "a#b", "-a", "\ud800"]
)
def test_a_vehicle_id_that_needs_escaping_somewhere_is_refused(vehicle_id):
    with pytest.raises(VehicleIdRefusedError) as refused:
        rules.check_vehicle_id(vehicle_id)

    assert refused.value.code == "vehicle.id_refused"
    assert refused.value.details == {"vehicle_id": vehicle_id}


def test_a_primary_with_secondaries_is_accepted():
    rules.check_ecus([ecu("P", is_primary=True), ecu("S1"), ecu("S2")])


@pytest.mark.parametrize("count", [0, 101])
def test_a_vehicle_has_one_to_a_hundred_ecus(count):
    with pytest.raises(EcusRefusedError) as refused:
        rules.check_ecus([ecu(f"S{number}", is_primary=number == 0) for number in range(count)])

    assert refused.value.details == {"count": count}


def test_a_hundred_ecus_are_accepted():
    rules.check_ecus([ecu(f"S{number}", is_primary=number == 0) for number in range(100)])


@pytest.mark.parametrize(("primaries"), [[], ["P1", "P2"]])
def test_exactly_one_ecu_is_the_primary(primaries):
    with pytest.raises(EcusRefusedError) as refused:
        rules.check_ecus([ecu("S1"), *(ecu(serial, is_primary=True) for serial in primaries)])

    assert refused.value.details == {"primaries": primaries}


def test_one_serial_cannot_stand_for_two_ecus():
    with pytest.raises(EcusRefusedError) as refused:
        rules.check_ecus([ecu("P", is_primary=True), ecu("S"), ecu("S")])

    assert refused.value.details == {"serial": "S"}


@pytest.mark.parametrize("word", ["", "a b", "a" * 65, "ä", "a\n", "\x7f"])
def test_serials_and_hardware_ids_are_printable_ascii(word):
    with pytest.raises(EcusRefusedError, match="serial"):
        rules.check_ecus([ecu(word, is_primary=True)])
    with pytest.raises(EcusRefusedError, match="hardware id"):
        rules.check_ecus([ecu("P", hardware_id=word, is_primary=True)])


def test_two_ecus_cannot_have_one_key():
    with pytest.raises(EcusRefusedError) as refused:
        rules.check_distinct_keys({"B": "1", "C": "2", "A": "1"})

    assert refused.value.details == {"serials": ["A", "B"]}


def test_a_claim_code_is_the_same_however_it_is_typed():
    typed = ["ABCDE-12345", "abcde12345", "ab cd e1-2345"]

    assert len({rules.claim_code_sha256(code) for code in typed}) == 1


def test_a_claim_code_that_is_no_text_at_all_still_has_a_hash():
    assert len(rules.claim_code_sha256("\ud800")) == 64


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("unix:", "unix:"),
        ("x" * 50, "x" * 45),
    ],
)
def test_guesses_count_against_whoever_owns_the_address(address, expected):
    assert rules.guesser(address) == expected


@pytest.mark.parametrize(
    ("seconds_ago", "expected"),
    [([], 0), ([1, 2], 0), ([1, 2, 3], 597), ([1, 2, 3, 500], 597), ([1, 2, 600], 0), ([1, 2, 599.5], 1)],
)
def test_the_wait_lasts_until_the_oldest_counted_failure_is_forgotten(seconds_ago, expected):
    failures = [NOON - timedelta(seconds=seconds) for seconds in seconds_ago]

    assert rules.seconds_until_next_guess(failures, limit=3, at=NOON) == expected


@pytest.mark.parametrize("name", ["a", "region", "rootfs_version2", "x" * 63])
def test_an_attribute_name_can_stand_in_a_filter(name):
    assert rules.attribute_name_problem(name) is None


@pytest.mark.parametrize("name", ["", "A", "1a", "_a", "a-b", "a.b", "a b", "x" * 64, "ä", "a\n"])
def test_an_attribute_name_that_a_filter_could_not_hold_is_refused(name):
    assert repr(name) in rules.attribute_name_problem(name)


def test_an_attribute_type_is_one_of_four():
    assert [rules.attribute_type(word) for word in ("text", "number", "boolean", "time")]
    with pytest.raises(AttributeTypeRefusedError) as refused:
        rules.attribute_type("json")
    assert refused.value.details == {"type": "json"}


@pytest.mark.parametrize("name", ["Winter test 2026", "ä", "x" * 100])
def test_a_group_name_is_printable(name):
    assert rules.group_name_problem(name) is None


@pytest.mark.parametrize("name", ["", " a", "a ", "a\nb", "x" * 101])
def test_a_group_name_that_cannot_be_read_back_is_refused(name):
    assert repr(name) in rules.group_name_problem(name)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-06-01", datetime(2026, 6, 1, tzinfo=UTC)),
        ("2026-06-01T12:00:00", NOON),
        ("2026-06-01T12:00:00Z", NOON),
        ("2026-06-01T14:00:00+02:00", NOON),
        ("yesterday", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("", None),
    ],
)
def test_a_time_without_an_offset_is_in_utc(text, expected):
    assert rules.parse_time(text) == expected


@pytest.mark.parametrize(
    ("type_", "value", "stored"),
    [
        ("text", "EU", "EU"),
        ("text", "", ""),
        ("number", 3, 3.0),
        ("number", -0.5, -0.5),
        ("boolean", False, False),
        ("time", "2026-06-01T12:00:00Z", NOON),
        ("time", NOON.astimezone(timezone(timedelta(hours=2))), NOON),
    ],
)
def test_a_value_of_the_attributes_type_is_stored_as_such(type_, value, stored):
    parsed = rules.attribute_value("x", type_, value)

    assert (parsed, type(parsed)) == (stored, type(stored))


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        ("text", 1),
        ("text", None),
        ("text", "x" * 256),
        ("text", "a\x00"),
        ("text", "\ud800"),
        ("number", "3"),
        ("number", True),
        ("number", float("nan")),
        ("number", float("inf")),
        ("number", 10**400),
        ("boolean", 0),
        ("boolean", "true"),
        ("time", "noon"),
        ("time", 0),
        ("time", datetime(2026, 6, 1)),
    ],
)
def test_a_value_of_another_type_is_refused_with_the_rule(type_, value):
    with pytest.raises(AttributeValueRefusedError) as refused:
        rules.attribute_value("x", type_, value)

    assert refused.value.details == {"attribute": "x", "value": repr(value)[:80], "rule": rules.TYPE_RULES[type_]}
