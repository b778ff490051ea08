"""What a line of a fleet's file says, and what is wrong with it."""

import io
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otaserver.fleet.arrival_rules import MAX_LINE_BYTES, Arrival, Problem, read
from otaserver.fleet.rules import EcuDeclaration
from otaserver.fleet.states import ImportKind, Protocol

ATTRIBUTES = {"colour": "text", "doors": "number", "taxi": "boolean", "built": "time"}
CODE = "ABCDE-FGHJK-MNPQR-STVWX"


def said(text, kind=ImportKind.JSON_LINES):
    data = text if isinstance(text, bytes) else text.encode()
    return list(read(io.BytesIO(data), kind, ATTRIBUTES))


def one(**fields):
    (found,) = said(json.dumps({"vehicle_id": "VIN1"} | fields))
    return found


def code_of(**fields):
    found = one(**fields)
    assert isinstance(found, Problem), found
    assert (found.line, bool(found.rule)) == (1, True)
    return found.code


def test_a_line_of_json_says_all_of_a_vehicle():
    key = {"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": "0" * 64}}
    found = one(
        time_zone="Europe/Berlin",
        ecus=[{"serial": "a", "hardware_id": "gateway", "public_key": key}, {"serial": "b", "hardware_id": "brake"}],
        claim_code=CODE,
        attributes={"colour": "red", "doors": 4, "taxi": True, "built": "2026-01-01T00:00:00Z"},
        groups=["a", "b", "a"],
    )

    assert found == Arrival(
        line=1,
        vehicle_id="VIN1",
        protocol=Protocol.UPTANE,
        time_zone="Europe/Berlin",
        ecus=(EcuDeclaration("a", "gateway", True, key), EcuDeclaration("b", "brake", False, {})),
        claim_code=CODE,
        attributes={"colour": "red", "doors": 4.0, "taxi": True, "built": datetime(2026, 1, 1, tzinfo=UTC)},
        groups=("a", "b"),
    )


def test_a_line_of_csv_says_the_same():
    text = (
        "vehicle_id,protocol,token,serial,hardware_id,groups,attribute.colour,attribute.doors,attribute.taxi\r\n"
        "\r\n"
        'VIN1,ddi,secret-token,s1,gateway,"a; b",red,4,true\r\n'
        "VIN2,ddi,,,gateway,,,,\n"
    )

    assert said("\ufeff" + text, ImportKind.CSV) == [
        Arrival(
            3,
            "VIN1",
            Protocol.DDI,
            "",
            (EcuDeclaration("s1", "gateway", True, {}),),
            token="secret-token",
            attributes={"colour": "red", "doors": 4.0, "taxi": True},
            groups=("a", "b"),
        ),
        Arrival(4, "VIN2", Protocol.DDI, "", (EcuDeclaration("VIN2", "gateway", True, {}),)),
    ]


def test_several_ecus_stand_in_a_cell_as_json():
    ecus = json.dumps([{"serial": "a", "hardware_id": "x"}, {"serial": "b", "hardware_id": "y"}]).replace('"', '""')

    (found,) = said(f'vehicle_id,ecus\nVIN1,"{ecus}"\n', ImportKind.CSV)

    assert [(ecu.serial, ecu.is_primary) for ecu in found.ecus] == [("a", True), ("b", False)]


@pytest.mark.parametrize(
    "more",
    [
        r'"public_key": {"x": "\u0000"}',
        r'"public_key": {"x": "\ud800"}',
        '"public_key": {"x": NaN}',
        '"hardware_id": "y"',
    ],
)
def test_a_cell_of_json_that_no_database_takes_is_named(more):
    cell = f'[{{"serial": "a", "hardware_id": "x", {more}}}]'.replace('"', '""')

    (found,) = said(f'vehicle_id,ecus\nVIN1,"{cell}"\n', ImportKind.CSV)

    assert found.code == "line.malformed"


@pytest.mark.parametrize("cells", ["s1,,", 's1,x,"[]"', ',x,"[]"'])
def test_cells_of_ecus_that_do_not_go_together_are_named(cells):
    (found,) = said(f"vehicle_id,serial,hardware_id,ecus\nVIN1,{cells}\n", ImportKind.CSV)

    assert found.code == "ecu.refused"


@pytest.mark.parametrize(
    ("text", "kind"),
    [('{"vehicle_id": "VIN1"}\n', ImportKind.JSON_LINES), ("vehicle_id\nVIN1\n", ImportKind.CSV)],
)
def test_a_mark_of_the_byte_order_before_a_file_is_no_part_of_it(text, kind):
    (found,) = said("\ufeff" + text, kind)

    assert found.vehicle_id == "VIN1"


