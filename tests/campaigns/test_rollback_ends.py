"""A roll-back ends when the vehicles are back, not when they were tried."""

import pytest

from otaserver.campaigns import operations, queries
from otaserver.campaigns.models import Campaign, Decision
from otaserver.fleet import operations as fleet
from otaserver.fleet.models import Vehicle
from tests.campaigns.campaign_factories import (
    SOAK,
    at,
    fail,
    in_turn,
    make_fleet,
    make_running,
    make_versions,
    prove,
    report,
    states,
    succeed,
    tick,
)
from tests.campaigns.test_rollbacks import start_rollback
from tests.factories import NOON, make_group, make_tenant

pytestmark = pytest.mark.django_db


def stopped(vehicles):
    """A campaign whose vehicles all run the bad release, stopped at noon."""
    campaign = make_running(vehicles=vehicles)
    for assignment in in_turn(campaign):
        succeed(assignment)
    operations.stop_campaign(campaign, by="eve", at=NOON, reason="Bad.")
    return campaign


def with_a_silent_vehicle():
    """A roll-back at five o'clock of two vehicles: one runs the bad release, one fell silent while installing it."""
    campaign = make_running(vehicles=2)
    good, silent = in_turn(campaign)
    succeed(good)
    report(silent, "installing")
    operations.stop_campaign(campaign, by="eve", at=NOON, reason="Bad.")
    operations.lapse_due(at(hours=5))
    silent.refresh_from_db()
    assert (silent.state, silent.code) == ("failed", "silent")
    rollback = start_rollback(campaign, at(hours=5))
    succeed(rollback.assignments.get(vehicle=good.vehicle), at=at(hours=5))
    return campaign, rollback, silent


def sentences(campaign, kind):
    return [decision.sentence for decision in campaign.decisions.filter(kind=kind).order_by("pk")]


def test_it_stays_open_for_a_vehicle_that_fell_silent_and_takes_it_in_when_it_returns():
    campaign, rollback, silent = with_a_silent_vehicle()
    for _ in range(2):
        tick(rollback, at(days=1))
    assert (rollback.state, states(rollback)) == ("running", ["succeeded"])
    assert sentences(rollback, "campaign.kept_open") == [
        "The roll-back stays open: 1 vehicle silent since installing it, awaited until 2026-08-30."
    ]

    prove(silent, campaign.release, at=at(days=2))
    tick(rollback, at(days=2))
    joined = rollback.assignments.get(vehicle=silent.vehicle)
    assert joined.state == "offered"
    succeed(joined, at=at(days=2))
    tick(rollback, at(days=2) + SOAK)

    assert (rollback.state, states(rollback)) == ("completed", ["succeeded"] * 2)


def test_a_silent_vehicle_that_proves_other_software_lets_it_end():
    campaign, rollback, silent = with_a_silent_vehicle()

    prove(silent, campaign.fallback_release, at=at(days=1))
    tick(rollback, at(days=1))

    assert (rollback.state, states(rollback)) == ("completed", ["succeeded"])


def test_it_waits_for_silent_vehicles_no_longer_than_its_time_and_says_so():
    _, rollback, _ = with_a_silent_vehicle()

    tick(rollback, at(days=90, hours=4))
    assert rollback.state == "running"
    tick(rollback, at(days=90, hours=5))

    assert rollback.state == "completed"
    completed = rollback.decisions.get(kind="campaign.completed")
    assert completed.sentence == (
        "All vehicles are settled; 1 succeeded. What 1 vehicle run that fell silent while installing is unknown."
    )
    assert completed.inputs["unknown"] == 1


def test_proof_after_the_end_is_recorded_on_both_campaigns_once():
    campaign, rollback, silent = with_a_silent_vehicle()
    tick(rollback, at(days=1))
    tick(rollback, at(days=91))

    for day in (92, 93):
        prove(silent, campaign.release, at=at(days=day))

    expected = f"{silent.vehicle} proves to run what back has taken back; it needs another roll-back."
    assert sentences(campaign, "campaign.missed_vehicle") == [expected]
    assert sentences(rollback, "campaign.missed_vehicle") == [expected]


