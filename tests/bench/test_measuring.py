import pytest

from tests.bench import measuring


def test_a_figure_is_the_median_of_the_ratios_and_not_the_ratio_of_the_medians():
    of_ours, of_bare = iter([10.0, 90.0, 2.0]), iter([100.0, 100.0, 4.0])

    found = measuring.figures(
        "poll",
        ours=lambda: {"a": next(of_ours)},
        bare=lambda: {"a": next(of_bare)},
        pairs=3,
        goals={"a": 0.5},
    )

    assert found == [measuring.Figure("poll", "a", 0.5, 0.1, 0.9, pairs=3, goal=0.5, met=True)]


def test_the_two_take_turns_in_going_first():
    ran = []

    def run(name):
        ran.append(name)
        return {"a": 1.0}

    measuring.figures("poll", ours=lambda: run("ours"), bare=lambda: run("bare"), pairs=3, goals={"a": None})

    assert ran == ["bare", "ours", "ours", "bare", "bare", "ours"]


def test_each_case_has_its_own_figure_from_the_same_runs():
    found = measuring.figures(
        "campaigns",
        ours=lambda: {"open": 1.0, "start": 3.0},
        bare=lambda: {"start": 4.0, "open": 4.0},
        pairs=1,
        goals={"start": None, "open": 0.5},
    )

    assert [(figure.case, figure.ratio_median, figure.met) for figure in found] == [
        ("start", 0.75, None),
        ("open", 0.25, False),
    ]


@pytest.mark.parametrize(("ratios", "median"), [([0.3], 0.3), ([0.2, 0.4, 0.9], 0.4), ([0.25, 0.5, 0.75, 4.0], 0.625)])
def test_the_median_of_an_even_number_lies_between_the_middle_two(ratios, median):
    found = measuring.summarise("poll", "a", ratios, None)

    assert (found.ratio_median, found.ratio_min, found.ratio_max) == (median, min(ratios), max(ratios))


@pytest.mark.parametrize(("goal", "met"), [(None, None), (0.5, True), (0.51, False)])
def test_a_goal_is_met_by_reaching_it(goal, met):
    assert measuring.summarise("poll", "a", [0.5], goal).met is met
