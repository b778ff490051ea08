import json

import pytest

from otaserver import storable

DEPTHS = [b"[" * storable.MAX_DEPTH + b"]" * storable.MAX_DEPTH, b'{"a":' * storable.MAX_DEPTH + b"1" + b"}" * 50]


@pytest.mark.parametrize("data", [b"1", b'{"a": [1.5, null, true, "\\u00e4", "\\\\u0000"]}', b"9" * 309, *DEPTHS])
def test_what_every_database_keeps_is_read_as_it_is(data):
    found = storable.parse(data)

    storable.refuse_unstorable(found)
    assert found == json.loads(data)


@pytest.mark.parametrize("data", [b"", b"{", b"{}{}", b"\xff", b"\xef\xbb\xbf{}", b'{"a":1,"a":2}', b"[" * 100_000])
def test_what_is_no_json_is_not_read(data):
    with pytest.raises(ValueError):
        storable.parse(data)


@pytest.mark.parametrize("number", [b"1e400", b"-1e400", b"NaN", b"Infinity", b"-Infinity", b"9" * 310, b"9" * 5000])
def test_a_number_that_is_not_finite_is_refused_wherever_it_stands(number):
    for data in (number, b"[[" + number + b"]]", b'{"a": {"b": ' + number + b"}}"):
        with pytest.raises(storable.UnstorableError):
            storable.refuse_unbounded(storable.parse(data))


@pytest.mark.parametrize("data", [b"[" * 51 + b"]" * 51, b'{"a":' * 51 + b"1" + b"}" * 51, b"[" * 900 + b"]" * 900])
def test_what_nests_too_deeply_is_refused(data):
    with pytest.raises(storable.UnstorableError):
        storable.refuse_unbounded(storable.parse(data))


@pytest.mark.parametrize(
    "data", [b'"\\u0000"', b'["\\\\\\u0000"]', b'{"\\u0000": 1}', b'"\\ud800"', b'{"a": "\\udfffx"}']
)
def test_a_text_that_postgresql_does_not_store_is_refused(data):
    found = storable.parse(data)

    storable.refuse_unbounded(found)
    with pytest.raises(storable.UnstorableError):
        storable.refuse_unstorable(found)
