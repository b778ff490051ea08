"""One campaign over vehicles of three protocols: the reference client, Debian's SWUpdate and Debian's mender-client."""

import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from clients.publisher.api import connect
from clients.publisher.keystore import KeyStore
from clients.publisher.packages import PackageSpec
from clients.publisher.publisher import Publisher
from tests.e2e.mender_sandbox import DEVICE_TYPE, Sandbox, skip_without_mender, write_artifact
from tests.processes import ROOT, Server, environment, wait_for
from tests.vehicle_api.ddi import swupdate
from tests.vehicle_api.ddi.swupdate import BOARD, Board, Signer, make_image
from tests.vehicle_api.mender.devices import pem_of

pytestmark = [pytest.mark.long, pytest.mark.e2e, pytest.mark.xdist_group("heavy")]
TENANT, ROLE, GATEWAY = "acme", "supplier", "gateway"
VEHICLES = ("CAR1", "BOARD1", "DEVICE1")
BOARD_TOKEN = "0123456789abcdef0123456789abcdef"
# A vehicle of a protocol without enrolment, made known as an import does.
MAKE_BOARD = f"""
import django; django.setup()
from otaserver import clock
from otaserver.fleet import operations as fleet
from otaserver.fleet.states import Protocol
from otaserver.tenants.models import Tenant
tenant = Tenant.objects.get(name="{TENANT}")
ecus = [fleet.KeylessEcu("BOARD1", "{BOARD}")]
vehicle = fleet.declare_vehicle(tenant, "BOARD1", protocol=Protocol.DDI, ecus=ecus, at=clock.now())
fleet.give_token(vehicle, token="{BOARD_TOKEN}", by="test", at=clock.now())
"""
CAR = """
state_dir = "state"
server_url = "{url}"
tenant = "acme"
vehicle_id = "CAR1"
claim_code = "{claim_code}"
director_root = "director-root.tuf-1.0.json"
image_root = "image-root.tuf-1.0.json"
ecus = [{{ serial = "gw-1", hardware_id = "gateway", is_primary = true }}]
"""


@dataclass
class Mixed:
    """A server, an operator, and one vehicle of each protocol."""

    folder: Path
    server: Any
    publisher: Any
    signer: Any
    board: Any
    device: Any

    @property
    def api(self):
        return self.publisher.api

    def publish(self, version):
        """Publish one package for each kind of vehicle, in its own format, and the release of all three."""
        gateway = self.folder / f"gateway-{version}"
        gateway.write_bytes(f"gateway {version} ".encode() * 1000)
        image = self.folder / f"board-{version}.swu"
        content = f"board {version} ".encode() * 1000
        # The board writes into its own folder.
        image.write_bytes(
            make_image(
                self.signer, self.folder / f"swu-{version}", content=content, target="installed.bin", version=version
            )
        )
        files = {GATEWAY: gateway, BOARD: image, DEVICE_TYPE: write_artifact(self.folder, version)}
        names = {GATEWAY: "gateway", BOARD: "board", DEVICE_TYPE: "app"}
        made = [
            self.publisher.packages.publish(file, PackageSpec(ROLE, names[hardware], version, [hardware]))
            for hardware, file in files.items()
        ]
        self.publisher.releases.create("mixed", version, [(package.target_name, 0) for package in made])

    def roll_out(self, name, version, **settings):
        plan = {"soak_seconds": 1, "no_way_back_reason": "It is the first."} | settings
        waves = [{"percent": "100"}]
        self.publisher.campaigns.create(name, release=("mixed", version), group="all", waves=waves, settings=plan)
        for action in ("submit", "approve", "start"):
            self.publisher.campaigns.act(name, action)

    def states(self, name):
        pk = self.publisher.campaigns.show(name)["id"]
        return {row["vehicle"]: row["state"] for row in self.api.rows(f"/campaigns/{pk}/assignments")}

    def wait_for_states(self, name, *states, seconds=120):
        wait_for(
            lambda: set(self.states(name).values()) <= set(states),
            seconds=seconds,
            what=f"{states} of {name}, in {self.folder}",
        )

    def vehicles(self):
        return {row["vehicle_id"]: row for row in self.api.rows("/vehicles")}

    def installed(self):
        return {name: vehicle["ecus"][0]["installed_version"] for name, vehicle in self.vehicles().items()}


