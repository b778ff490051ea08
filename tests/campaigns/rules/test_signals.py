import math

import pytest

from otaserver.campaigns.rules import gate, signals
from otaserver.campaigns.rules.gate import GatePlan, Standing

PLAN = GatePlan(acceptable_rate=0.005, unacceptable_rate=0.02, alpha=0.01, beta=0.05)


def make_tests(*names):
    share = signals.signal_share(len(names), has_control=False)
    return {name: gate.make_test(PLAN, share=share, planned_results=1000) for name in names}


def read(tests, *vehicles):
    return signals.fold(tests, dict.fromkeys(tests, Standing()), vehicles)


@pytest.mark.parametrize("count", range(6))
@pytest.mark.parametrize("has_control", [False, True])
@pytest.mark.parametrize("strata", [0, 2, 5])
def test_all_tests_of_a_campaign_together_keep_to_its_alpha(count, has_control, strata):
    outcome_names = ["", *(f"s{i}" for i in range(strata))]
    spent = sum(signals.outcome_share(count) * gate.alpha_share(name, strata) for name in outcome_names)
    for _ in range(count):
        spent += signals.signal_share(count, has_control=has_control) * (2 if has_control else 1)

    assert spent == pytest.approx(1)


def test_without_signals_the_outcomes_keep_all_of_alpha():
    assert signals.outcome_share(0) == 1


def test_each_signal_is_tested_on_its_own():
    bad = {"crashes": True, "boots": False}

    folding = read(make_tests("boots", "crashes"), *[bad] * 9)

    assert (folding.halted, folding.read) == ("crashes", 5)
    assert folding.standings["boots"].successes == 5
    assert read(make_tests("boots"), *[{"boots": False}] * 9).halted is None


def test_a_vehicle_without_a_signal_is_left_out_of_its_test_and_counted_as_missing():
    folding = read(make_tests("boots", "crashes"), {"boots": False}, {}, {"boots": True, "crashes": False})

    assert folding.missing == {"boots": 1, "crashes": 2}
    assert (folding.standings["boots"].successes, folding.standings["boots"].failures) == (1, 1)
    assert (folding.standings["crashes"].successes, folding.standings["crashes"].failures) == (1, 0)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("Boots", 1.0, "name"),
        ("", 1.0, "name"),
        ("boots\n", 1.0, "name"),
        ("b", math.nan, "nan"),
        ("b", math.inf, "inf"),
    ],
)
def test_a_reading_with_a_wrong_name_or_no_finite_number_is_told(name, value, said):
    assert said in str(signals.problem(name, value))


def test_a_good_reading_has_no_problem():
    assert signals.problem("dtc_count-2", -1.5) is None


@pytest.mark.parametrize(
    ("value", "recent", "kept"),
    [(1, [], True), (9, [], True), (1, [1], False), (9, [1], True), (9, [1, 8], False), (1, [9], False)],
)
def test_one_reading_an_hour_is_kept_and_the_first_above_the_limit(value, recent, kept):
    assert signals.is_kept(value, 5, recent=recent) is kept


@pytest.mark.parametrize(
    ("reported", "matured", "asks"),
    [({"a": 5}, 10, False), ({"a": 4}, 10, True), ({"a": 0}, 0, False), ({"a": 9, "b": 0}, 9, True), ({}, 9, False)],
)
def test_a_wave_of_which_more_than_half_lack_a_signal_asks(reported, matured, asks):
    assert (signals.lacking(reported, matured=matured) is not None) is asks


@pytest.mark.parametrize(
    ("blocks", "asks"), [({"a": (10, 5)}, False), ({"a": (10, 4)}, True), ({"a": (0, 0)}, False), ({}, False)]
)
def test_a_wave_of_which_more_than_half_has_nothing_to_compare_with_asks(blocks, asks):
    assert (signals.uncompared(blocks) is not None) is asks
