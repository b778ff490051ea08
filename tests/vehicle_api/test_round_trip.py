"""One vehicle's whole journey through the protocol, with an independent TUF client."""

from pathlib import Path
from uuid import uuid4

import pytest
from django.test import Client

from firmware_store.states import Profile, Repository
from firmware_store.trust import operations as trust_operations
from firmware_store.trust import queries as trust_queries
from otaserver.campaigns.models import Assignment, Report
from otaserver.campaigns.states import AssignmentState
from otaserver.director import operations as director
from otaserver.fleet import operations as fleet
from otaserver.fleet.models import Vehicle
from otaserver.tenants.models import Tenant
from tests.campaigns.campaign_factories import make_running, tick
from tests.director.orders import make_order
from tests.director.signing_vehicle import EcuKey, SigningVehicle, image
from tests.factories import NOON, make_group, make_release
from tests.vehicle_api.conftest import Caller, make_stored_package
from tests.vehicle_api.tuf_client import TestClientFetcher, make_updater

CONTENT = b"firmware " * 100_000


def first_root(tenant, repository):
    return bytes(trust_queries.role_metadata(tenant, repository, "root", Profile.TUF, 1).body)


def enrolled(tenant):
    """Enrol a vehicle over the protocol; it runs nothing known yet."""
    keys = {"GATE-1": EcuKey()}
    ecu = {"serial": "GATE-1", "hardware_id": "gateway", "is_primary": True, "public_key": keys["GATE-1"].public}
    request = {
        "vehicle_id": "VIN1",
        "claim_code": fleet.create_claim_code(tenant, "VIN1", at=NOON),
        "ecus": [ecu],
        "certificate_request": None,
    }
    caller = Caller(Client(), "acme", "")
    caller.token = caller.post("enrol", request).json()["token"]
    return SigningVehicle(Vehicle.objects.get(), keys, {}), caller


class Journey:
    def __init__(self, trust, folder: Path, server_clock):
        self.tenant, self.folder, self.clock = trust.tenant, folder, server_clock
        self.old = make_stored_package(self.tenant, b"old", "gateway", "1.0")
        self.new = make_stored_package(self.tenant, CONTENT, "gateway", "2.0")
        trust.publish_images(self.old, self.new)
        self.car, self.caller = enrolled(self.tenant)
        self.car.images["GATE-1"] = image(self.old)
        self.director = TestClientFetcher(self.caller.token)

    def refreshed(self):
        """Refresh the Director's metadata as a TUF client does, and return the signed targets."""
        root = first_root(self.tenant, Repository.DIRECTOR)
        base = "/uptane/acme/director"
        updater = make_updater(self.folder / "director", base, root=root, fetcher=self.director, at=self.clock.now)
        updater.refresh()
        return updater._trusted_set.targets

    def download(self, name):
        root = first_root(self.tenant, Repository.IMAGE)
        fetcher = TestClientFetcher(self.caller.token)
        updater = make_updater(
            self.folder / "image", "/uptane/acme/repo", root=root, fetcher=fetcher, at=self.clock.now
        )
        return Path(updater.download_target(updater.get_targetinfo(name))).read_bytes()

    def send_manifest(self, report=None):
        response = self.caller.post("director/manifest", self.car.manifest(report=report))
        assert response.json() == {"findings": []}

    def send_event(self, attempt, phase, outcome="none"):
        event = {
            "id": str(uuid4()),
            "attempt": attempt,
            "ecu": "",
            "phase": phase,
            "outcome": outcome,
            "code": "",
            "message": "",
            "progress": 50,
            "measured": {"volts": 12.6},
            "device_time": "2026-06-01T12:00:00Z",
        }
        assert self.caller.post("events", [event, event]).json() == {"accepted": 2, "rejected": []}


@pytest.fixture
def journey(trust, tmp_path, server_clock):
    return Journey(trust, tmp_path, server_clock)