def manage(var, *arguments):
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environment(var), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def start_car(folder, url, claim_code, stack):
    (folder / "vehicle.toml").write_text(CAR.format(url=url, claim_code=claim_code))
    command = [sys.executable, "-m", "clients.vehicle", "--config", str(folder / "vehicle.toml")]
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment(folder), stdout=log, stderr=log)
    stack.callback(process.wait, 20)
    stack.callback(process.terminate)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    skip_without_mender()
    if swupdate.missing():
        pytest.skip(swupdate.missing())
    folder = tmp_path_factory.mktemp("mixed")
    var = folder / "var"
    var.mkdir()
    with ExitStack() as stack:
        server = Server(var)
        stack.callback(server.end)
        server.start(wait=False)
        wait_for(server.is_ready, seconds=180, what=f"a ready server; {server.output}")
        manage(var, "manage.py", "create_tenant", TENANT, "--required-approvals", "0")
        token = manage(var, "manage.py", "create_token", TENANT, "first", "administrator").split()[-1]
        manage(var, "-c", f'import os; os.environ["DJANGO_SETTINGS_MODULE"] = "otaserver.settings"\n{MAKE_BOARD}')
        client = stack.enter_context(connect(server.url, token))
        publisher = Publisher(client, KeyStore.create(folder / "keys", tenant=TENANT, roles=[ROLE]))
        publisher.trust.init()
        publisher.api.patch("/tenant", {"polling_seconds": 1})
        car = folder / "car"
        publisher.trust.save_first_roots(car)
        claim = publisher.api.post("/claim-codes", {"vehicle_ids": ["CAR1"]})["claim_codes"][0]["claim_code"]
        start_car(car, server.url, claim, stack)
        signer = Signer.make(folder / "signer")
        board = Board(server.url, "BOARD1", ["-k", BOARD_TOKEN], signer.certificate)
        stack.callback(board.remove)
        board.start()
        tenant_token = publisher.api.post("/tenant-tokens", {"name": "factory"})["token"]
        device = Sandbox(folder / "device", "DEVICE1", server.url, TenantToken=tenant_token)
        expected = {"identity": {"vin": "DEVICE1"}, "public_key": pem_of(device.key)}
        publisher.api.post("/devices", {"devices": [expected]})
        stack.callback(device.end)
        device.start()
        world = Mixed(folder, server, publisher, signer, board, device)
        wait_for(
            lambda: sum(bool(row["ecus"]) for row in world.vehicles().values()) == len(VEHICLES),
            seconds=90,
            what=f"three vehicles, in {folder}",
        )
        publisher.api.post("/groups", {"name": "all", "vehicles": list(VEHICLES)})
        yield world


def test_one_campaign_brings_each_vehicle_its_own_package_and_one_stop_reaches_all_of_them(mixed):
    mixed.publish("1.1")
    mixed.roll_out("first", "1.1")

    # SWUpdate confirms after the restart that the new software causes.
    wait_for(lambda: mixed.states("first")["BOARD1"] == "installing", seconds=120, what=mixed.board.folder)
    wait_for(lambda: "SWUPDATE successful" in mixed.board.log, seconds=60, what=mixed.board.folder)
    mixed.board.stop()
    mixed.board.start(confirm=2)
    mixed.wait_for_states("first", "succeeded")

    assert mixed.installed() == dict.fromkeys(VEHICLES, "1.1")
    assert mixed.board.installed.read_bytes() == b"board 1.1 " * 1000
    assert mixed.device.running.strip() == "app 1.1"
    wait_for(lambda: mixed.publisher.campaigns.show("first")["state"] == "completed")
    evidence = {name: row["ecus"][0]["is_asserted"] for name, row in mixed.vehicles().items()}
    assert evidence == {"CAR1": False, "BOARD1": True, "DEVICE1": True}

    mixed.publish("2.0")
    # Nobody agrees: each vehicle has its order, and waits in its own way.
    mixed.roll_out("second", "2.0", consent="ask", no_way_back_reason="It is a test.")
    wait_for(lambda: mixed.states("second")["DEVICE1"] == "held", seconds=120, what=mixed.device.folder)
    wait_for(lambda: mixed.states("second")["CAR1"] == "held", seconds=120, what=mixed.folder)
    mixed.publisher.campaigns.act("second", "stop", reason="Smoke.")
    mixed.wait_for_states("second", "withdrawn")

    assert mixed.publisher.campaigns.show("second")["state"] == "halted"
    assert mixed.installed() == dict.fromkeys(VEHICLES, "1.1")
    assert mixed.board.installed.read_bytes() == b"board 1.1 " * 1000
    assert mixed.device.running.strip() == "app 1.1"
