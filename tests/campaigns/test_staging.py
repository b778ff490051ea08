"""Freezing the list: set-based, the same on both databases, and the same as the rules say."""

from collections import Counter
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from otaserver.campaigns import errors, operations, queries
from otaserver.campaigns.models import Assignment, Campaign, Decision
from otaserver.campaigns.rules import ranking
from otaserver.fleet import operations as fleet
from otaserver.fleet.models import Vehicle
from tests.campaigns.campaign_factories import in_turn, make_approved, make_fleet, make_started, make_versions
from tests.factories import NOON, make_group, make_tenant, make_vehicle

pytestmark = pytest.mark.django_db


class Fleet:
    """Vehicles of two strata on the old release, and a campaign over all of them."""

    def __init__(self, sizes=(30, 12)):
        self.tenant = make_tenant()
        self.old, self.new = make_versions(self.tenant), make_versions(self.tenant, "2.0")
        self.vehicles = make_fleet(self.tenant, sizes[0], self.old) + make_fleet(
            self.tenant, sizes[1], self.old, hardware=("gateway",)
        )
        self.group = make_group(self.tenant, *self.vehicles)

    def start(self, **plan):
        return make_started(tenant=self.tenant, old=self.old, release=self.new, group=self.group, **plan)


def expected_ranks(campaign, members, band=ranking.BULK_BAND):
    """What the rules say of vehicles by stratum, computed one by one."""
    ranks = {}
    for alike in members.values():
        hashes = {vehicle.pk: ranking.vehicle_hash(campaign.name, vehicle.vehicle_id) for vehicle in alike}
        held = ranking.held_out(len(alike), campaign.control_percent)
        taking_part = sorted(hashes, key=lambda pk: (hashes[pk], pk))[held:]
        for place, pk in enumerate(taking_part, start=1):
            ranks[pk] = ranking.rank(band, place, len(taking_part), hashes[pk])
    return ranks


@pytest.mark.parametrize("control", ["0", "12.5"])
def test_the_database_ranks_as_the_rules_do(control):
    cars = Fleet()

    campaign = cars.start(control_percent=Decimal(control))

    found = dict(campaign.assignments.filter(verdict="fits").values_list("vehicle", "rank"))
    assert found == expected_ranks(campaign, {"both": cars.vehicles[:30], "one": cars.vehicles[30:]})


