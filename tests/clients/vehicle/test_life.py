"""A vehicle's life with the reference client against the real server, on a virtual clock: years, in seconds."""

import json
from dataclasses import replace

import pytest

from clients.vehicle.config import EcuConfig
from clients.vehicle.hooks import WillingHooks
from firmware_store.states import Repository
from firmware_store.trust import operations as trust_operations
from firmware_store.trust import queries as trust_queries
from otaserver.campaigns import operations as campaigns
from otaserver.campaigns.models import Assignment
from otaserver.fleet import operations as fleet
from otaserver.fleet.models import Credential, Ecu, Vehicle
from otaserver.tenants.models import Tenant
from tests.campaigns.campaign_factories import tick
from tests.clients.vehicle.test_real_server import Road, road  # noqa: F401 - a fixture
from tests.clients.vehicle.vehicles import what_runs

pytestmark = pytest.mark.any_database


@pytest.fixture
def car(road: Road):  # noqa: F811
    """The road, with its car enrolled and at rest."""
    assert road.agent.run_once().status == "idle"
    assert road.agent.run_once().status == "idle"
    return road


def keep_signing(road, days):  # noqa: F811
    """Let time pass and ten roots of each repository; what was signed offline is signed anew before it is too old."""
    for version in range(2, 12):
        road.clock.advance(days=days / 10)
        road.trust.rotate_both(at=road.clock.now)
        packages = [*road.packages["1.0"], *road.packages["2.0"]]
        road.trust.publish_images(*packages, at=road.clock.now, version=version)
    trust_operations.refresh_online(road.tenant, at=road.clock.now)


def give_code(road):  # noqa: F811
    code = fleet.create_claim_code(road.tenant, "VIN1", at=road.clock.now)
    road.config = replace(road.config, claim_code=code)


def restarted(road):  # noqa: F811
    """The car after its next start: nothing but its disk, and its configuration."""
    return road.make_agent(WillingHooks())


def token_of(road):  # noqa: F811
    return json.loads((road.config.state_dir / "credentials.json").read_text())["token"]


def live(vehicle):
    return Credential.objects.filter(vehicle=vehicle, revoked_at=None)


@pytest.mark.parametrize("days", [730, 900])
def test_after_two_years_a_vehicle_with_expired_credentials_and_ten_old_roots_updates_itself(car, days):
    old_token = token_of(car)
    keep_signing(car, days)
    assert not Credential.objects.filter(kind="token", expires_at__gt=car.clock.now).exists()
    roots = [trust_queries.latest_version(car.tenant, repository, "root") for repository in Repository]
    assert roots == [11, 11]
    car.start_campaign()

    result = restarted(car).run_once()

    assert result.status == "installed"
    assert what_runs(car.config.state_dir) == car.names("2.0")
    assert {ecu.serial: ecu.installed_target for ecu in Ecu.objects.all()} == car.names("2.0")
    assert token_of(car) != old_token


def test_where_late_renewal_is_off_a_claim_code_brings_it_back(car):
    Tenant.objects.update(late_renewal_days=0)
    keep_signing(car, 730)
    refused = restarted(car).run_once()
    give_code(car)
    car.start_campaign()

    result = restarted(car).run_once()

    assert (refused.status, refused.detail.partition(":")[0]) == ("not_now", "credential.invalid")
    assert result.status == "installed"
    assert what_runs(car.config.state_dir) == car.names("2.0")


def test_a_vehicle_that_calls_renews_in_time_for_ever(car):
    tokens = [token_of(car)]
    for _ in range(8):
        car.clock.advance(days=120)
        restarted(car).run_once()
        tokens.append(token_of(car))

    # Each lives for a year, and is renewed when a third of that is left.
    assert [tokens[step] != tokens[step - 1] for step in range(1, 9)] == [False, False, True] * 2 + [False, False]
    assert live(Vehicle.objects.get()).filter(expires_at__gt=car.clock.now).exists()


def test_certificates_of_a_new_ca_come_with_the_renewal(car):
    before = (car.config.state_dir / "certificate.pem").read_text()
    authority = fleet.rotate_fleet_authority(car.tenant, reason="Age.", by="ann", at=car.clock.now)
    car.clock.advance(days=300)

    restarted(car).run_once()

    after = (car.config.state_dir / "certificate.pem").read_text()
    assert authority.certificate_pem not in before
    assert after.endswith(authority.certificate_pem)


def swap_brake(car, *, announced):
    """The workshop puts another brake ECU into the car, and says so in its configuration."""
    if announced:
        fleet.announce_ecu_swap(
            Vehicle.objects.get(), old_serial="BRAKE-1", reason="Crash.", by="ann", at=car.clock.now
        )
    gate = car.config.primary
    car.config = replace(car.config, ecus=(gate, EcuConfig("BRAKE-2", "brake")))
    (car.config.state_dir / "commit.json").write_text(
        (car.config.state_dir / "commit.json").read_text().replace("BRAKE-1", "BRAKE-2")
    )
    old, new = (car.config.state_dir / "ecus" / serial for serial in ("BRAKE-1", "BRAKE-2"))
    old.rename(new)
    # Its own key, which it makes at its first start.
    for key in new.glob("key*"):
        key.unlink()


def test_an_announced_ecu_is_declared_by_the_vehicle_without_enrolling_again(car):
    token = token_of(car)
    car.clock.advance(hours=1)
    swap_brake(car, announced=True)
    agent = restarted(car)

    assert agent.run_once().status == "idle"
    assert agent.run_once().status == "idle"

    assert {ecu.serial for ecu in Ecu.objects.all()} == {"GATE-1", "BRAKE-2"}
    assert Ecu.objects.get(serial="BRAKE-2").installed_target == "supplier/brake-1.0"
    assert token_of(car) == token
    campaign = car.start_campaign()
    assert agent.run_once().status == "installed"
    car.clock.advance(hours=9)
    tick(campaign, car.clock.now)
    assert Assignment.objects.get().state == "succeeded"


def test_an_ecu_that_nobody_announced_is_not_taken_and_the_vehicle_says_so(car):
    swap_brake(car, announced=False)
    agent = restarted(car)

    agent.run_once()

    assert {ecu.serial for ecu in Ecu.objects.all()} == {"GATE-1", "BRAKE-1"}
    fleet.announce_ecu_swap(Vehicle.objects.get(), old_serial="BRAKE-1", reason="Found.", by="ann", at=car.clock.now)
    agent.run_once()
    assert {ecu.serial for ecu in Ecu.objects.all()} == {"GATE-1", "BRAKE-2"}


def test_a_sold_vehicle_is_nobody_until_its_next_owner_enrols_it(car):
    sale = campaigns.record_sale(Vehicle.objects.get(), reason="Sold.", by="ann", at=car.clock.now)
    sold = restarted(car).run_once()
    car.config = replace(car.config, claim_code=sale.claim_code)
    car.start_campaign()

    result = restarted(car).run_once()

    assert (sold.status, sold.detail.partition(":")[0]) == ("not_now", "credential.invalid")
    assert result.status == "installed"
    assert live(Vehicle.objects.get()).count() == 2


def test_a_decommissioned_vehicle_is_refused_for_good(car):
    campaigns.decommission_vehicle(Vehicle.objects.get(), reason="Scrapped.", by="ann", at=car.clock.now)
    give_code(car)

    result = restarted(car).run_once()

    assert (result.status, result.detail.partition(":")[0]) == ("never", "vehicle.decommissioned")
    assert not live(Vehicle.objects.get()).exists()
