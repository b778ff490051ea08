"""Every decision of the engine follows again from its records, and from no others."""

import pytest

from otaserver.campaigns import operations, queries
from otaserver.campaigns.models import Assignment, Campaign, Decision, GateState
from otaserver.campaigns.records import GateReading
from tests.campaigns.campaign_factories import SOAK, at, fail, in_turn, make_running, report, succeed, tick
from tests.factories import NOON

pytestmark = pytest.mark.django_db

QUICK = {"acceptable_rate": 0.1, "unacceptable_rate": 0.9, "alpha": 0.2, "beta": 0.2}


def kinds(campaign):
    return [item.kind for item in queries.replay(campaign).items]


def differences(campaign):
    return [(item.kind, item.detail) for item in queries.replay(campaign).differences]


def make_completed(**plan):
    """One that passes its test in the first of two waves and ends well."""
    campaign = make_running(vehicles=6, waves=(50, 100), **QUICK, **plan)
    for number in range(2):
        for assignment in in_turn(campaign, "offered"):
            succeed(assignment, at=NOON + number * SOAK)
        tick(campaign, NOON + (number + 1) * SOAK)
    assert campaign.state == "completed"
    return campaign


def make_halted():
    """One that four failures in a row halt by the test."""
    campaign = make_running(vehicles=8, wave_failures=9)
    for assignment in in_turn(campaign)[:4]:
        fail(assignment)
    tick(campaign, NOON + SOAK)
    assert campaign.state == "halted"
    return campaign


def tamper(kind, **changes):
    decision = Decision.objects.filter(kind=kind).order_by("pk").first()
    Decision.objects.filter(pk=decision.pk).update(inputs=decision.inputs | changes)


def test_a_campaign_that_ended_well_follows():
    campaign = make_completed()

    assert differences(campaign) == []
    found = kinds(campaign)
    assert {"gate.passed", "wave.passed", "campaign.completed", "gate.standing"} <= set(found)


def test_a_halt_by_evidence_follows():
    campaign = make_halted()

    assert differences(campaign) == []
    assert "gate.halted" in kinds(campaign)


def test_a_halt_by_a_limit_follows():
    campaign = make_running(vehicles=2, max_failed=0)
    fail(in_turn(campaign)[0])
    tick(campaign)

    assert (campaign.state, differences(campaign), kinds(campaign)[0]) == ("halted", [], "limit.halted")


def test_a_withdrawn_package_follows():
    campaign = make_running(vehicles=1)
    campaign.release.items.first().package.__class__.objects.filter(version="2.0").update(state="withdrawn")
    tick(campaign)

    assert (campaign.state, differences(campaign)) == ("halted", [])


def test_an_undecided_wave_and_a_refilled_one_follow():
    campaign = make_running(vehicles=4, waves=(50, 100), wave_rule="ask")
    report(in_turn(campaign, "offered")[0], "finished", "refused", "consent_refused")
    tick(campaign, at(minutes=1))
    for assignment in in_turn(campaign, "offered"):
        succeed(assignment, at=at(minutes=2))
    tick(campaign, at(minutes=2) + SOAK)

    assert campaign.waves.get(number=1).state == "undecided"
    assert differences(campaign) == []
    assert {"wave.refilled", "wave.undecided"} <= set(kinds(campaign))


def test_after_a_person_resumed_it_the_test_begins_anew_in_the_replay_too():
    campaign = make_halted()
    operations.resume_campaign(campaign, by="bob", at=NOON + SOAK, reason="One sensor.")
    tick(campaign, NOON + SOAK)
    for state in ("offered", "withdrawing"):
        for assignment in in_turn(campaign, state):
            succeed(assignment, at=NOON + SOAK)
    tick(campaign, NOON + 2 * SOAK)

    assert Decision.objects.get(kind="campaign.resumed").inputs == {"began_anew": [""], "after_reading": 1}
    assert differences(campaign) == []
    assert GateReading.objects.count() == 2


def test_a_failure_that_is_healed_later_was_read_as_a_failure_and_stays_one():
    campaign = make_halted()
    healed = in_turn(campaign, "failed")[0]
    Assignment.objects.filter(pk=healed.pk).update(state="succeeded")

    assert differences(campaign) == []


