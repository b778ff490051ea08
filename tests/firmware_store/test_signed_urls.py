from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_store import signed_urls

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
SHA256 = "a" * 64
EXPIRES = int((NOON + timedelta(hours=1)).timestamp())


def holds(query, *, sha256=SHA256, secret="s", at=NOON, **changes):
    values = {name: value[0] for name, value in parse_qs(query).items()} | changes
    return signed_urls.verify(sha256, secret=secret, at=at, **values)


def test_a_signed_address_holds_until_it_expires():
    query = signed_urls.sign(SHA256, expires=EXPIRES, secret="s")

    assert holds(query, at=NOON + timedelta(minutes=59, seconds=59))
    assert not holds(query, at=NOON + timedelta(hours=1))


@pytest.mark.parametrize(
    "change",
    [
        {"sha256": "b" * 64},
        {"secret": "other"},
        {"expires": str(EXPIRES + 1)},
        {"expires": f"0{EXPIRES}"},
        {"expires": f" {EXPIRES}"},
        {"expires": ""},
        {"expires": "٣" * 10},
        {"expires": "9" * 400},
        {"signature": ""},
        {"signature": "é"},
        {"signature": "\udc80"},
        {"signature": "0" * 64},
    ],
)
def test_an_address_with_anything_changed_does_not_hold(change):
    assert not holds(signed_urls.sign(SHA256, expires=EXPIRES, secret="s"), **change)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-99", slice(0, 100)),
        ("bytes=0-0", slice(0, 1)),
        ("bytes=900-", slice(900, 1000)),
        ("bytes=900-5000", slice(900, 1000)),
        ("bytes=-100", slice(900, 1000)),
        ("bytes=-5000", slice(0, 1000)),
        (" bytes=5-6 ", slice(5, 7)),
        ("bytes=6-5", None),
        ("bytes=0-1,5-6", None),
        ("bytes=", None),
        ("bytes=-", None),
        ("bytes=a-b", None),
        ("items=0-1", None),
        ("bytes=0-99999999999999999999", None),
        ("", None),
    ],
)
def test_a_range_header_is_read_as_rfc_9110_says(header, expected):
    assert signed_urls.parse_range(header, 1000) == expected


@pytest.mark.parametrize("header", ["bytes=6-5", "bytes=", "bytes=a-b", "items=0-1", "", f"bytes={'9' * 5000}-"])
def test_a_strict_reader_refuses_what_is_no_range(header):
    with pytest.raises(signed_urls.UnsatisfiableRangeError):
        signed_urls.parse_range(header, 1000, is_strict=True)


def test_a_strict_reader_gives_the_whole_file_for_several_ranges():
    assert signed_urls.parse_range("bytes=0-1, 5-6,-7", 1000, is_strict=True) is None


@pytest.mark.parametrize(
    ("header", "length"), [("bytes=1000-", 1000), ("bytes=-0", 1000), ("bytes=0-0", 0), ("bytes=-1", 0)]
)
def test_a_range_without_a_byte_cannot_be_satisfied(header, length):
    with pytest.raises(signed_urls.UnsatisfiableRangeError):
        signed_urls.parse_range(header, length)


@given(st.text(max_size=30), st.integers(0, 10**6))
def test_any_header_gives_a_range_inside_the_file_or_none_or_is_unsatisfiable(header, length):
    try:
        found = signed_urls.parse_range(f"bytes={header}", length)
    except signed_urls.UnsatisfiableRangeError:
        return
    assert found is None or 0 <= found.start < found.stop <= length