def test_what_a_later_order_brought_out_again_was_not_missed():
    campaign = stopped(vehicles=1)
    rollback = start_rollback(campaign, NOON)
    succeed(in_turn(rollback)[0])
    tick(rollback, NOON + SOAK)
    assert rollback.state == "completed"
    again = make_running(
        tenant=campaign.tenant,
        old=campaign.fallback_release,
        release=campaign.release,
        group=campaign.group,
        name="again",
    )
    tick(again, at(days=1))

    succeed(in_turn(again)[0], at=at(days=1))

    assert states(again) == ["soaking"]
    assert not Decision.objects.filter(kind="campaign.missed_vehicle").exists()


def test_a_vehicle_that_lapses_waits_again_until_it_is_back():
    campaign = stopped(vehicles=2)
    rollback = start_rollback(campaign, NOON)
    away, _ = in_turn(rollback)
    succeed(in_turn(rollback)[1])

    tick(rollback, at(days=14))
    away.refresh_from_db()
    assert (rollback.state, away.state, away.next_attempt_at) == ("running", "waiting", at(days=14, hours=1))
    tick(rollback, at(days=14, hours=1))
    tick(rollback, at(days=28, hours=1))
    away.refresh_from_db()
    assert (away.state, away.next_attempt_at) == ("waiting", at(days=28, hours=3))
    tick(rollback, at(days=28, hours=3))
    away.refresh_from_db()
    succeed(away, at=at(days=28, hours=4))
    tick(rollback, at(days=28, hours=4) + SOAK)

    assert (rollback.state, states(rollback)) == ("completed", ["succeeded"] * 2)


def test_one_that_refuses_is_asked_again_later():
    rollback = start_rollback(stopped(vehicles=1), NOON)
    (assignment,) = in_turn(rollback)
    report(assignment, "finished", "refused", "consent_refused")

    tick(rollback, at(minutes=1))
    assignment.refresh_from_db()

    assert (assignment.state, assignment.next_attempt_at) == ("waiting", at(hours=1, minutes=1))


def test_one_that_failed_to_return_keeps_it_open_and_is_not_tried_again():
    rollback = start_rollback(stopped(vehicles=1), NOON)
    fail(in_turn(rollback)[0], "install_failed")

    tick(rollback, NOON + SOAK)
    wave = rollback.waves.get()
    operations.decide_wave(wave, passed=True, reason="The workshop has it.", by="eve", at=NOON + SOAK)
    tick(rollback, at(days=100))

    assert (rollback.state, states(rollback)) == ("running", ["failed"])
    assert sentences(rollback, "campaign.kept_open") == [
        "The roll-back stays open: 1 vehicle still confirmed to run what is taken back, 0 blocked."
    ]


def test_a_vehicle_blocked_from_the_start_comes_in_when_it_no_longer_is():
    campaign = stopped(vehicles=2)
    blocked = in_turn(campaign)[1].vehicle
    fleet.block_vehicle(blocked, reason="Stolen.", by="eve", at=NOON)
    rollback = start_rollback(campaign, NOON)
    succeed(in_turn(rollback, "offered")[0])

    tick(rollback, NOON + SOAK)
    assert rollback.state == "running"
    assert sentences(rollback, "campaign.kept_open") == [
        "The roll-back stays open: 1 vehicle still confirmed to run what is taken back, 1 blocked."
    ]
    assert queries.explain(rollback.assignments.select_related("campaign").get(vehicle=blocked)) == (
        "The vehicle takes no part: the vehicle is blocked. "
        "As long as it runs what is taken back, it is taken in once it can be."
    )
    fleet.unblock_vehicle(blocked, reason="Found.", by="eve", at=at(days=1))
    tick(rollback, at(days=1))

    assert rollback.assignments.get(vehicle=blocked).state == "offered"