def test_what_persons_decide_is_theirs():
    campaign = make_running(vehicles=4, waves=(50, 100), wave_rule="ask")
    for assignment in in_turn(campaign, "offered"):
        succeed(assignment)
    tick(campaign, NOON + SOAK)
    operations.decide_wave(campaign.waves.get(number=1), passed=True, reason="Seen.", by="bob", at=NOON + SOAK)

    assert (differences(campaign), kinds(campaign).count("wave.passed")) == ([], 0)


@pytest.mark.parametrize(
    ("make", "kind", "changes"),
    [
        (make_halted, "gate.halted", {"failures": 3}),
        (make_halted, "gate.halted", {"statistic": 1.0}),
        (make_halted, "gate.halted", {"limit": 1.0}),
        (make_halted, "gate.halted", {"planned_results": 10**6, "is_guard": True}),
        (make_halted, "gate.halted", {"outcomes_sha256": "f" * 64}),
        (make_halted, "gate.halted", {"reading": 7}),
        (make_halted, "gate.halted", {"reading": None}),
        (make_halted, "gate.halted", {"plan": {}}),
        (make_halted, "gate.halted", {"plan": None}),
        (make_halted, "gate.halted", {"before": {}}),
        (make_completed, "gate.passed", {"successes": 1}),
        (make_completed, "wave.passed", {"judged": 0, "campaign_failures": 99, "failure_budget": 1}),
        (make_completed, "wave.passed", {"basis": "guess"}),
        (make_completed, "wave.passed", {"wave_failures": None, "has_passed": False}),
        (make_completed, "campaign.completed", {"counts": {"soaking": 1}}),
    ],
)
def test_one_input_that_was_tampered_with_makes_a_difference(make, kind, changes):
    campaign = make()
    assert differences(campaign) == []

    tamper(kind, **changes)

    found = differences(campaign)
    assert kind in [name for name, _ in found]
    assert all(detail for _, detail in found)


def test_failures_that_do_not_break_the_limit_are_a_difference():
    campaign = make_running(vehicles=2, max_failed=0)
    fail(in_turn(campaign)[0])
    tick(campaign)

    tamper("limit.halted", failures={})

    assert differences(campaign) == [("limit.halted", "nothing follows, not limit.halted")]


def test_outcomes_that_were_tampered_with_are_a_difference():
    campaign = make_halted()
    GateReading.objects.update(runs=[[0, "S", 4]])

    found = differences(campaign)

    assert ("gate.reading", "reading 1 is not what was read") in found
    assert {kind for kind, _ in found} == {"gate.reading", "gate.halted", "gate.standing"}


def test_outcomes_that_cannot_be_read_are_a_difference():
    campaign = make_halted()
    GateReading.objects.update(runs=[["x"]])

    assert {"gate.reading", "gate.halted"} <= {kind for kind, _ in differences(campaign)}


def test_a_verdict_that_was_removed_is_missed():
    campaign = make_halted()
    Decision.objects.filter(kind="gate.halted").delete()

    (found,) = differences(campaign)

    assert found[0] == "gate.halted"
    assert found[1].endswith("and was not decided")


def test_a_reading_that_was_removed_is_missed():
    campaign = make_halted()
    GateReading.objects.all().delete()

    assert ("gate.halted", "what it has read is not kept") in differences(campaign)


def test_a_standing_that_does_not_follow_is_a_difference():
    campaign = make_completed()
    GateState.objects.filter(stratum="").update(failures=5)

    assert [kind for kind, _ in differences(campaign)] == ["gate.standing"]


def test_strata_are_replayed_each_by_its_own_test():
    campaign = make_completed()
    stored = campaign.gate_readings.order_by("number")

    assert GateState.objects.filter(campaign=campaign).count() == len(
        [kind for kind in kinds(campaign) if kind == "gate.standing"]
    )
    assert [reading.number for reading in stored] == [1, 2]


def test_a_replay_costs_three_queries(django_assert_num_queries):
    campaign = Campaign.objects.get(pk=make_completed().pk)

    with django_assert_num_queries(3):
        queries.replay(campaign)
