"""Which vehicles a wave takes in: bounded, by group, count and percent, and replaced once."""

from decimal import Decimal

import pytest
from django.db.models import F

from otaserver.campaigns import errors, operations, queries
from otaserver.campaigns.models import Assignment, Campaign, Decision, Wave
from otaserver.campaigns.operations import CampaignPlan, WavePlan, turns
from otaserver.fleet.models import Membership, Vehicle
from tests.campaigns.campaign_factories import (
    SOAK,
    at,
    in_turn,
    make_fleet,
    make_running,
    make_versions,
    report,
    states,
    succeed,
    tick,
)
from tests.factories import NOON, make_group, make_tenant

pytestmark = pytest.mark.django_db


def draft(waves, vehicles=10, engineers=2, **fields):
    """A campaign whose waves may name the group `engineering`, of the first so many of its vehicles."""
    tenant = make_tenant()
    old, new = make_versions(tenant), make_versions(tenant, "2.0")
    cars = make_fleet(tenant, vehicles, old)
    engineering = make_group(tenant, *cars[:engineers], name="engineering")
    sizes = [WavePlan(group=engineering) if size == "engineering" else size for size in waves]
    plan = CampaignPlan("spring", new, make_group(tenant, *cars), sizes, fallback_release=old, **fields)
    return operations.create_campaign(tenant, plan, by="alice", at=NOON), cars


def start(campaign):
    operations.submit_campaign(campaign, by="alice", at=NOON)
    operations.approve_campaign(campaign, by="bob", at=NOON)
    operations.start_campaign(campaign, by="alice", at=NOON)
    tick(campaign)


ALL = WavePlan(percent=Decimal(100))


def members(campaign, number):
    return set(campaign.assignments.filter(wave__number=number).values_list("vehicle", flat=True))


def finish_wave(campaign, number, now):
    for assignment in campaign.assignments.filter(wave__number=number, state="offered"):
        succeed(assignment, at=now)
    tick(campaign, now + SOAK)
    tick(campaign, now + SOAK)


def test_waves_by_group_count_and_percent_follow_each_other():
    waves = ["engineering", WavePlan(count=1), WavePlan(percent=Decimal(50)), ALL]
    campaign, cars = draft(waves)
    start(campaign)

    assert [wave.places for wave in campaign.waves.all()] == [2, 1, 3, 4]
    assert members(campaign, 1) == {car.pk for car in cars[:2]}
    for number in (1, 2, 3, 4):
        finish_wave(campaign, number, NOON + number * SOAK)

    assert (campaign.state, set(states(campaign))) == ("completed", {"succeeded"})
    assert [len(members(campaign, number)) for number in (1, 2, 3, 4)] == [2, 1, 3, 4]


def test_members_of_a_groups_wave_are_frozen_at_the_start_and_the_first_wave_takes_them():
    campaign, cars = draft([WavePlan(count=1), "engineering", ALL], engineers=3)
    start(campaign)
    Wave.objects.get(campaign=campaign, number=2).group.memberships.all().delete()

    finish_wave(campaign, 1, NOON)

    assert not members(campaign, 1) & {car.pk for car in cars[:3]}
    assert members(campaign, 2) == {car.pk for car in cars[:3]}


def test_a_groups_wave_is_never_refilled_from_outside_its_group():
    campaign, _ = draft(["engineering", ALL])
    start(campaign)
    unwilling, willing = campaign.assignments.filter(wave__number=1)

    report(unwilling, "finished", "refused", "consent_refused")
    succeed(willing)
    tick(campaign, NOON + SOAK)
    tick(campaign, NOON + SOAK)

    assert len(members(campaign, 1)) == 2
    assert campaign.waves.get(number=1).state == "passed"
    assert not Decision.objects.filter(kind="wave.refilled").exists()


@pytest.mark.parametrize(
    ("waves", "problem"),
    [
        ([WavePlan(), ALL], "exactly one of percent, count and group"),
        ([WavePlan(percent=Decimal(5), count=1), ALL], "exactly one of percent, count and group"),
        ([WavePlan(count=5)], "must reach 100 percent"),
        (["engineering", "engineering", ALL], "names the group engineering again"),
    ],
)
def test_waves_that_are_none_are_refused(waves, problem):
    with pytest.raises(errors.PlanRefusedError, match=problem):
        draft(waves)

    assert not Campaign.objects.exists()


def test_a_wave_of_another_tenants_group_is_refused():
    with pytest.raises(errors.PlanRefusedError, match="own tenant"):
        draft([WavePlan(group=make_group(make_tenant())), ALL])

    assert not Campaign.objects.exists()


@pytest.mark.parametrize(
    ("waves", "problem"),
    [
        ([WavePlan(count=9), ALL], "Wave 1 is to take 9 vehicles, and 8 are left of 8."),
        (
            ["engineering", WavePlan(count=4), WavePlan(percent=Decimal(25)), ALL],
            "Wave 3 ends at 25 %, 2 of 8 vehicles, and 4 had their turn before it.",
        ),
    ],
)
def test_waves_that_do_not_add_up_in_the_fleet_are_not_submitted(waves, problem):
    campaign, _ = draft(["engineering", *[wave for wave in waves if wave != "engineering"]])

    with pytest.raises(errors.PlanRefusedError) as refused:
        operations.submit_campaign(campaign, by="alice", at=NOON)

    assert refused.value.message.partition(" ")[2].partition(" ")[2] == problem.partition(" ")[2].partition(" ")[2]
    assert Campaign.objects.get().state == "draft"


