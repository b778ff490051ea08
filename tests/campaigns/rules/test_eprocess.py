"""The comparison with the control share: its e-values hold under every null, and it halts when it should."""

import math
import random
from itertools import product

import pytest

from otaserver.campaigns.rules import eprocess
from otaserver.campaigns.rules.eprocess import Alternative, Block, Evidence

GRID = [0.0, 0.001, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 1.0]
RATES = {"acceptable_rate": 0.005, "unacceptable_rate": 0.02}
ALPHA = 0.01


def chance(good, bad, rate):
    return math.comb(good + bad, bad) * rate**bad * (1 - rate) ** good


def mean_e_value(bet, treated, control, treated_rate, control_rate):
    return sum(
        chance(treated - t, t, treated_rate)
        * chance(control - c, c, control_rate)
        * math.exp(eprocess.log_e_value(Block(treated - t, t, control - c, c), bet))
        for t, c in product(range(treated + 1), range(control + 1))
    )


@pytest.mark.parametrize(("treated", "control"), [(1, 1), (3, 1), (1, 2), (9, 1), (4, 4)])
@pytest.mark.parametrize("bet", [Alternative(0.02, 0.005), Alternative(0.5, 0.1), Alternative(0.9, 0.001)])
def test_where_the_treated_are_not_worse_the_mean_of_an_e_value_is_at_most_1(bet, treated, control):
    means = [mean_e_value(bet, treated, control, a, b) for a, b in product(GRID, GRID) if a <= b]

    assert len(means) == 55
    assert max(means) <= 1 + 1e-9


def test_where_the_treated_are_as_bad_as_the_bet_says_the_evidence_grows():
    assert mean_e_value(Alternative(0.3, 0.1), 3, 1, 0.3, 0.1) > 1


def test_where_the_treated_look_no_worse_nothing_is_bet():
    assert eprocess.log_e_value(Block(0, 5, 1, 0), Alternative(0.1, 0.1)) == 0
    assert eprocess.log_e_value(Block(0, 5, 1, 0), Alternative(0.1, 0.2)) == 0


def test_the_bet_comes_from_the_blocks_before():
    first = eprocess.alternative(Evidence(), **RATES)
    block = Block(0, 9, 1, 0)
    taken = eprocess.take(Evidence(), block, **RATES)

    assert (first.treated, first.control) == pytest.approx((0.02, 0.005))
    assert taken == Evidence(0, 9, 1, 0, eprocess.log_e_value(block, first))
    assert eprocess.alternative(taken, **RATES).treated == pytest.approx((0.8 + 9) / 49)


def highest(rng, treated_rate, control_rate, *, per_block, blocks):
    """The highest evidence that is ever seen when it is looked at after every block, and after how many blocks."""
    evidence, limit = Evidence(), eprocess.halt_limit(ALPHA)
    for number in range(1, blocks + 1):
        bad = sum(rng.random() < treated_rate for _ in range(per_block))
        worse = int(rng.random() < control_rate)
        evidence = eprocess.take(evidence, Block(per_block - bad, bad, 1 - worse, worse), **RATES)
        if evidence.log_value >= limit:
            return number
    return None


@pytest.mark.parametrize(("rate", "per_block"), [(0.005, 9), (0.05, 9), (0.3, 1)])
def test_looked_at_after_every_block_equal_groups_halt_within_alpha(rate, per_block):
    rng = random.Random(11)

    halts = sum(highest(rng, rate, rate, per_block=per_block, blocks=100) is not None for _ in range(1000))

    # 1,000 x 1 % = 10; more than 19 have a chance of less than 1 in 200 where alpha holds.
    assert halts <= 19


@pytest.mark.parametrize(("treated", "control"), [(0.05, 0.005), (0.2, 0.05)])
def test_a_difference_is_found_in_nine_of_ten_campaigns(treated, control):
    rng = random.Random(12)
    found = [highest(rng, treated, control, per_block=9, blocks=500) for _ in range(60)]

    assert sum(each is not None for each in found) >= 54


def test_a_bad_world_is_no_difference():
    # Both groups fail at twenty times the acceptable rate: the weather, not the release.
    rng = random.Random(13)

    assert sum(highest(rng, 0.1, 0.1, per_block=4, blocks=150) is not None for _ in range(300)) <= 8


def test_a_z_test_looked_at_repeatedly_would_halt_many_equal_groups():
    rng, halts = random.Random(14), 0
    for _ in range(200):
        bad = [0, 0]
        for n in range(1, 301):
            bad = [bad[0] + (rng.random() < 0.1), bad[1] + (rng.random() < 0.1)]
            mean = sum(bad) / (2 * n)
            spread = math.sqrt(2 * mean * (1 - mean) / n)
            if n >= 20 and spread and (bad[0] - bad[1]) / n / spread > 2.326:
                halts += 1
                break

    # Nominally 1 %.
    assert halts / 200 > 0.03


@pytest.mark.parametrize(("treated", "control", "expected"), [(95, 5, 19), (50, 50, 1), (9, 10, 1), (10, 0, 0)])
def test_both_groups_last_to_the_end(treated, control, expected):
    assert eprocess.treated_per_block(treated=treated, control=control) == expected