def test_every_stretch_of_the_list_mirrors_the_strata():
    campaign = Fleet(sizes=(30, 10)).start(waves=(10, 50, 100))

    strata = [assignment.stratum for assignment in in_turn(campaign)]

    for taken in (4, 20, 40):
        assert Counter(strata[:taken]) == {"brake+gateway": taken * 3 // 4, "gateway": taken // 4}


def test_the_first_of_each_stratum_by_hash_are_held_out():
    cars = Fleet(sizes=(30, 10))

    campaign = cars.start(control_percent=Decimal(10))

    held = campaign.assignments.filter(verdict="control")
    assert set(held.values_list("state", flat=True)) == {"excluded"}
    for alike, count in ((cars.vehicles[:30], 3), (cars.vehicles[30:], 1)):
        by_hash = sorted(alike, key=lambda vehicle: ranking.vehicle_hash(campaign.name, vehicle.vehicle_id))
        assert set(held.filter(vehicle__in=alike).values_list("vehicle", flat=True)) == {v.pk for v in by_hash[:count]}
    assert queries.explain(held[0]) == (
        "The vehicle takes no part: the vehicle is held out to compare with, one of 10 %."
    )
    assert campaign.waves.get().places == 36


def test_each_reason_to_take_no_part_is_a_verdict_and_the_start_counts_them():
    cars = Fleet(sizes=(3, 0))
    stale, pressed = cars.vehicles[1:]
    mender, rauc = make_fleet(cars.tenant, 2, cars.old)
    Vehicle.objects.filter(pk=rauc.pk).update(protocol="ddi", client="rauc-hawkbit-c-agent/1.0")
    Vehicle.objects.filter(pk=stale.pk).update(confirmed_at=NOON - timedelta(seconds=61))
    Vehicle.objects.filter(pk=mender.pk).update(protocol="mender")
    fleet.add_to_group(cars.group, [mender, rauc], by="test", at=NOON)
    press = make_group(cars.tenant, pressed, name="press")
    fleet.make_block_list(press, reason="Test drives.", by="pr", at=NOON)

    campaign = cars.start(max_inventory_age_seconds=60)

    found = {a.vehicle_id: (a.verdict, a.verdict_detail) for a in campaign.assignments.all()}
    assert found == {
        cars.vehicles[0].pk: ("fits", ""),
        stale.pk: ("stale_inventory", "The vehicle has not confirmed what it runs for too long."),
        mender.pk: (
            "not_deliverable",
            "The release has 2 packages for the vehicle, and Mender takes one package at once.",
        ),
        rauc.pk: (
            "not_deliverable",
            "The release has 2 packages for the vehicle, and its client takes one package at once.",
        ),
        pressed.pk: ("on_block_list", "The vehicle is on the block list 'press' (Test drives)."),
    }
    started = Decision.objects.get(kind="campaign.started")
    assert started.sentence == (
        "Started with 1 vehicle, without 4 that do not take part: "
        "2 not_deliverable, 1 on_block_list, 1 stale_inventory."
    )
    assert started.inputs["verdicts"] == {"fits": 1, "not_deliverable": 2, "on_block_list": 1, "stale_inventory": 1}


def test_a_dynamic_group_blocks_too():
    cars = Fleet(sizes=(2, 1))
    fleet.make_block_list(
        fleet.create_group(cars.tenant, name="police", filter=f'vehicle_id = "{cars.vehicles[0]}"', by="test", at=NOON),
        reason="Under seal.",
        by="legal",
        at=NOON,
    )

    campaign = cars.start()

    assert campaign.assignments.get(verdict="on_block_list").vehicle == cars.vehicles[0]


def statements(size):
    cars = Fleet(sizes=(size, size))
    campaign = make_approved(tenant=cars.tenant, old=cars.old, release=cars.new, group=cars.group)
    with CaptureQueriesContext(
        connection,
    ) as captured:
        operations.start_campaign(campaign, by="alice", at=NOON)
    assert Assignment.objects.filter(campaign=campaign).count() == 2 * size
    return len(captured)


def test_a_start_takes_as_many_statements_whatever_the_size_of_the_fleet():
    assert statements(2) == statements(40)


def test_a_start_that_fits_nobody_leaves_nothing_behind():
    cars = Fleet(sizes=(2, 0))
    campaign = make_approved(tenant=cars.tenant, old=cars.old, release=cars.new, group=cars.group)
    Vehicle.objects.update(blocked_at=NOON)

    for _ in range(2):
        with pytest.raises(errors.NoVehicleFitsError):
            operations.start_campaign(Campaign.objects.get(pk=campaign.pk), by="alice", at=NOON)

    assert not Assignment.objects.exists()
    Vehicle.objects.update(blocked_at=None)
    operations.start_campaign(Campaign.objects.get(pk=campaign.pk), by="alice", at=NOON)
    assert Assignment.objects.count() == 2


def test_a_vehicle_that_never_enrolled_has_no_configuration_and_takes_no_part():
    cars = Fleet(sizes=(1, 0))
    known = Vehicle.objects.create(tenant=cars.tenant, vehicle_id="KNOWN", created_at=NOON)
    fleet.add_to_group(cars.group, [known], by="test", at=NOON)

    campaign = cars.start()

    left_out = campaign.assignments.get(vehicle=known)
    assert (left_out.verdict, left_out.configuration) == ("not_enrolled", None)


def test_what_a_vehicle_ran_at_the_start_stays_written_whatever_it_runs_later():
    cars = Fleet(sizes=(1, 0))
    campaign = cars.start()
    before = in_turn(campaign)[0].configuration.ecus

    make_fleet(cars.tenant, 1, cars.new)
    vehicle = make_vehicle(cars.tenant)

    assert in_turn(campaign)[0].configuration.ecus == before
    assert vehicle.configuration != in_turn(campaign)[0].configuration
