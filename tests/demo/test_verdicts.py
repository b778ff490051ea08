"""That a simulation sees what is not as it must be."""

from datetime import UTC, datetime, timedelta

import pytest

from clients.fleet.habits import Cause, Habits, Life
from otaserver.demo import verdicts

EVENING = [{"weekdays": ["mon"], "start": "20:00", "length_minutes": 360}]
MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
REFUSED = {"code": "assignment.refused", "value": "consent_refused", "sentence": "The vehicle refused."}
ENDED = {"code": "assignment.withdrawn", "value": "campaign_ended The campaign ended.", "sentence": "Withdrawn."}


def life(cause=Cause.NOTHING, **fields):
    return Life("V1", 1, Habits(zones=("Asia/Tokyo",)), cause, **fields)


def judge(cause, *answers, state="refused", runs_new=False):
    return verdicts.judge_answers(
        [life(cause)],
        runs_new={"V1": runs_new},
        assignments={"V1": {"state": state, "code": "", "message": ""}},
        explanations={"V1": {"answers": list(answers)}},
    )


def test_an_answer_that_tells_the_true_cause_is_no_problem():
    found = judge(Cause.REFUSED, REFUSED)

    assert (found.problems, dict(found.table)) == ([], {("the owner refused", "assignment.refused"): 1})


@pytest.mark.parametrize("cause", [Cause.UNANSWERED, Cause.CHARGE, Cause.INSTALL, Cause.SILENT, Cause.GONE])
def test_an_answer_that_tells_another_cause_is_a_problem(cause):
    assert len(judge(cause, REFUSED).problems) == 1


def test_an_end_that_does_not_tell_what_held_the_vehicle_until_then_is_a_problem():
    assert len(judge(Cause.UNANSWERED, ENDED, state="withdrawn").problems) == 1
    assert judge(Cause.NOTHING, ENDED, state="withdrawn").problems == []


def test_every_cause_has_what_tells_it():
    assert set(verdicts.TELLING) == set(Cause)


def test_a_vehicle_that_is_not_settled_is_a_problem():
    assert judge(Cause.REFUSED, REFUSED, state="held").problems == ["V1: it is not settled but held."]


def test_a_vehicle_that_runs_the_release_and_did_not_succeed_is_a_problem():
    assert judge(Cause.NOTHING, ENDED, state="lapsed", runs_new=True).problems == ["V1: it was updated, but is lapsed."]
    assert judge(Cause.NOTHING, state="succeeded", runs_new=True).problems == []


@pytest.mark.parametrize(("hour", "is_outside"), [(10, True), (11, False), (16, False), (17, True)])
def test_windows_are_judged_by_the_vehicles_own_clock_and_over_midnight(hour, is_outside):
    # Tokyo is nine hours ahead.
    found = verdicts.outside_window(life(switched={"A": MONDAY + timedelta(hours=hour)}), EVENING)

    assert bool(found) is is_outside


def test_an_installation_without_consent_is_seen():
    assert verdicts.without_consent(life(switched={"A": MONDAY}, agreed={"A"})) == []
    assert verdicts.without_consent(life(switched={"A": MONDAY}, agreed={"B"})) == [
        "V1: it installed attempt A without consent."
    ]


def test_offers_faster_than_the_pace_are_seen_once_for_each_burst():
    calm = [MONDAY, MONDAY, MONDAY + timedelta(minutes=1), MONDAY + timedelta(minutes=1)]
    bursts = [MONDAY] * 5 + [MONDAY + timedelta(hours=1)] * 3

    assert verdicts.faster_than(2, calm) == []
    assert verdicts.faster_than(2, bursts) == [
        "More than 2 offers in the minute from 2026-01-05 00:00:00 on.",
        "More than 2 offers in the minute from 2026-01-05 01:00:00 on.",
    ]
