import random

import pytest

from otaserver.campaigns.rules import evidence, gate
from otaserver.campaigns.rules.evidence import MAX_POINTS, Way
from otaserver.campaigns.rules.gate import Outcome

pytestmark = pytest.mark.any_database
TEST = gate.make_test(gate.GatePlan(0.005, 0.02, 0.01, 0.05), share=1.0, planned_results=10_000)


def test_a_run_leads_where_its_outcomes_lead_one_by_one():
    rng = random.Random(7)
    for _ in range(40):
        by_run = one_by_one = gate.Standing()
        for _ in range(12):
            is_failure, count = rng.random() < 0.2, rng.choice([1, 2, 5, 197, 198, 400])
            count = 1 if is_failure else count
            by_run = evidence.advance(TEST, by_run, is_failure=is_failure, count=count)
            for _ in range(count):
                one_by_one = gate.take(TEST, one_by_one, is_failure=is_failure)
        assert (by_run.successes, by_run.failures, by_run.has_passed) == (
            one_by_one.successes,
            one_by_one.failures,
            one_by_one.has_passed,
        )
        assert by_run.statistic == pytest.approx(one_by_one.statistic)
        assert by_run.guard_statistic == pytest.approx(one_by_one.guard_statistic)


def test_the_way_begins_at_nothing_and_neutral_ends_do_not_move_it():
    way = Way(TEST)
    way.read([(Outcome.FAILURE, 1), (Outcome.NEUTRAL, 5), (Outcome.SUCCESS, 10)])

    assert [(p.results, p.is_guard) for p in way.points()] == [(0, False), (1, False), (11, False)]
    assert way.points()[1].statistic == pytest.approx(TEST.failure_step)


def test_after_the_pass_it_is_the_guards_way():
    way = Way(TEST)
    way.read([(Outcome.SUCCESS, TEST.clean_results_to_pass), (Outcome.FAILURE, 1)])

    assert [(p.is_guard, p.statistic) for p in way.points()[1:]] == [(True, 0.0), (True, TEST.failure_step)]


def test_a_persons_word_begins_the_evidence_anew():
    way = Way(TEST)
    way.read([(Outcome.FAILURE, 4)])
    way.begin_anew()

    assert way.points()[-1].statistic == 0.0


def test_a_long_way_is_thinned_out_but_for_its_end():
    way = Way(TEST)
    for _ in range(1000):
        way.read([(Outcome.FAILURE, 1)])
        way.read([(Outcome.SUCCESS, 1)])

    assert len(way.points()) <= MAX_POINTS + 1
    assert way.points()[-1].results == 2000
