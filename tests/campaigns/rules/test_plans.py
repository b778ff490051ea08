from decimal import Decimal

import pytest

from otaserver.campaigns.rules import plans


@pytest.mark.parametrize("name", ["a", "Spring 2026: brakes (hot-fix)", "x" * 100])
def test_names_of_printable_ascii_are_taken(name):
    assert plans.name_problem(name) is None


@pytest.mark.parametrize("name", ["", "x" * 101, "été", "a\nb", " a", "a ", "a\x7f"])
def test_other_names_are_refused(name):
    assert "printable ASCII" in plans.name_problem(name)


@pytest.mark.parametrize("percents", [("100",), ("5", "25", "100"), ("0.001", "99.999", "100")])
def test_rising_percents_that_end_at_100_are_waves(percents):
    assert plans.waves_problem([Decimal(p) for p in percents]) is None


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
    assert problem in plans.waves_problem([Decimal(p) for p in percents])


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
    ],
)
def test_a_test_needs_rates_and_error_probabilities_in_range(values, problem):
    names = ("acceptable_rate", "unacceptable_rate", "alpha", "beta")

    found = plans.gate_problem(**dict(zip(names, values, strict=True)))

    assert found is None if problem is None else problem in found