def test_a_large_wave_takes_in_so_many_a_tick(monkeypatch):
    monkeypatch.setattr(turns, "TAKE_CHUNK", 3)
    campaign, _ = draft([WavePlan(percent=Decimal(80)), ALL], max_in_flight=1)
    start(campaign)

    sizes = []
    for minute in range(5):
        tick(campaign, at(minutes=minute))
        sizes.append(len(members(campaign, 1)))

    assert sizes == [6, 8, 8, 8, 8]
    assert Decision.objects.get(kind="wave.opened").sentence == "Wave 1 is open to 8 vehicles."
    assert campaign.waves.get(number=1).untaken == 0


def test_whatever_happens_the_count_of_replaced_vehicles_is_that_of_the_marks():
    campaign = make_running(vehicles=12, waves=(50, 100))
    for round_, (end, code) in enumerate([("refused", "no"), ("refused", "no"), ("failure", "install_failed")]):
        offered = in_turn(campaign, "offered")
        report(offered[0], "finished", end, code)
        report(offered[1], "downloading")
        tick(campaign, at(minutes=round_ + 1))
        for wave in campaign.waves.all():
            assert wave.replaced == wave.assignments.filter(is_replaced=True).count()

    assert campaign.waves.get(number=1).replaced == 2
    assert len(members(campaign, 1)) == 8


def test_one_that_comes_back_to_life_after_it_was_replaced_stands_for_the_next():
    campaign = make_running(vehicles=8, waves=(25, 100), offer_timeout_seconds=60)
    late, other = in_turn(campaign, "offered")
    report(other, "downloading")
    tick(campaign, at(minutes=2))
    assert (campaign.waves.get(number=1).replaced, len(members(campaign, 1))) == (1, 3)

    report(late, "installing", at=at(minutes=2, seconds=30))
    report(other, "finished", "refused", "consent_refused", at=at(minutes=2, seconds=30))
    tick(campaign, at(minutes=2, seconds=30))

    assert len(members(campaign, 1)) == 3
    assert campaign.waves.get(number=1).replaced == 1
    assert set(Assignment.objects.filter(is_replaced=True).values_list("vehicle", flat=True)) == {other.vehicle_id}


def test_a_tick_over_a_large_list_counts_nothing_of_it(django_assert_max_num_queries):
    campaign = make_running(vehicles=6, waves=(50, 100))
    Assignment.objects.filter(state="offered").update(due_at=F("due_at"))

    with django_assert_max_num_queries(35) as captured:
        operations.advance_campaign(campaign.pk, at=at(seconds=1))

    assert not [query["sql"] for query in captured if "GROUP BY" in query["sql"]]


@pytest.mark.parametrize("engineers", [0, 2])
def test_a_wave_for_a_group_of_which_nobody_takes_part_is_refused_before_review(engineers):
    campaign, _ = draft(["engineering", ALL], engineers=engineers)
    Vehicle.objects.filter(memberships__group__name="engineering").update(blocked_at=NOON)

    with pytest.raises(errors.PlanRefusedError, match=r"^Wave 1 is for group engineering, and none of it takes part"):
        operations.submit_campaign(campaign, by="alice", at=NOON)

    assert Campaign.objects.get().state == "draft"


def test_a_wave_whose_group_empties_after_approval_keeps_the_campaign_from_starting():
    campaign, _ = draft(["engineering", ALL])
    operations.submit_campaign(campaign, by="alice", at=NOON)
    operations.approve_campaign(campaign, by="bob", at=NOON)
    operations.schedule_campaign(campaign, starts_at=at(hours=1), by="alice", at=NOON)
    Membership.objects.filter(group__name="engineering").delete()

    with pytest.raises(errors.PlanRefusedError, match=r"^Wave 1 is for group engineering, and none of it takes part"):
        operations.start_campaign(Campaign.objects.get(), by="alice", at=NOON)
    tick(campaign, at(hours=1))

    assert campaign.state == "approved"
    assert campaign.reason.startswith("Wave 1 is for group engineering, and none of it takes part")
    assert not Assignment.objects.exists()


def test_a_wave_whose_group_has_gone_by_the_time_it_opens_asks_a_person():
    campaign, _ = draft([WavePlan(percent=Decimal(50)), "engineering", ALL])
    start(campaign)
    reserved = campaign.assignments.filter(vehicle__memberships__group__name="engineering")
    reserved.update(state="superseded")

    finish_wave(campaign, 1, NOON)

    assert [wave.state for wave in campaign.waves.all()] == ["passed", "undecided", "waiting"]
    asked = Decision.objects.get(kind="wave.undecided")
    assert asked.sentence == "None of group engineering is left for this wave, and others would follow untried."
    assert queries.replay(campaign).differences == []
    operations.decide_wave(asked.wave, passed=True, reason="They have it.", by="bob", at=at(hours=9))
    tick(campaign, at(hours=9))
    assert states(campaign).count("offered") == 4


def test_waves_that_vehicles_held_out_leave_nobody_for_are_refused():
    campaign, _ = draft([WavePlan(count=8), ALL], control_percent=Decimal(50))

    with pytest.raises(errors.PlanRefusedError, match="Wave 1 is to take 8 vehicles, and 5 are left of 5"):
        operations.submit_campaign(campaign, by="alice", at=NOON)
    fine, _ = draft([WavePlan(count=4), ALL], control_percent=Decimal(50))
    start(fine)

    assert list(fine.waves.values_list("places", flat=True)) == [4, 1]
    assert operations.count_fitting(draft([ALL], control_percent=Decimal(50))[0], at=NOON) == 5
