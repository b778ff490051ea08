"""Every decision of the engine follows again from its records, and from no others."""

import pytest

from otaserver.campaigns import operations, queries
from otaserver.campaigns.models import Assignment, Campaign, Decision, GateState
from otaserver.campaigns.records import GateReading
from tests.campaigns.campaign_factories import SOAK, at, fail, in_turn, make_running, report, succeed, tick
from tests.campaigns.health_factories import say, start_with_signals
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

    assert (campaign.state, differences(campaign), kinds(campaign)) == (
        "halted",
        [],
        ["wave.opened", "limit.halted", "gate.standing"],
    )


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


def make_bad_health(**plan):
    """One that five vehicles in a row halt by a signal, though every installation succeeded."""
    campaign = start_with_signals(9, limits={"boots": 3, "crashes": 0}, **plan)
    tick(campaign)
    for assignment in in_turn(campaign, "offered"):
        succeed(assignment)
        say(assignment, boots=1, crashes=2)
    tick(campaign, NOON + SOAK)
    assert campaign.state == "halted"
    return campaign


def make_worse_than_control():
    """One that the comparison with vehicles held out halts, and nothing else."""
    campaign = start_with_signals(24, limits={"boots": 3}, control=50, alpha=0.2)
    campaign.release.signals.update(acceptable_rate=0.9, unacceptable_rate=0.99)
    tick(campaign)
    for assignment in in_turn(campaign, "offered"):
        succeed(assignment)
        say(assignment, boots=9)
    for assignment in in_turn(campaign, "excluded"):
        say(assignment, boots=1, at=at(hours=1))
    tick(campaign, NOON + SOAK)
    assert campaign.state == "halted"
    return campaign


def make_good_health():
    """One whose signals pass in the first of two waves, and that ends well; some vehicles say nothing of one."""
    campaign = start_with_signals(12, limits={"boots": 3, "crashes": 0}, waves=(50, 100), **QUICK)
    campaign.release.signals.update(acceptable_rate=0.1, unacceptable_rate=0.9)
    for number in range(2):
        tick(campaign, NOON + number * SOAK)
        for place, assignment in enumerate(in_turn(campaign, "offered")):
            succeed(assignment, at=NOON + number * SOAK)
            said = {"boots": 1, "crashes": 0} if place % 3 else {"boots": 1}
            say(assignment, at=NOON + number * SOAK, **said)
        tick(campaign, NOON + (number + 1) * SOAK)
    assert campaign.state == "completed"
    return campaign


def decided_of(signal):
    return list(Decision.objects.filter(inputs__signal=signal).order_by("pk").values_list("kind", flat=True))


def test_a_halt_by_a_signal_follows():
    campaign = make_bad_health()

    assert (differences(campaign), decided_of("crashes")) == ([], ["gate.halted"])


def test_a_halt_by_the_vehicles_held_out_follows():
    campaign = make_worse_than_control()

    assert (differences(campaign), decided_of("boots")) == ([], ["control.halted"])


def test_signals_that_pass_follow_and_so_do_vehicles_that_said_nothing():
    campaign = make_good_health()

    assert differences(campaign) == []
    assert (decided_of("boots"), decided_of("crashes")) == (["gate.passed"], ["gate.passed"])
    assert campaign.signal_states.get(signal__name="crashes").missing == 4


@pytest.mark.parametrize(
    ("make", "signals", "compared"), [(make_bad_health, ["crashes"], []), (make_worse_than_control, [], ["boots"])]
)
def test_after_a_person_resumed_it_signals_begin_anew_in_the_replay_too(make, signals, compared):
    campaign = make()
    operations.resume_campaign(campaign, by="bob", at=NOON + SOAK, reason="The counter was wrong.")
    tick(campaign, NOON + SOAK)

    resumed = Decision.objects.get(kind="campaign.resumed").inputs
    assert (resumed["signals_began_anew"], resumed["comparisons_began_anew"]) == (signals, compared)
    assert differences(campaign) == []