def test_from_enrolment_to_a_soaked_release(journey):
    journey.send_manifest()
    releases = [make_release(journey.tenant, package) for package in (journey.old, journey.new)]
    group = make_group(journey.tenant, journey.car.vehicle)
    campaign = make_running(tenant=journey.tenant, old=releases[0], release=releases[1], group=group)

    targets = journey.refreshed()
    order = targets.unrecognized_fields["custom"]["order"]
    (name,) = targets.targets
    assert (name, order["campaign"]) == ("supplier/gateway-2.0", "spring")
    assert targets.unrecognized_fields["vehicle_id"] == "VIN1"
    assert targets.targets[name].custom["ecuIdentifiers"] == {"GATE-1": {"hardwareId": "gateway"}}
    assert journey.download(name) == CONTENT

    journey.send_event(order["attempt"], "downloading")
    journey.send_event(order["attempt"], "installing")
    journey.car.images["GATE-1"] = image(journey.new)
    report = {"attempt": order["attempt"], "outcome": "success", "code": "", "message": "Healthy."}
    journey.send_manifest(report)

    assignment = Assignment.objects.get()
    assert assignment.state == AssignmentState.SOAKING
    assert Report.objects.count() == 3

    journey.clock.advance(hours=9)
    tick(campaign, journey.clock.now)
    assignment.refresh_from_db()
    assert assignment.state == AssignmentState.SUCCEEDED
    assert journey.refreshed().targets == {}


def test_a_log_tail_goes_with_an_attempt(journey):
    journey.send_manifest()
    releases = [make_release(journey.tenant, package) for package in (journey.old, journey.new)]
    group = make_group(journey.tenant, journey.car.vehicle)
    make_running(tenant=journey.tenant, old=releases[0], release=releases[1], group=group)
    attempt = journey.refreshed().unrecognized_fields["custom"]["order"]["attempt"]

    response = journey.caller.post("logs", {"attempt": attempt, "text": "Größe: 12 µs\n"})

    assert (response.status_code, response.json()) == (200, {})
    assert Assignment.objects.get().attempts.get().logs.get().text == "Größe: 12 µs\n"


def test_a_withdrawn_order_is_confirmed_by_the_next_fetched_timestamp(journey):
    journey.send_manifest()
    releases = [make_release(journey.tenant, package) for package in (journey.old, journey.new)]
    group = make_group(journey.tenant, journey.car.vehicle)
    make_running(tenant=journey.tenant, old=releases[0], release=releases[1], group=group)
    etag = journey.caller.get("director/metadata/timestamp.json")["ETag"]
    Assignment.objects.update(state=AssignmentState.WITHDRAWING)

    journey.caller.get("director/metadata/timestamp.json", If_None_Match=etag)
    still = Assignment.objects.get().state
    journey.caller.get("director/metadata/timestamp.json")
    listed = Assignment.objects.get().state
    director.direct({journey.car.vehicle.pk: None}, at=NOON)
    journey.caller.get("director/metadata/timestamp.json", If_None_Match=etag)

    assert (still, listed) == (AssignmentState.WITHDRAWING, AssignmentState.WITHDRAWING)
    assert Assignment.objects.get().state == AssignmentState.WITHDRAWN


def test_a_client_follows_rotated_roots_of_the_director(journey, trust):
    director.direct({journey.car.vehicle.pk: make_order(journey.car.vehicle, journey.new)}, at=NOON)
    journey.refreshed()
    for _ in range(3):
        trust.rotate(Repository.DIRECTOR, at=NOON)

    targets = journey.refreshed()

    assert list(targets.targets) == ["supplier/gateway-2.0"]
    assert ("/uptane/acme/director/metadata/4.root.json", 200) in journey.director.requests
    assert ("/uptane/acme/director/metadata/5.root.json", 404) in journey.director.requests


def test_a_stranger_with_the_first_root_downloads_from_a_public_image_repository(journey, trust):
    Tenant.objects.update(has_public_targets=True)
    trust.rotate(Repository.IMAGE, at=NOON)
    fetcher = TestClientFetcher()
    root = first_root(journey.tenant, Repository.IMAGE)
    updater = make_updater(journey.folder, "/uptane/acme/repo", root=root, fetcher=fetcher, at=NOON)

    path = updater.download_target(updater.get_targetinfo("supplier/gateway-2.0"))

    assert Path(path).read_bytes() == CONTENT


def test_metadata_stays_fresh_for_a_client_that_calls_rarely(journey):
    for _ in range(6):
        journey.clock.advance(days=20)
        trust_operations.refresh_online(journey.tenant, at=journey.clock.now)

        assert journey.refreshed().targets == {}
        assert journey.download("supplier/gateway-1.0") == b"old"
