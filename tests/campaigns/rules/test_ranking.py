import hashlib
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otaserver.campaigns.rules import ranking

words = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20)


def test_a_hash_is_what_anyone_computes_and_differs_by_campaign_and_vehicle():
    # Computed once, kept for ever: a campaign's order must not change with a new version of the server.
    assert ranking.vehicle_hash("spring", "VIN1") == int(hashlib.sha256(b"spring\nVIN1").hexdigest()[:15], 16)
    assert ranking.vehicle_hash("spring", "VIN1") == 1041425343509784579
    assert len({ranking.vehicle_hash(c, v) for c in ("spring", "autumn") for v in ("VIN1", "VIN2")}) == 4
    assert ranking.vehicle_hash("ab", "c") != ranking.vehicle_hash("a", "bc")


@given(words, words, st.integers(1, 127), st.integers(1, 10**8), st.data())
def test_a_rank_fits_a_database_integer_and_stays_in_its_band(campaign, vehicle_id, band, size, data):
    place = data.draw(st.integers(1, size))

    rank = ranking.rank(band, place, size, ranking.vehicle_hash(campaign, vehicle_id))

    first, last = ranking.band_ranks(band)
    assert 0 <= first <= rank <= last <= ranking.LAST_RANK
    assert (2 * size) << (ranking.POSITION_BITS - 1) < 2**63


@given(st.lists(st.integers(1, 300), min_size=1, max_size=5), st.integers(1, 1500))
def test_every_stretch_of_a_band_mirrors_the_strata(sizes, taken):
    places = [
        (ranking.rank(1, place, size, place * 7919), stratum)
        for stratum, size in enumerate(sizes)
        for place in range(1, size + 1)
    ]
    share = min(taken / sum(sizes), 1)

    first = [stratum for _, stratum in sorted(places)[:taken]]

    for stratum, size in enumerate(sizes):
        assert abs(first.count(stratum) - share * size) <= len(sizes)


@pytest.mark.parametrize(
    ("size", "percent", "expected"),
    [(100, "5", 5), (10, "5", 0), (9, "5", 0), (1000, "0.1", 1), (7, "0", 0), (1, "50", 0), (7, "50", 3), (2, "50", 1)],
)
def test_a_share_of_each_stratum_is_held_out_rounded_down_so_that_one_is_updated(size, percent, expected):
    assert ranking.held_out(size, Decimal(percent)) == expected


def test_of_those_who_join_late_the_same_share_is_held_out():
    limit = ranking.late_control_limit(Decimal("12.5"))

    assert limit == 2**ranking.HASH_BITS // 8
