import pytest

from otaserver.campaigns import errors, operations, queries
from otaserver.campaigns.models import Campaign, Decision
from otaserver.campaigns.queries.gates import gate_tests
from otaserver.fleet import operations as fleet
from otaserver.fleet.models import Vehicle
from tests.campaigns.campaign_factories import (
    SOAK,
    at,
    fail,
    in_turn,
    install,
    make_campaign,
    make_fleet,
    make_running,
    make_versions,
    states,
    succeed,
    tick,
)
from tests.campaigns.health_factories import start_with_signals
from tests.factories import NOON, make_group, make_tenant

pytestmark = pytest.mark.django_db


class Fleet:
    """A group of two that fit, one that is blocked and one that runs the release already."""

    def __init__(self, **plan):
        self.tenant = make_tenant()
        self.old, self.new = make_versions(self.tenant), make_versions(self.tenant, "2.0")
        self.fits = make_fleet(self.tenant, 2, self.old)
        (self.blocked,) = make_fleet(self.tenant, 1, self.old)
        Vehicle.objects.filter(pk=self.blocked.pk).update(blocked_at=NOON)
        (self.done,) = make_fleet(self.tenant, 1, self.new)
        self.group = make_group(self.tenant, *self.fits, self.blocked, self.done)
        self.campaign = make_running(
            tenant=self.tenant, old=self.old, release=self.new, group=self.group, **{"is_dynamic": True} | plan
        )

    def state_of(self, vehicle):
        return self.campaign.assignments.filter(vehicle=vehicle).values_list("state", "verdict").first()


def test_vehicles_that_come_to_match_are_taken_into_the_last_wave():
    cars = Fleet()
    (new,) = make_fleet(cars.tenant, 1, cars.old)
    fleet.add_to_group(cars.group, [new], by="test", at=NOON)
    fleet.unblock_vehicle(Vehicle.objects.get(pk=cars.blocked.pk), reason="Fine again.", by="test", at=NOON)
    install(cars.done, cars.old)

    tick(cars.campaign, at(minutes=2))

    assert {cars.state_of(v) for v in (new, cars.blocked, cars.done)} == {("offered", "fits")}
    joined = Decision.objects.get(kind="campaign.joined")
    assert (joined.sentence, joined.inputs) == ("3 vehicles came to match after the start.", {"vehicles": 3})
    assert cars.campaign.gate_states.get(stratum="").planned_results == 5
    tick(cars.campaign, at(minutes=4))
    assert Decision.objects.filter(kind="campaign.joined").count() == 1


def test_those_that_still_do_not_match_or_had_their_turn_stay_as_they_are():
    cars = Fleet()
    for assignment in in_turn(cars.campaign, "offered"):
        succeed(assignment)
    tick(cars.campaign, NOON + SOAK)
    for vehicle in cars.fits:
        install(vehicle, cars.old)

    tick(cars.campaign, NOON + 2 * SOAK)

    assert {cars.state_of(vehicle) for vehicle in cars.fits} == {("succeeded", "fits")}
    assert cars.state_of(cars.blocked) == ("excluded", "blocked")
    assert cars.state_of(cars.done) == ("excluded", "already_there")
    assert not Decision.objects.filter(kind="campaign.joined").exists()


def shares(campaign):
    states = list(campaign.gate_states.order_by("late_place", "stratum"))
    tests = gate_tests(campaign, states)
    return [(state.late_place, state.planned_results, tests[state.stratum].halt_limit) for state in states]


def test_hardware_that_joins_later_is_tested_apart_and_no_other_test_gets_another_limit():
    cars = Fleet(max_in_flight=None, alpha=0.2, beta=0.2, acceptable_rate=0.05, unacceptable_rate=0.9)
    before = shares(cars.campaign)
    late = make_fleet(cars.tenant, 3, cars.old, hardware=("gateway",))
    (more,) = make_fleet(cars.tenant, 1, cars.old)
    fleet.add_to_group(cars.group, [*late, more], by="test", at=NOON)

    tick(cars.campaign, at(minutes=2))
    after = shares(cars.campaign)

    assert [(place, planned) for place, planned, _ in before] == [(0, 2), (0, 2)]
    assert [(place, planned) for place, planned, _ in after] == [(0, 6), (0, 3), (1, 3)]
    assert [limit for _, _, limit in after[:2]] == [limit for _, _, limit in before]
    stratum = cars.campaign.gate_states.get(late_place=1).stratum
    own = cars.campaign.assignments.filter(stratum=stratum)
    assert sorted(own.values_list("vehicle", flat=True)) == sorted(vehicle.pk for vehicle in late)


