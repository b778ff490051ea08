import pytest

from otaserver.privacy import words


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("VIN1", "p"),
        ("vehicle:5 VIN1", "vehicle:5 p"),
        ("VIN1's, (VIN1) and VIN1.", "p's, (p) and p."),
        ("VIN1: silent. Not VIN1... yet", "p: silent. Not p... yet"),
        ("VIN12 XVIN1", "VIN12 XVIN1"),
        ("VIN1-0", "q"),
        ("VIN1-01", "VIN1-01"),
        *((text, text) for text in ("VIN1-b", "VIN1.b", "VIN1_b", "VIN1:b", "VIN1@b", "VIN1+b", "VIN1~b", "VIN1=b")),
        *((text, text) for text in ("a-VIN1", "a.VIN1", "a:VIN1", "VIN1.:b")),
    ],
)
def test_names_are_replaced_where_they_are_the_whole_word(text, written):
    assert words.replacer({"VIN1": "p", "VIN1-0": "q"})(text) == written


def test_another_vehicle_is_told_apart_even_by_a_full_stop():
    replaced = words.replacer({"VIN1": "p"}, others=["VIN1."])

    assert (replaced("VIN1."), replaced("VIN1 VIN1.")) == ("VIN1.", "p VIN1.")


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("vin=VIN1 on VIN1.local", "vin=p on p.local"),
        ("VIN1-b and VIN1-b.", "VIN1-b and VIN1-b."),
        ("missing_ecu:1", "missing_ecu:q"),
        ("version 1.2 of 21", "version 1.2 of 21"),
    ],
)
def test_within_its_own_records_a_vehicles_names_stand_in_other_words_too(text, written):
    assert words.replacer_within("VIN1", {"VIN1": "p", "1": "q"}, others=["VIN1-b"])(text) == written


def test_of_json_neither_keys_nor_numbers_nor_our_own_words_are_replaced():
    replaced = words.replacer({"1": "p", "sentence": "q", "vehicle": "r"})

    said = words.rewritten({"sentence": ["1", 1, True, None], "kind": "vehicle", "of": {"a": "sentence"}}, replaced)

    assert said == {"sentence": ["p", 1, True, None], "kind": "vehicle", "of": {"a": "q"}}


def test_an_id_stands_in_a_value_as_it_would_be_replaced():
    assert words.stands_in("VIN9", ["x", {"vehicles": ["VIN9"]}])
    assert not words.stands_in("VIN9", ["VIN99", {"VIN9": 9, "a": "VIN9-b"}])
