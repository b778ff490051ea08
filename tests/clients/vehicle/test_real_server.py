"""The reference client against the real server in one process, on a virtual clock."""

import httpx
import pytest
from django.test import Client

from clients.vehicle.agent import Agent
from clients.vehicle.config import EcuConfig, VehicleConfig
from clients.vehicle.hooks import HookResult, Verdict, WillingHooks
from clients.vehicle.provision import install_factory
from firmware_store.states import Profile, Repository
from firmware_store.trust import operations as trust_operations
from firmware_store.trust import queries as trust_queries
from otaserver import clock
from otaserver.campaigns.models import Assignment
from otaserver.campaigns.states import AssignmentState
from otaserver.director import operations as director
from otaserver.director.models import Manifest
from otaserver.fleet import operations as fleet
from otaserver.fleet.models import Ecu, Vehicle
from tests.campaigns.campaign_factories import make_running, tick
from tests.clients.vehicle.vehicles import what_runs
from tests.director.trust import make_trust
from tests.factories import NOON, make_group, make_release, make_tenant
from tests.vehicle_api.conftest import Clock, make_stored_package

pytestmark = pytest.mark.any_database

HARDWARE = {"GATE-1": "gateway", "BRAKE-1": "brake"}


class SickHooks(WillingHooks):
    def health(self, release):
        return HookResult(Verdict.NO, "no brakes")


class InProcess(httpx.BaseTransport):
    """The real server's handlers, in this thread and on this test's database connection."""

    def __init__(self):
        self._client = Client()

    def handle_request(self, request):
        response = self._client.generic(
            request.method,
            request.url.raw_path.decode(),
            request.read(),
            content_type=request.headers.get("Content-Type", ""),
            headers={name: value for name, value in request.headers.items() if name != "content-type"},
        )
        content = b"".join(response.streaming_content) if response.streaming else response.content
        return httpx.Response(
            response.status_code, headers=list(response.headers.items()), stream=httpx.ByteStream(content)
        )


class Road:
    """One tenant with two releases, and one car on the first."""

    def __init__(self, folder, server_clock):
        self.clock = server_clock
        self.trust = make_trust(make_tenant("acme"))
        self.tenant = self.trust.tenant
        fleet.create_fleet_authority(self.tenant, at=NOON)
        self.packages = {
            version: [
                make_stored_package(
                    self.tenant, f"{hardware} {version} ".encode() * 9000, hardware, version, hardware_ids=(hardware,)
                )
                for hardware in HARDWARE.values()
            ]
            for version in ("1.0", "2.0")
        }
        self.trust.publish_images(*self.packages["1.0"], *self.packages["2.0"])
        self.config = self._provision(folder)
        self.agent = self.make_agent(WillingHooks())

    def make_agent(self, hooks):
        return Agent(self.config, hooks=hooks, transport=InProcess(), clock=self.clock, is_durable=False)

    def start_campaign(self):
        vehicle = Vehicle.objects.get()
        old, new = (make_release(self.tenant, *packages) for packages in self.packages.values())
        group = make_group(self.tenant, vehicle)
        return make_running(tenant=self.tenant, old=old, release=new, group=group)

    def names(self, version):
        return {serial: f"supplier/{hardware}-{version}" for serial, hardware in HARDWARE.items()}

    def _provision(self, folder):
        for repository in Repository:
            body = trust_queries.role_metadata(self.tenant, repository, "root", Profile.TUF, 1).body
            (folder / f"{repository}.json").write_bytes(bytes(body))
        config = VehicleConfig(
            state_dir=folder / "state",
            server_url="http://testserver",
            tenant="acme",
            vehicle_id="VIN1",
            ecus=(EcuConfig("GATE-1", "gateway", is_primary=True), EcuConfig("BRAKE-1", "brake")),
            director_root=folder / "director.json",
            image_root=folder / "image.json",
            claim_code=fleet.create_claim_code(self.tenant, "VIN1", at=NOON),
        )
        factory = {}
        for serial, package in zip(HARDWARE, self.packages["1.0"], strict=True):
            path = folder / f"{serial}.bin"
            path.write_bytes(f"{HARDWARE[serial]} 1.0 ".encode() * 9000)
            factory[serial] = (package.target_name, package.release_counter, path)
        install_factory(config, factory, is_durable=False)
        return config


@pytest.fixture
def road(db, tmp_path):
    source = Clock()
    with clock.using(source):
        yield Road(tmp_path, source)


def test_a_vehicle_enrols_reports_and_idles(road):
    assert road.agent.run_once().status == "idle"
    result = road.agent.run_once()

    assert (result.status, result.detail) == ("idle", "")
    assert {ecu.serial: ecu.installed_target for ecu in Ecu.objects.all()} == road.names("1.0")
    assert Manifest.objects.count() == 1
    assert (road.config.state_dir / "certificate.pem").exists()


def test_a_vehicle_follows_a_campaign_to_its_end(road):
    road.agent.run_once()
    campaign = road.start_campaign()

    result = road.agent.run_once()

    assert (result.status, Assignment.objects.get().state) == ("installed", AssignmentState.SOAKING)
    assert what_runs(road.config.state_dir) == road.names("2.0")
    assert {ecu.serial: ecu.installed_target for ecu in Ecu.objects.all()} == road.names("2.0")
    road.clock.advance(hours=9)
    tick(campaign, road.clock.now)
    assert Assignment.objects.get().state == AssignmentState.SUCCEEDED
    assert road.agent.run_once().status == "idle"


def test_a_vehicle_that_returns_to_its_old_release_counts_as_failed(road):
    road.agent.run_once()
    road.start_campaign()
    agent = road.make_agent(SickHooks())

    assert agent.run_once().status == "failed"

    assignment = Assignment.objects.get()
    assert (assignment.state, what_runs(road.config.state_dir)) == (AssignmentState.FAILED, road.names("1.0"))
    assert "finished" in assignment.attempts.get().logs.get().text


def test_an_order_taken_back_before_it_is_installed_is_withdrawn(road):
    road.agent.run_once()
    road.start_campaign()
    vehicle = Vehicle.objects.get()

    class Parking(WillingHooks):
        def install(self, image):
            raise AssertionError("installed although withdrawn")

    agent = road.make_agent(Parking())
    director.direct({vehicle.pk: None}, at=road.clock.now)

    assert agent.run_once().status == "idle"
    assert what_runs(road.config.state_dir) == road.names("1.0")


def test_after_weeks_without_contact_a_vehicle_goes_on(road):
    road.agent.run_once()
    road.start_campaign()
    road.clock.advance(days=20)
    trust_operations.refresh_online(road.tenant, at=road.clock.now)

    assert road.agent.run_once().status == "installed"


def test_a_server_that_forgot_to_sign_anew_is_a_freeze_to_the_vehicle(road):
    road.agent.run_once()
    road.start_campaign()
    road.clock.advance(days=20)

    result = road.agent.run_once()

    assert (result.status, result.detail.partition(":")[0]) == ("never", "freeze")
    # Anybody who keeps old metadata could show it: the vehicle reports that, and asks again.
    assert Assignment.objects.get().state == AssignmentState.OFFERED
    assert "attacks_detected" in bytes(Manifest.objects.last().body).decode()
    assert what_runs(road.config.state_dir) == road.names("1.0")


def test_the_vehicle_follows_rotated_roots_and_keys(road):
    road.agent.run_once()
    road.start_campaign()
    road.trust.rotate(Repository.DIRECTOR, at=NOON)

    assert road.agent.run_once().status == "installed"
