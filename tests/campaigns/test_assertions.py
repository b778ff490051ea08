"""Vehicles whose protocol brings no manifests: their word, and what it moves."""

import pytest

from otaserver.campaigns.errors import AttemptNotFoundError, ReleaseUnknownError
from otaserver.campaigns.models import SoftwareChange
from otaserver.campaigns.operations import record_assertion, record_installed_release
from otaserver.director.models import InstalledImage
from otaserver.fleet.models import Vehicle
from otaserver.fleet.operations import KeylessEcu, declare_vehicle
from otaserver.fleet.states import Protocol
from tests.campaigns.campaign_factories import at as after
from tests.campaigns.campaign_factories import (
    attempt_of,
    fail,
    in_turn,
    make_running,
    make_versions,
    report,
    tick,
)
from tests.factories import NOON, make_group, make_tenant

pytestmark = pytest.mark.django_db


def make_fleet(count=1):
    """Vehicles without keys, and a release for their one ECU."""
    tenant = make_tenant()
    vehicles = [
        declare_vehicle(tenant, f"dev{n}", protocol=Protocol.DDI, ecus=[KeylessEcu(f"dev{n}", "gateway")], at=NOON)
        for n in range(count)
    ]
    return tenant, vehicles


@pytest.fixture
def assignment():
    tenant, vehicles = make_fleet()
    old, new = (make_versions(tenant, version, ("gateway",)) for version in ("1.0", "2.0"))
    campaign = make_running(tenant=tenant, old=old, release=new, group=make_group(tenant, *vehicles))
    return in_turn(campaign)[0]


def assert_it(assignment, number=None, at=NOON):
    attempt = attempt_of(assignment).number if number is None else number
    believed = record_assertion(Vehicle.objects.get(pk=assignment.vehicle_id), attempt=attempt, at=at)
    assignment.refresh_from_db()
    return believed


def installed(assignment):
    return list(assignment.vehicle.ecus.values_list("installed_target", "installed_version", "is_asserted"))


def test_a_vehicles_word_is_written_down_as_such_and_begins_the_soak(assignment):
    report(assignment, "finished", "success")
    assert assignment.state == "installing"

    assert assert_it(assignment)

    assert (assignment.state, assignment.installing_at) == ("soaking", NOON)
    assert attempt_of(assignment).outcome == "success"
    assert installed(assignment) == [("supplier/gateway-2.0", "2.0", True)]
    assert InstalledImage.objects.get().manifest is None
    assert SoftwareChange.objects.get().cause == "first"
    assert Vehicle.objects.get().confirmed_at == NOON
    assert Vehicle.objects.get().configuration.ecus[0][1] == "supplier/gateway-2.0"


def test_after_its_soak_the_vehicle_counts_as_a_success(assignment):
    assert_it(assignment)

    tick(assignment.campaign, after(hours=9))

    assignment.refresh_from_db()
    assert (assignment.state, assignment.campaign.state) == ("succeeded", "completed")


def test_said_again_it_moves_nothing(assignment):
    assert_it(assignment)

    assert not assert_it(assignment, at=after(hours=1))
    assert InstalledImage.objects.count() == 1


def test_after_a_failure_the_word_is_not_believed(assignment):
    fail(assignment)

    assert not assert_it(assignment)
    assert (assignment.state, installed(assignment)) == ("failed", [("", "", False)])


def test_of_another_vehicles_attempt_nothing_can_be_said(assignment):
    with pytest.raises(AttemptNotFoundError):
        assert_it(assignment, number=7)

    assert assignment.state == "offered"


def test_a_stepping_stone_leads_on_to_the_release_and_is_no_result():
    tenant, vehicles = make_fleet()
    old, stone, new = (make_versions(tenant, version, ("gateway",)) for version in ("1.0", "1.5", "2.0"))
    type(new).objects.filter(pk=new.pk).update(stepping_stone=stone)
    new.refresh_from_db()
    campaign = make_running(tenant=tenant, old=old, release=new, group=make_group(tenant, *vehicles))
    assignment = in_turn(campaign)[0]

    report(assignment, "finished", "success")
    assert assert_it(assignment)
    assert assignment.state == "waiting"
    tick(campaign)
    assignment.refresh_from_db()
    report(assignment, "finished", "success")
    assert assert_it(assignment)

    assert (assignment.state, attempt_of(assignment).number) == ("soaking", 2)
    assert installed(assignment) == [("supplier/gateway-2.0", "2.0", True)]


def test_a_vehicle_may_say_which_release_it_came_with(assignment):
    vehicle = assignment.vehicle

    assert record_installed_release(vehicle, name="car", version="1.0", at=NOON)
    assert not record_installed_release(vehicle, name="car", version="1.0", at=NOON)

    assert installed(assignment) == [("supplier/gateway-1.0", "1.0", True)]
    assignment.refresh_from_db()
    assert assignment.state == "offered"


def test_a_release_that_nobody_knows_is_not_taken(assignment):
    with pytest.raises(ReleaseUnknownError):
        record_installed_release(assignment.vehicle, name="car", version="9", at=NOON)

    assert installed(assignment) == [("", "", False)]
