import json
import math
from dataclasses import asdict
from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from otaserver.campaigns.rules import gate, plans
from otaserver.campaigns.rules.waves import Size
from otaserver.campaigns.states import GateVerdict

NAMES = ("acceptable_rate", "unacceptable_rate", "alpha", "beta")


@pytest.mark.parametrize("name", ["a", "Spring 2026: brakes (hot-fix)", "x" * 100])
def test_names_of_printable_ascii_are_taken(name):
    assert plans.name_problem(name) is None


@pytest.mark.parametrize("name", ["", "x" * 101, "été", "a\nb", " a", "a ", "a\x7f"])
def test_other_names_are_refused(name):
    assert "printable ASCII" in plans.name_problem(name)


@pytest.mark.parametrize("percents", [("100",), ("5", "25", "100"), ("0.001", "99.999", "100")])
def test_rising_percents_that_end_at_100_are_waves(percents):
    assert plans.sizes_problem([Size(Decimal(p)) for p in percents]) is None


@pytest.mark.parametrize(
    ("percents", "problem"),
    [
        ((), "1 to 100 waves"),
        (tuple(str(i) for i in range(1, 102)), "1 to 100 waves"),
        (("0", "100"), "rise from above 0"),
        (("-1", "100"), "rise from above 0"),
        (("50", "50", "100"), "rise from above 0"),
        (("50", "25", "100"), "rise from above 0"),
        (("5", "25"), "reach 100"),
        (("5", "101"), "reach 100"),
        (("0.0001", "100"), "three decimals"),
        (("NaN", "100"), "three decimals"),
    ],
)
def test_other_percents_are_refused(percents, problem):
    assert problem in plans.sizes_problem([Size(Decimal(p)) for p in percents])


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ((0.005, 0.02, 0.01, 0.05), None),
        ((0.02, 0.02, 0.01, 0.05), "Rates"),
        ((0, 0.02, 0.01, 0.05), "Rates"),
        ((0.005, 1, 0.01, 0.05), "Rates"),
        ((0.005, 0.02, 0.5, 0.05), "Error probabilities"),
        ((0.005, 0.02, 0.01, 0), "Error probabilities"),
        ((float("nan"), 0.02, 0.01, 0.05), "Rates"),
        ((0.005, float("nan"), 0.01, 0.05), "Rates"),
        ((0.005, float("inf"), 0.01, 0.05), "Rates"),
        ((1e-6, 0.02, 0.01, 0.05), None),
        ((9.99e-7, 0.02, 0.01, 0.05), "Rates"),
        ((1e-17, 2e-17, 0.01, 0.05), "Rates"),
        ((0.5, 0.999999, 0.01, 0.05), None),
        ((0.5, 0.9999991, 0.01, 0.05), "Rates"),
        ((0.5, 0.506, 0.01, 0.05), None),
        ((0.5, 0.504, 0.01, 0.05), "1.01 times"),
        ((0.005, 0.02, 1e-9, 1e-9), None),
        ((0.005, 0.02, 9e-10, 0.05), "Error probabilities"),
        ((0.005, 0.02, 0.01, 1e-323), "Error probabilities"),
        ((0.005, 0.02, float("nan"), 0.05), "Error probabilities"),
        ((0.005, 0.02, 0.01, float("-inf")), "Error probabilities"),
    ],
)
def test_a_test_needs_rates_and_error_probabilities_in_range(values, problem):
    found = plans.gate_problem(**dict(zip(NAMES, values, strict=True)))

    assert found is None if problem is None else problem in found


def powers(lowest, highest):
    return st.floats(lowest, highest).map(lambda exponent: 10**exponent)


# Rates and error probabilities of every size, the limits and what is next to them among them.
RATES = powers(-6.1, 0) | st.sampled_from([1e-6, 1e-17, 5e-324, 0.5])
RATIOS = powers(0.004, 6) | st.sampled_from([1.01, 1.0100001])
ERRORS = powers(-9.1, -0.3) | st.sampled_from([1e-9, 5e-324, 0.49999999999999994])
GATE_VALUES = st.tuples(RATES, RATIOS, ERRORS, ERRORS).map(
    lambda drawn: (drawn[0], min(drawn[0] * drawn[1], 1 - 1e-6), *drawn[2:])
)


@given(
    GATE_VALUES,
    st.integers(0, 10**9),
    st.integers(0, 64),
    st.lists(st.sampled_from([gate.Outcome.SUCCESS, gate.Outcome.FAILURE]), max_size=30),
)
def test_every_accepted_test_can_be_made_shown_and_read(values, planned, strata, outcomes):
    assume(plans.gate_problem(**dict(zip(NAMES, values, strict=True))) is None)
    names = ["", *(f"s{i}" for i in range(strata))]

    tests = {
        name: gate.make_test(gate.GatePlan(*values), share=gate.alpha_share(name, strata), planned_results=planned)
        for name in names
    }
    start = dict.fromkeys(names, gate.Standing())
    folding = gate.fold(tests, start, [(names[-1], outcome) for outcome in outcomes])

    for name, test in tests.items():
        # Each test can be passed by successes, halted by failures, and neither before it has read anything.
        assert test.success_step < 0 < test.failure_step
        assert test.pass_limit < 0 < test.halt_limit
        assert 0 < test.guard_limit < float("inf")
        assert test.clean_results_to_pass > 0
        reading = gate.judge(test, folding.standings[name])
        assert math.isfinite(reading.statistic)
        assert gate.judge(test, start[name]).verdict is GateVerdict.UNDECIDED
        json.dumps(asdict(reading), allow_nan=False)


LAST = Size(percent=Decimal(100))


@pytest.mark.parametrize(
    ("sizes", "problem"),
    [
        ([Size(group="a"), Size(count=5), LAST], None),
        ([Size(), LAST], "wave 1 says 0 of them"),
        ([Size(percent=Decimal(1), count=5), LAST], "wave 1 says 2 of them"),
        ([Size(count=0), LAST], "takes 1 to 2147483647 vehicles; wave 1 says 0"),
        ([Size(group="a"), Size(group="b"), Size(group="a"), LAST], "Wave 3 names the group a again: wave 1 took it"),
        ([LAST, Size(count=5)], "must reach 100 percent, for all who are left, not 5 vehicles"),
        ([Size(percent=Decimal(5)), Size(count=5), Size(percent=Decimal(5)), LAST], "must rise from above 0"),
    ],
)
def test_a_wave_says_exactly_one_size_and_the_last_takes_all_who_are_left(sizes, problem):
    found = plans.sizes_problem(sizes)

    assert found is None if problem is None else problem in found


@pytest.mark.parametrize("percent", ["0", "0.001", "12.5", "50"])
def test_up_to_half_of_the_vehicles_can_be_held_out(percent):
    assert plans.control_problem(Decimal(percent)) is None


@pytest.mark.parametrize("percent", ["-1", "50.001", "1.0001", "NaN", "Infinity"])
def test_another_share_is_refused_with_the_value(percent):
    assert percent in str(plans.control_problem(Decimal(percent)))