def test_a_vehicle_blocked_when_its_turn_comes_comes_in_when_it_no_longer_is():
    rollback = start_rollback(stopped(vehicles=1), NOON)
    (assignment,) = in_turn(rollback)
    report(assignment, "finished", "failure", "download_failed")
    fleet.block_vehicle(assignment.vehicle, reason="Stolen.", by="eve", at=NOON)

    tick(rollback, at(hours=1))
    tick(rollback, at(days=1))
    assignment.refresh_from_db()
    assert (rollback.state, assignment.state, assignment.code) == ("running", "superseded", "blocked")
    assert queries.explain(rollback.assignments.select_related("campaign").get()) == (
        "The vehicle could take no part when its turn came (blocked: The vehicle is blocked). It counts neither way. "
        "As long as it runs what is taken back, it is taken in once it can be."
    )
    fleet.unblock_vehicle(assignment.vehicle, reason="Found.", by="eve", at=at(days=1))
    tick(rollback, at(days=1, minutes=1))

    assert states(rollback) == ["offered"]


@pytest.fixture
def overtaken():
    """Two vehicles run the bad release and have an order of a third one; one of them installs it already."""
    tenant = make_tenant()
    old = make_versions(tenant)
    group = make_group(tenant, *make_fleet(tenant, 2, old))
    first = make_running(tenant=tenant, old=old, group=group)
    for assignment in in_turn(first):
        succeed(assignment)
    tick(first, NOON + SOAK)
    third = make_running(
        tenant=tenant, old=first.release, release=make_versions(tenant, "3.0"), group=group, name="third"
    )
    tick(third, NOON + SOAK)
    report(in_turn(third)[1], "installing", at=NOON + SOAK)
    return first, third


@pytest.mark.parametrize("is_paused", [True, False])
def test_rollouts_that_have_not_begun_to_install_give_way(overtaken, is_paused):
    first, third = overtaken
    if is_paused:
        operations.pause_campaign(third, by="eve", at=NOON + SOAK)

    rollback = start_rollback(first, NOON + SOAK)

    stays, installs = in_turn(third)
    assert (stays.state, stays.code, installs.state) == ("withdrawing", "rolled_back", "installing")
    assert sentences(rollback, "campaign.overrode") == [
        "Orders of third were withdrawn from 1 vehicle to be brought back first."
    ]
    operations.confirm_withdrawal(stays.vehicle, at=at(hours=9))
    # Whoever ticks first: the vehicle is the roll-back's.
    tick(third, at(hours=9))
    tick(rollback, at(hours=9))
    tick(third, at(hours=9))
    assert rollback.assignments.get(vehicle=stays.vehicle).state == "offered"
    assert rollback.assignments.get(vehicle=installs.vehicle).state == "waiting"
    stays.refresh_from_db()
    assert stays.state == ("withdrawn" if is_paused else "waiting")


def test_a_rollout_that_waits_for_a_roll_back_says_so(overtaken):
    first, third = overtaken
    rollback = start_rollback(first, NOON + SOAK)
    operations.confirm_withdrawal(in_turn(third)[0].vehicle, at=at(hours=9))
    tick(third, at(hours=9))

    waiting = third.assignments.select_related("campaign").get(state="waiting")

    assert rollback.state == "running"
    assert queries.explain(waiting) == "The vehicle waits until it is done with back: one order at a time."


def test_roll_backs_do_not_take_vehicles_from_each_other():
    campaign = stopped(vehicles=1)
    first = start_rollback(campaign, NOON)
    second = operations.create_rollback(
        campaign, release=make_versions(campaign.tenant, "0.9"), name="further", by="eve", at=NOON
    )
    operations.submit_campaign(second, by="eve", at=NOON)
    operations.approve_campaign(second, by="bob", at=NOON)
    operations.start_campaign(second, by="eve", at=NOON)

    for _ in range(2):
        tick(second)
        tick(first)

    assert (states(first), states(second)) == (["offered"], ["waiting"])


def test_with_everything_known_it_completes_at_the_end_of_the_soak():
    rollback = start_rollback(stopped(vehicles=3), NOON)
    for assignment in in_turn(rollback):
        succeed(assignment)

    tick(rollback, NOON + SOAK)

    assert (rollback.state, states(rollback)) == ("completed", ["succeeded"] * 3)
    assert not Campaign.objects.get(pk=rollback.pk).decisions.filter(kind="campaign.kept_open").exists()
    assert not Vehicle.objects.filter(is_manifest_wanted=True).exists()
