"""What vehicles have downloaded and not installed when an operator stops everything is not installed afterwards."""

import os
from collections import Counter
from datetime import timedelta

import pytest

from clients.vehicle.agent import Agent
from clients.vehicle.config import EcuConfig, VehicleConfig
from clients.vehicle.hooks import HookResult, Verdict, WillingHooks
from clients.vehicle.provision import install_factory
from firmware_store.states import Profile, Repository
from firmware_store.trust import queries as trust_queries
from otaserver import clock
from otaserver.campaigns.models import Assignment
from otaserver.campaigns.rules.windows import EVERY_DAY, Window
from otaserver.demo.ticks import tick
from otaserver.fleet import operations as fleet
from otaserver.fleet.models import Vehicle
from tests.campaigns.campaign_factories import make_running
from tests.clients.vehicle.test_real_server import InProcess
from tests.clients.vehicle.vehicles import what_runs
from tests.director.trust import make_trust
from tests.factories import NOON, make_group, make_release, make_tenant
from tests.operator_api.conftest import make_caller
from tests.vehicle_api.conftest import Clock, make_stored_package

pytestmark = [pytest.mark.long, pytest.mark.any_database]

# Half for each zone, a third offline, a third restarted. It was seen with 200; more say nothing that these do not.
VEHICLES = int(os.environ.get("OTA_TEST_STOPPED_VEHICLES", "16"))

# At noon in UTC it is open in Tokyo, where an owner is asked, and shut in Europe/Berlin.
EVENING = Window(EVERY_DAY, 20 * 60, 180)
OLD, NEW = "supplier/gateway-1.0", "supplier/gateway-2.0"


class Owner(WillingHooks):
    """Sees the question and answers it when told to; counts what would have been installed."""

    def __init__(self):
        self.agrees = False
        self.installed = 0

    def consent(self, question):
        return HookResult(decision="yes") if self.agrees else HookResult(Verdict.NOT_YET, decision="shown")

    def install(self, image):
        self.installed += 1
        return HookResult()


class Car:
    def __init__(self, config, server_clock, transport):
        self.config, self.clock, self.owner = config, server_clock, Owner()
        self.transport = transport
        self.restart()

    def restart(self):
        self.agent = Agent(self.config, hooks=self.owner, transport=self.transport, clock=self.clock, is_durable=False)

    def run(self):
        return self.agent.run_once().status

    @property
    def runs(self):
        return what_runs(self.config.state_dir)[self.config.primary.serial]


class Fleet:
    """Cars with one ECU that have all downloaded a release, held by their windows or by their owners."""

    def __init__(self, folder, server_clock, count):
        self.clock, self.transport = server_clock, InProcess()
        trust = make_trust(make_tenant("acme"))
        self.tenant = trust.tenant
        fleet.create_fleet_authority(self.tenant, at=NOON)
        packages = [
            make_stored_package(self.tenant, f"{version} ".encode() * 99, "gateway", version, hardware_ids=("gateway",))
            for version in ("1.0", "2.0")
        ]
        trust.publish_images(*packages)
        for repository in Repository:
            body = trust_queries.role_metadata(self.tenant, repository, "root", Profile.TUF, 1).body
            (folder / f"{repository}.json").write_bytes(bytes(body))
        (folder / "factory.bin").write_bytes(b"1.0 " * 99)
        self.cars = [self._car(folder, f"CAR{number:03}") for number in range(count)]
        assert Counter(car.run() for car in self.cars) == {"idle": count}
        for number, vehicle in enumerate(Vehicle.objects.order_by("vehicle_id")):
            fleet.set_time_zone([vehicle], ("Europe/Berlin", "Asia/Tokyo")[number % 2], by="alice", at=NOON)
        group = make_group(self.tenant, *Vehicle.objects.all())
        old, new = (make_release(self.tenant, package) for package in packages)
        self.campaign = make_running(
            tenant=self.tenant, old=old, release=new, group=group, windows=[EVENING], consent="ask"
        )
        assert Counter(car.run() for car in self.cars) == {"held": count}
        held = Assignment.objects.filter(state="held").values_list("code", flat=True)
        assert Counter(held) == {"window": count // 2, "consent": count // 2}

    def _car(self, folder, name):
        config = VehicleConfig(
            state_dir=folder / name,
            server_url="http://testserver",
            tenant="acme",
            vehicle_id=name,
            ecus=(EcuConfig(f"{name}-gw", "gateway", is_primary=True),),
            director_root=folder / "director.json",
            image_root=folder / "image.json",
            claim_code=fleet.create_claim_code(self.tenant, name, at=NOON),
            wants_certificate=False,
        )
        install_factory(config, {f"{name}-gw": (OLD, 0, folder / "factory.bin")}, is_durable=False)
        return Car(config, self.clock, self.transport)

    def live_on(self):
        """Owners agree and windows open on two days; a third is offline on the first, a third restarts before each."""
        for car in self.cars:
            car.owner.agrees = True
        for day in range(2):
            # Evening in Berlin, then in Tokyo.
            for zone, hours in enumerate((7.5, 23.5)):
                self.clock.now = NOON + timedelta(days=day, hours=hours)
                tick()
                for number, car in enumerate(self.cars):
                    is_offline = day == 0 and number % 3 == 0
                    if number % 2 == zone and not is_offline:
                        if number % 3 == 1:
                            car.restart()
                        car.run()
        self.clock.now = NOON + timedelta(days=3)
        tick()


@pytest.fixture
def server_clock(db):
    source = Clock()
    with clock.using(source):
        yield source


def test_no_downloaded_release_is_installed_after_an_emergency_stop(server_clock, tmp_path):
    stopped = Fleet(tmp_path, server_clock, VEHICLES)

    answer = make_caller(stopped.tenant).post("/tenant/stop", {"reason": "Smoke."})
    stopped.live_on()

    assert answer.status_code == 200
    assert Counter(car.runs for car in stopped.cars) == {OLD: VEHICLES}
    assert sum(car.owner.installed for car in stopped.cars) == 0
    assert Counter(Assignment.objects.values_list("state", flat=True)) == {"withdrawn": VEHICLES}


def test_without_the_stop_the_same_vehicles_install_it(server_clock, tmp_path):
    going_on = Fleet(tmp_path, server_clock, 12)

    going_on.live_on()

    assert Counter(car.runs for car in going_on.cars) == {NEW: 12}
    assert Counter(Assignment.objects.values_list("state", flat=True)) == {"succeeded": 12}
