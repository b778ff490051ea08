from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from clients.fleet.habits import Cause, Habits, Life, Trouble
from clients.vehicle.hooks import ConsentQuestion

NIGHT = datetime(2026, 1, 5, 1, 0, tzinfo=UTC)
CONDITIONS = [{"name": "state_of_charge", "operator": ">=", "value": 40}]


def question(**fields):
    return ConsentQuestion("A", "spring 2", {}, "notes", "en", **fields)


def test_each_vehicle_has_one_trouble_at_most_in_the_shares_that_were_planned():
    habits = Habits(refusal=0.1, postponement=0.2, flat=0.05)

    found = Counter(Life(f"V{number}", 1, habits).trouble for number in range(2000))

    assert set(found) == {Trouble.NONE, Trouble.REFUSAL, Trouble.POSTPONEMENT, Trouble.FLAT}
    assert 160 < found[Trouble.REFUSAL] < 240
    assert 340 < found[Trouble.POSTPONEMENT] < 460
    assert 70 < found[Trouble.FLAT] < 130


def test_troubles_of_more_than_all_vehicles_are_refused():
    with pytest.raises(ValueError, match=r"1\.2 together, more than 1"):
        Habits(refusal=0.7, flat=0.5)


def test_a_night_is_by_the_vehicles_own_clock():
    nights = {
        zone: Life("V1", 1, Habits(zones=(zone,), night_hours=6)).night_seconds(NIGHT)
        for zone in ("UTC", "America/New_York", "Asia/Tokyo")
    }

    assert nights["America/New_York"] == nights["Asia/Tokyo"] == 0
    assert 3.5 * 3600 <= nights["UTC"] <= 6.5 * 3600


def test_a_low_battery_is_measured_as_such_until_it_is_charged():
    flat, late = (Life("V1", 1, Habits(**{trouble: 1.0})) for trouble in ("flat", "late_charge"))

    for life in (flat, late):
        assert life.measure(CONDITIONS, NIGHT).measured == {"state_of_charge": 12}
        assert life.cause is Cause.CHARGE
    later = NIGHT + timedelta(days=3)
    assert flat.measure(CONDITIONS, later).measured == {"state_of_charge": 12}
    assert late.measure(CONDITIONS, later).measured == {"state_of_charge": 40}
    assert late.cause is Cause.NOTHING


@pytest.mark.parametrize(
    ("trouble", "decision", "cause"),
    [
        ("refusal", "no", Cause.REFUSED),
        ("no_answer", "shown", Cause.UNANSWERED),
        ("postponement", "postpone", Cause.POSTPONED),
        ("flat", "yes", Cause.NOTHING),
    ],
)
def test_owners_answer_as_they_are(trouble, decision, cause):
    life = Life("V1", 1, Habits(**{trouble: 1.0}))

    assert (life.answer(question()).decision, life.cause) == (decision, cause)
    assert life.agreed == ({"A"} if decision == "yes" else set())


def test_a_question_that_says_it_goes_ahead_counts_as_agreed_whatever_is_answered():
    life = Life("V1", 1, Habits(no_answer=1.0))

    life.answer(question(is_last=True, may_refuse=False))

    assert life.agreed == {"A"}


def test_an_owner_who_postpones_agrees_in_the_end():
    life = Life("V1", 1, Habits(postponement=1.0, postponements=3))

    decisions = [life.answer(question()).decision for _ in range(5)]

    assert decisions[0] == "postpone"
    assert decisions[-1] == "yes"


def test_a_vehicle_that_disappears_does_so_for_good():
    life = Life("V1", 1, Habits(disappearance=1.0))

    gone = [life.is_gone(contact) for contact in range(1, 12)]

    assert gone[0] is False
    assert gone[-1] is True
    assert gone == sorted(gone)