def test_a_fault_in_hardware_that_joined_later_halts_by_its_own_test_and_follows_again_from_the_records():
    cars = Fleet(alpha=0.2, beta=0.2, acceptable_rate=0.05, unacceptable_rate=0.5)
    for assignment in in_turn(cars.campaign, "offered"):
        succeed(assignment)
    late = make_fleet(cars.tenant, 2, cars.old, hardware=("gateway",))
    fleet.add_to_group(cars.group, late, by="test", at=NOON)
    tick(cars.campaign, at(minutes=2))
    for assignment in cars.campaign.assignments.filter(vehicle__in=late).select_related("campaign"):
        fail(assignment, at=at(minutes=3))

    tick(cars.campaign, at(hours=9))

    halted = Decision.objects.get(kind="gate.halted")
    assert (cars.campaign.state, halted.inputs["late_place"]) == ("halted", 1)
    assert halted.inputs["stratum"] == cars.campaign.gate_states.get(late_place=1).stratum
    assert queries.replay(cars.campaign).differences == []


def test_a_campaign_that_is_not_dynamic_takes_in_nobody():
    cars = Fleet(is_dynamic=False)
    fleet.add_to_group(cars.group, make_fleet(cars.tenant, 1, cars.old), by="test", at=NOON)

    tick(cars.campaign, at(minutes=2))

    assert cars.campaign.assignments.count() == 4


def test_those_who_join_wait_for_the_last_wave():
    cars = Fleet(waves=(50, 100))
    (new,) = make_fleet(cars.tenant, 1, cars.old)
    fleet.add_to_group(cars.group, [new], by="test", at=NOON)

    tick(cars.campaign, at(minutes=2))
    assert cars.campaign.assignments.get(vehicle=new).wave is None
    for assignment in in_turn(cars.campaign, "offered"):
        succeed(assignment)
    tick(cars.campaign, NOON + SOAK)

    assert cars.campaign.assignments.get(vehicle=new).wave.number == 2


def test_a_dynamic_campaign_ends_once_a_person_has_closed_it():
    cars = Fleet()
    for assignment in in_turn(cars.campaign, "offered"):
        succeed(assignment)
    tick(cars.campaign, NOON + SOAK)
    tick(cars.campaign, NOON + 2 * SOAK)
    assert cars.campaign.state == "running"
    assert queries.explain(cars.campaign.assignments.get(vehicle=cars.blocked)) == (
        "The vehicle takes no part: the vehicle is blocked. The campaign is open to it: it is taken in once it fits."
    )

    operations.close_campaign(cars.campaign, by="alice", at=NOON + 2 * SOAK, reason="The model is out of production.")
    fleet.add_to_group(cars.group, make_fleet(cars.tenant, 1, cars.old), by="test", at=NOON)
    tick(cars.campaign, NOON + 3 * SOAK)

    assert (cars.campaign.state, cars.campaign.assignments.count()) == ("completed", 4)


def test_only_an_open_dynamic_campaign_is_closed_and_with_a_reason():
    campaign = make_running(vehicles=1)
    with pytest.raises(errors.CampaignNotDynamicError):
        operations.close_campaign(campaign, by="alice", at=NOON, reason="Done.")
    dynamic = Fleet().campaign
    with pytest.raises(errors.ReasonMissingError):
        operations.close_campaign(dynamic, by="alice", at=NOON, reason="")
    operations.close_campaign(dynamic, by="alice", at=NOON, reason="Done.")
    with pytest.raises(errors.CampaignNotDynamicError):
        operations.close_campaign(dynamic, by="alice", at=NOON, reason="Again.")

    assert Decision.objects.filter(kind="campaign.closed").count() == 1
    assert Campaign.objects.get(pk=campaign.pk).closed_at is None
    assert make_campaign(vehicles=1).is_dynamic is False


def test_so_many_join_at_a_tick(monkeypatch):
    monkeypatch.setattr("otaserver.campaigns.operations.joining.ADMIT_CHUNK", 2)
    cars = Fleet()
    fleet.add_to_group(cars.group, make_fleet(cars.tenant, 5, cars.old), by="test", at=NOON)

    sizes = []
    for minute in (2, 4, 6, 8):
        tick(cars.campaign, at(minutes=minute))
        sizes.append(cars.campaign.assignments.count())

    assert sizes == [6, 8, 9, 9]
    assert states(cars.campaign).count("offered") == 7


def test_the_tests_of_signals_are_planned_for_those_who_join_and_who_of_them_is_held_out_is_asked():
    campaign = start_with_signals(4, limits={"boots": 3}, control=50, is_dynamic=True)
    tick(campaign)
    late = make_fleet(campaign.tenant, 12, campaign.fallback_release)
    fleet.add_to_group(campaign.group, late, by="test", at=NOON)

    tick(campaign, at(minutes=2))

    own = campaign.assignments.filter(vehicle__in=late)
    joined, held_out = own.filter(verdict="fits"), own.filter(verdict="control")
    # By hash, so that some are of each.
    assert joined.count() and held_out.count()
    assert campaign.signal_states.get().planned_results == 2 + joined.count()
    assert set(held_out.values_list("vehicle__is_health_wanted", flat=True)) == {True}
    assert set(joined.values_list("vehicle__is_health_wanted", flat=True)) == {False}
