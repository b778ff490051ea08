from datetime import timedelta
from decimal import Decimal

import pytest

from otaserver.campaigns import errors, operations
from otaserver.campaigns.models import Assignment, Campaign
from otaserver.campaigns.rules.windows import EVERY_DAY, Window
from otaserver.fleet.models import Vehicle
from otaserver.statemachine import InvalidTransitionError
from tests.campaigns.campaign_factories import install, make_campaign, make_fleet, make_started, make_versions
from tests.factories import NOON, make_group, make_tenant

pytestmark = pytest.mark.django_db
HOUR = 3600


@pytest.fixture
def campaign():
    """Ten vehicles, nine of which called within the last hour."""
    made = make_campaign(vehicles=10, waves=(20, 100))
    for age, vehicle in enumerate(Vehicle.objects.order_by("pk")[:9]):
        Vehicle.objects.filter(pk=vehicle.pk).update(last_contact_at=NOON - timedelta(minutes=6 * age))
    return made


def forecast(campaign, **wanted):
    return operations.forecast_campaign(campaign, at=NOON, **wanted)


def test_a_healthy_release_ends_each_wave_a_soak_after_its_last_vehicle_called(campaign):
    Vehicle.objects.update(last_contact_at=NOON - timedelta(hours=1))

    found = forecast(campaign, rates=[0], runs=3)

    assert (found.fitting, list(found.places), found.never_heard_of, found.starts_at) == (10, [2, 8], 0, NOON)
    (outlook,) = found.outlooks
    assert list(outlook.wave_ends) == [9 * HOUR, 18 * HOUR]
    assert (outlook.halted, outlook.broken, outlook.asked, outlook.unreached) == (0, 0, 0, 0)
    length = sum(item.package.length for item in campaign.release.items.all())
    assert outlook.load == {1: 2 * length, 10: 8 * length}


def test_a_release_that_always_fails_asks_or_halts_and_the_broken_are_counted(campaign):
    Vehicle.objects.update(last_contact_at=NOON)

    (outlook,) = forecast(campaign, rates=[1.0], runs=4).outlooks

    assert (outlook.halted, outlook.broken, outlook.most_broken) == (1.0, 10, 10)
    assert outlook.asked == 1.0


def test_vehicles_never_heard_of_do_not_install(campaign):
    found = forecast(campaign, rates=[0], runs=5)

    assert found.never_heard_of == 0.1
    assert 0 < found.outlooks[0].unreached < 5


def test_the_same_seed_gives_the_same_forecast_and_nothing_is_stored(campaign):
    assert forecast(campaign, seed=7) == forecast(campaign, seed=7)
    assert forecast(campaign, rates=[0.3], seed=7) != forecast(campaign, rates=[0.3], seed=8)
    assert not Assignment.objects.exists()
    campaign.refresh_from_db()
    assert campaign.state == "draft"


def test_windows_in_the_vehicles_zones_delay_the_waves():
    # Open from 20 to 21 h: in Tokyo at 11 h UTC, which is past at noon, so tomorrow.
    window = Window(weekdays=EVERY_DAY, start_minute=20 * 60, length_minutes=60)
    campaign = make_campaign(vehicles=4, windows=[window])
    Vehicle.objects.update(last_contact_at=NOON, time_zone="Asia/Tokyo")

    (outlook,) = forecast(campaign, rates=[0], runs=1).outlooks

    assert list(outlook.wave_ends) == [(23 + 8) * HOUR]


def test_where_nothing_is_offered_outside_windows_nothing_is_on_the_wire_there():
    window = Window(weekdays=EVERY_DAY, start_minute=20 * 60, length_minutes=60)
    campaign = make_campaign(vehicles=4, windows=[window], downloads_early=False)
    Vehicle.objects.update(last_contact_at=NOON)

    (outlook,) = forecast(campaign, rates=[0], runs=1).outlooks

    assert set(outlook.load) == {8}


def test_nothing_goes_on_after_the_campaigns_end(campaign):
    ends_at = NOON + timedelta(hours=3)
    Campaign.objects.filter(pk=campaign.pk).update(ends_at=ends_at, offers_per_minute=None)
    campaign.refresh_from_db()
    Vehicle.objects.filter(last_contact_at=None).update(last_contact_at=NOON - timedelta(days=2))

    (outlook,) = forecast(campaign, rates=[0], runs=9).outlooks

    # The second wave never opens; the first ends once what installed has soaked, or with the campaign.
    assert outlook.wave_ends[0] <= 11 * HOUR
    assert outlook.wave_ends[1] is None
    assert max(outlook.load) < 3


def test_vehicles_that_are_held_out_take_no_part():
    made = make_campaign(vehicles=10, control_percent=Decimal(50))
    Vehicle.objects.update(last_contact_at=NOON)

    found = forecast(made, rates=[0], runs=1)

    assert (found.fitting, list(found.places)) == (5, [5])


def test_a_vehicle_fetches_what_fits_its_own_hardware():
    tenant = make_tenant()
    old, new = make_versions(tenant), make_versions(tenant, "2.0", length=1000)
    both, one = make_fleet(tenant, 3, old), make_fleet(tenant, 4, old, hardware=("gateway",))
    made = make_campaign(tenant=tenant, old=old, release=new, group=make_group(tenant, *both, *one))
    Vehicle.objects.update(last_contact_at=NOON)

    # Whom a run draws is chance; over some the mean is near what the fleet would fetch.
    (outlook,) = forecast(made, rates=[0], runs=50).outlooks

    assert 8500 < outlook.load[0] < 11500


def test_one_that_has_started_is_not_forecast():
    started = make_started(vehicles=2)

    with pytest.raises(InvalidTransitionError):
        forecast(started)


@pytest.mark.parametrize("wanted", [{"rates": []}, {"rates": [1.5]}, {"runs": 0}, {"runs": 51}])
def test_what_cannot_be_rehearsed_is_refused(campaign, wanted):
    with pytest.raises(errors.PlanRefusedError):
        forecast(campaign, **wanted)


def test_a_campaign_that_fits_nobody_has_no_forecast(campaign):
    for vehicle in Vehicle.objects.all():
        install(vehicle, campaign.release)

    with pytest.raises(errors.NoVehicleFitsError):
        forecast(campaign)
