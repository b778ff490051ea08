"""Debian's mender-client, unmodified and unprivileged, against the real server."""

import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from clients.publisher.packages import PackageSpec
from otaserver.demo.fleet_plan import ROLE
from otaserver.demo.scenario import Operator
from tests.e2e.mender_sandbox import (
    DEVICE_TYPE,
    Relay,
    Sandbox,
    make_signing_key,
    relaying,
    skip_without_mender,
    write_artifact,
)
from tests.processes import Server, free_port, wait_for
from tests.vehicle_api.mender.devices import pem_of

pytestmark = [pytest.mark.long, pytest.mark.e2e, pytest.mark.xdist_group("heavy")]
CUT_AT = 9000


@dataclass
class World:
    """The server, an operator, the way of package bytes, and every device that was started."""

    folder: Path
    server: Any
    operator: Any
    relay: Any
    stack: Any
    signing: Any

    @property
    def api(self):
        return self.operator.publisher.api

    def device(self, vehicle_id, **config):
        """Start a device that is expected, and wait until the server knows what it is."""
        config = {"ArtifactVerifyKey": str(self.signing[1])} | config
        device = Sandbox(self.folder / vehicle_id, vehicle_id, self.server.url, **config)
        expected = {"identity": {"vin": vehicle_id}, "public_key": pem_of(device.key)}
        self.api.post("/devices", {"devices": [expected]})
        self.stack.callback(device.end)
        device.start()
        wait_for(lambda: self.vehicle(vehicle_id) and self.vehicle(vehicle_id)["ecus"], seconds=60, what=device.folder)
        return device

    def vehicle(self, vehicle_id):
        return next((row for row in self.api.rows("/vehicles") if row["vehicle_id"] == vehicle_id), None)

    def publish(self, version, *, is_signed=True):
        key = self.signing[0] if is_signed else None
        artifact = write_artifact(self.folder, version, sign_with=key)
        package = self.operator.publisher.packages.publish(artifact, PackageSpec(ROLE, "app", version, [DEVICE_TYPE]))
        self.operator.publisher.releases.create("app", version, [(package.target_name, 0)])
        return package

    def roll_out(self, device, version, **settings):
        """Start a campaign for this device alone."""
        name = f"{device.vehicle_id} {version}"
        self.api.post("/groups", {"name": name, "vehicles": [device.vehicle_id]})
        plan = {"soak_seconds": 1, "no_way_back_reason": "There is no older artifact."} | settings
        campaigns = self.operator.publisher.campaigns
        campaigns.create(name, release=("app", version), group=name, waves=[{"percent": "100"}], settings=plan)
        for action in ("submit", "approve", "start"):
            campaigns.act(name, action)
        return name

    def assignment(self, campaign):
        pk = self.operator.publisher.campaigns.show(campaign)["id"]
        return next(iter(self.api.rows(f"/campaigns/{pk}/assignments")))

    def wait_until(self, campaign, device, *states, seconds=90):
        def look():
            found = self.assignment(campaign)
            return found if found["state"] in states else None

        return wait_for(look, seconds=seconds, what=f"{states}; the device says {device.log[-3000:]}")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    skip_without_mender()
    folder = tmp_path_factory.mktemp("mender")
    (folder / "var").mkdir()
    port = free_port()
    relay = Relay(f"http://127.0.0.1:{port}")
    with ExitStack() as stack:
        stack.enter_context(relaying(relay))
        server = Server(folder / "var", port=port, OTA_DOWNLOAD_URL=relay.url)
        stack.callback(server.end)
        server.start(wait=False)
        # Longer than a start takes: on a busy machine the first migration alone has taken a minute.
        wait_for(server.is_ready, seconds=180, what=f"a ready server; {server.output}")
        token = (folder / "var" / "operator-token").read_text().strip()
        operator = stack.enter_context(Operator.at(server.url, token, folder))
        operator.establish_trust(polling_seconds=1)
        yield World(folder, server, operator, relay, stack, make_signing_key(folder))


@pytest.fixture(scope="module")
def signed(world):
    return world.publish("1.1")


@pytest.fixture(scope="module", autouse=True)
def cut(world):
    """A device whose download is cut: the client waits a minute before it goes on, while other tests run."""
    package = world.publish("1.3")
    world.relay.after(package.sha256, CUT_AT)
    device = world.device("CUT1")
    return device, world.roll_out(device, "1.3"), package


def test_a_signed_artifact_is_installed_and_confirmed(world, signed):
    device = world.device("GOOD1")

    campaign = world.roll_out(device, "1.1")

    world.wait_until(campaign, device, "succeeded")
    assert device.running.strip() == "app 1.1"
    ecu = world.vehicle("GOOD1")["ecus"][0]
    assert (ecu["installed_target"], ecu["is_asserted"]) == (signed.target_name, True)
    assert (signed.sha256, None, None) in world.relay.asked


def test_an_unsigned_artifact_is_refused_by_the_client_and_counts_as_a_failed_verification(world):
    world.publish("1.2", is_signed=False)
    device = world.device("UNSIGNED1")

    campaign = world.roll_out(device, "1.2")

    assert world.wait_until(campaign, device, "failed")["code"] == "verification_failed"
    assert device.running == "factory"
    assert "ArtifactInstall" not in device.steps


def test_a_module_that_fails_is_rolled_back_and_reported(world, signed):
    device = world.device("FAIL1")
    (device.data / "fail").touch()

    campaign = world.roll_out(device, "1.1")

    assert world.wait_until(campaign, device, "failed")["code"] == "install_failed"
    wait_for(lambda: "ArtifactRollback" in device.steps)
    wait_for(lambda: device.running == "factory")
    assert world.vehicle("FAIL1")["ecus"][0]["installed_target"] == "app-1.0"


def test_an_install_is_held_at_the_gate_and_released(world, signed):
    device = world.device("HELD1")
    campaign = world.roll_out(device, "1.1", consent="ask")
    held = world.wait_until(campaign, device, "held")
    # Longer than a map lasts: the client asks again and again, and waits on.
    time.sleep(11)
    assert (held["code"], world.assignment(campaign)["state"], device.running) == ("consent", "held", "factory")

    answer = {"decision": "yes", "by": "owner", "language": "en", "text_sha256": "0" * 64}
    world.api.post(f"/assignments/{held['id']}/consents", answer)

    world.wait_until(campaign, device, "succeeded")
    assert device.running.strip() == "app 1.1"


def test_an_emergency_stop_reaches_what_waits_at_the_gate_and_nothing_is_installed(world, signed):
    device = world.device("STOP1")
    campaign = world.roll_out(device, "1.1", consent="ask")
    world.wait_until(campaign, device, "held")

    world.operator.publisher.campaigns.act(campaign, "stop", reason="Smoke.")

    world.wait_until(campaign, device, "withdrawn")
    wait_for(lambda: "Cleanup" in device.steps)
    assert (device.running, "ArtifactInstall" in device.steps) == ("factory", False)


def test_a_download_that_was_cut_goes_on_where_it_stopped(world, cut):
    device, campaign, package = cut

    world.wait_until(campaign, device, "succeeded", seconds=180)

    assert device.running.strip() == "app 1.3"
    asked = [given for sha256, given, _ in world.relay.asked if sha256 == package.sha256]
    assert asked[0] is None
    assert len(asked) == 2
    assert 0 < int(asked[1].removeprefix("bytes=").removesuffix("-")) <= CUT_AT
