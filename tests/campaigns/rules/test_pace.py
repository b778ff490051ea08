import pytest
from hypothesis import given
from hypothesis import strategies as st

from otaserver.campaigns.rules import pace
from otaserver.campaigns.rules.pace import Allowance


@pytest.mark.parametrize(
    ("per_minute", "per_hour", "offers", "length", "left"),
    [
        (None, None, 7, 700, Allowance(None, None)),
        (10, None, 7, 700, Allowance(3, None)),
        (10, 1000, 10, 700, Allowance(0, 300)),
        (10, 1000, 12, 1200, Allowance(0, 0)),
    ],
)
def test_what_is_left_is_the_pace_without_what_was_offered(per_minute, per_hour, offers, length, left):
    found = pace.allowance(offers_per_minute=per_minute, bytes_per_hour=per_hour, offers=offers, length=length)

    assert found == left
    assert found.is_used_up == (0 in (left.offers, left.length))


@given(st.lists(st.integers(1, 50)), st.none() | st.integers(0, 20), st.none() | st.integers(0, 300))
def test_as_many_are_offered_as_fit_and_not_one_more(lengths, offers, length):
    count = pace.fitting(lengths, Allowance(offers, length))

    assert offers is None or count <= offers
    assert length is None or sum(lengths[:count]) <= length
    if count < len(lengths):
        assert count == offers or sum(lengths[: count + 1]) > length


@pytest.mark.parametrize(
    ("per_minute", "per_hour", "said"),
    [
        (0, None, "not 0"),
        (-1, None, "not -1"),
        (None, 999, "999 bytes an hour and the release has 1000"),
        (1, 0, "0 bytes"),
    ],
)
def test_a_pace_that_lets_nothing_through_is_refused(per_minute, per_hour, said):
    assert said in pace.pace_problem(offers_per_minute=per_minute, bytes_per_hour=per_hour, release_length=1000)
    assert pace.pace_problem(offers_per_minute=1, bytes_per_hour=1000, release_length=1000) is None