def test_a_halt_by_evidence_and_one_by_a_signal_with_the_same_vehicle_are_both_on_record():
    campaign = start_with_signals(9, limits={"crashes": 0}, wave_failures=9)
    # Five failures halt the outcomes beside one signal, and the signal too.
    tick(campaign)
    for assignment in in_turn(campaign, "offered"):
        succeed(assignment)
        say(assignment, crashes=1)
    campaign.assignments.filter(state="soaking").update(state="failed")
    tick(campaign, NOON + SOAK)

    halts = Decision.objects.filter(kind="gate.halted").order_by("pk")
    assert sorted(halt.inputs.get("signal", "") for halt in halts) == ["", "crashes"]
    assert differences(campaign) == []


@pytest.mark.parametrize(
    ("make", "kind", "changes"),
    [
        (make_bad_health, "gate.halted", {"signal": "boots"}),
        (make_bad_health, "gate.halted", {"signal": "brakes"}),
        (make_bad_health, "gate.halted", {"failures": 4}),
        (make_bad_health, "gate.halted", {"missing": 1}),
        (make_bad_health, "gate.halted", {"alpha_share": 1e-9}),
        (make_bad_health, "gate.halted", {"outcomes_sha256": "f" * 64}),
        (make_good_health, "gate.passed", {"planned_results": None}),
        (make_worse_than_control, "control.halted", {"statistic": 1.0}),
        (make_worse_than_control, "control.halted", {"treated_bad": 1}),
        (make_worse_than_control, "control.halted", {"comparison_test": {}}),
        (make_worse_than_control, "control.halted", {"reading": 9}),
    ],
)
@pytest.mark.any_database
def test_one_input_of_a_signal_that_was_tampered_with_makes_a_difference(make, kind, changes):
    campaign = make()

    tamper(kind, **changes)

    found = differences(campaign)
    assert kind in [name for name, _ in found]
    assert all(detail for _, detail in found)


@pytest.mark.parametrize(
    ("make", "changes"),
    [
        (make_bad_health, {"health": [["GG", 5]]}),
        (make_bad_health, {"health": [["GB", 4]]}),
        (make_bad_health, {"signals": ["boots"]}),
        (make_worse_than_control, {"controls": {}}),
        (make_worse_than_control, {"controls": {"boots": "B" * 30}}),
    ],
)
@pytest.mark.any_database
def test_health_that_was_tampered_with_is_a_difference(make, changes):
    campaign = make()

    GateReading.objects.update(**changes)

    assert "gate.reading" in {kind for kind, _ in differences(campaign)}
    assert {"gate.halted", "control.halted"} & {kind for kind, _ in differences(campaign)}


@pytest.mark.parametrize("make", [make_bad_health, make_worse_than_control])
def test_a_verdict_of_a_signal_that_was_removed_is_missed(make):
    campaign = make()
    Decision.objects.filter(kind__in=["gate.halted", "control.halted"]).delete()

    assert [(kind, "was not decided" in detail) for kind, detail in differences(campaign)] == [
        ("gate.halted" if make is make_bad_health else "control.halted", True)
    ]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"vehicles": 6}, "vehicles is 6, and 3 follows"),
        ({"left": 1}, "vehicles is 3, and 1 follows"),
        ({"is_last": None, "places": 0}, "vehicles is 3, and 0 follows"),
        ({"left": None}, "the inputs cannot be read: TypeError"),
    ],
)
def test_a_wave_that_took_in_other_vehicles_than_it_may_is_a_difference(changes, says):
    campaign = make_completed()

    tamper("wave.opened", **changes)

    ((kind, detail),) = differences(campaign)
    assert kind == "wave.opened"
    assert detail.startswith(says)


def test_a_wave_that_opened_before_the_one_before_it_passed_is_a_difference():
    campaign = make_completed()
    Decision.objects.filter(kind="wave.passed", wave__number=1).delete()

    assert differences(campaign) == [("wave.opened", "wave 1 has not passed")]


def test_a_replay_costs_four_queries(django_assert_num_queries):
    campaign = Campaign.objects.get(pk=make_good_health().pk)

    with django_assert_num_queries(4):
        queries.replay(campaign)