def test_null_takes_an_attribute_away():
    assert one(attributes={"colour": None}).attributes == {"colour": None}


@pytest.mark.parametrize(
    ("code", "fields"),
    [
        ("vehicle.id_refused", {"vehicle_id": "a b"}),
        ("vehicle.id_refused", {"vehicle_id": ""}),
        ("line.malformed", {"vehicle_id": 7}),
        ("line.unknown_field", {"colour": "red"}),
        ("vehicle.protocol_unknown", {"protocol": "smoke"}),
        ("vehicle.time_zone_unknown", {"time_zone": "Mars"}),
        ("ecu.refused", {"ecus": "gateway"}),
        ("ecu.refused", {"ecus": [{"serial": "a b", "hardware_id": "x"}]}),
        ("ecu.refused", {"ecus": [{"serial": "a", "hardware_id": "x", "more": 1}]}),
        ("ecu.refused", {"ecus": [{"serial": "a", "hardware_id": "x"}] * 2}),
        ("ecu.refused", {"ecus": [{"serial": "a", "hardware_id": "x", "public_key": "pem"}]}),
        ("shared_token.refused", {"token": "secret-token"}),
        ("line.malformed", {"token": 12345678, "protocol": "ddi"}),
        ("claim.refused", {"claim_code": "short"}),
        ("claim.refused", {"claim_code": CODE, "protocol": "ddi"}),
        ("attribute.unknown", {"attributes": {"size": 1}}),
        ("attribute.value_refused", {"attributes": {"doors": "four"}}),
        ("line.malformed", {"attributes": []}),
        ("group.name_refused", {"groups": [" a"]}),
        ("line.malformed", {"groups": "a"}),
        ("line.malformed", {"groups": [str(number) for number in range(51)]}),
    ],
)
def test_what_is_wrong_with_a_line_is_named(code, fields):
    assert code_of(**fields) == code


def test_secrets_are_not_shown():
    shown = [one(token="my-secret-token"), one(claim_code="my-secret"), one(token="my-secret-token", protocol="ddi")]

    assert "my-secret" not in repr(shown)


@pytest.mark.parametrize(
    "line",
    ["{", "[]", "7", '{"vehicle_id": "a", "vehicle_id": "b"}', '{"vehicle_id": "\\u0000"}', b"\xff", "[" * 10_000],
    ids=range(7),
)
def test_what_is_no_json_object_is_named_and_the_next_line_is_read(line):
    data = (line if isinstance(line, bytes) else line.encode()) + b'\n\n{"vehicle_id": "VIN2"}'

    first, second = said(data)

    assert (first.line, first.code) == (1, "line.malformed")
    assert (second.line, second.vehicle_id) == (3, "VIN2")


def test_a_line_too_long_is_passed_over_in_little_memory():
    long = b'{"vehicle_id": "' + b"x" * (5 * MAX_LINE_BYTES) + b'"}\n{"vehicle_id": "VIN2"}\n'

    first, second = said(long)

    assert (first.code, second.line, second.vehicle_id) == ("line.too_long", 2, "VIN2")


@pytest.mark.parametrize("columns", ["vin", "vehicle_id,colour", "vehicle_id,vehicle_id", "protocol", '"vehicle_id'])
def test_columns_that_say_nothing_end_the_reading(columns):
    found = said(f"{columns}\nVIN1\nVIN2\n", ImportKind.CSV)

    assert found[0].line == 1
    assert all(isinstance(each, Problem) for each in found)


@pytest.mark.parametrize("line", ["VIN1", "VIN1,a,b", '"VIN1,a', b"\xff,a", "VIN\0,a"])
def test_a_line_of_csv_that_does_not_fit_is_named_and_the_next_is_read(line):
    data = b"vehicle_id,groups\n" + (line if isinstance(line, bytes) else line.encode()) + b"\nVIN2,a\n"

    first, second = said(data, ImportKind.CSV)

    assert (first.line, first.code) == (2, "line.malformed")
    assert second.vehicle_id == "VIN2"


@given(st.binary(max_size=400), st.sampled_from(ImportKind))
def test_whatever_a_file_holds_each_line_is_an_arrival_or_a_problem(data, kind):
    lines = [each.line for each in said(data, kind)]

    assert lines == sorted(set(lines))
    assert len(lines) <= data.count(b"\n") + 1
