"""Who uses a host: people with tokens and keys, and vehicles that prove who they are by certificates alone."""

import json
import re
import threading
import time
import uuid
from collections import Counter
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime

import httpx

from clients.publisher.api import connect
from clients.publisher.keystore import KeyStore
from clients.publisher.packages import PackageSpec
from clients.publisher.publisher import Publisher
from clients.vehicle.agent import Agent
from clients.vehicle.config import EcuConfig, VehicleConfig
from clients.vehicle.disk import read_json
from clients.vehicle.hooks import WillingHooks
from clients.vehicle.provision import install_factory
from tests.processes import wait_for

ROLE, PRODUCT = "supplier", "city-car"
VERSIONS = ("1.0", "2.0", "3.0")
# More than all buffers on the way hold.
PACKAGE_BYTES = 6 * 2**20
TIMESTAMP = "/uptane/north/director/metadata/timestamp.json"
TARGETS = "/uptane/north/director/metadata/targets.json"


class Road:
    """A tenant whose first people are the holders of two tokens; whatever they do goes through nginx."""

    def __init__(self, host, tokens):
        self.host = host
        self.folder = host.folder / "road"
        self.folder.mkdir()
        self._stack = ExitStack()
        self.author, self.approver = [self._person(token) for token in tokens]
        self.publisher = Publisher(self.author, KeyStore.create(self.folder / "keys", tenant="north", roles=[ROLE]))
        self.publisher.trust.init()
        self.publisher.trust.save_first_roots(self.folder / "roots")
        for version in VERSIONS:
            spec = PackageSpec(ROLE, "gateway", version, ("gateway",))
            self.publisher.packages.publish(self.firmware(version), spec)
            self.publisher.releases.create(PRODUCT, version, [(spec.target_name, 0)])

    def end(self):
        self._stack.close()

    def firmware(self, version):
        path = self.folder / f"gateway-{version}.bin"
        if not path.exists():
            path.write_bytes(f"gateway {version} ".encode() * (PACKAGE_BYTES // 12))
        return path

    def vehicles(self, *names):
        """Return vehicles that have left the factory with 1.0, and have enrolled."""
        answer = self.publisher.api.post("/claim-codes", {"vehicle_ids": list(names)})
        return [Car(self, each["vehicle_id"], each["claim_code"]) for each in answer["claim_codes"]]

    def start_campaign(self, name, cars, *, to, way_back):
        """Have one person draft it and another approve it; return when every car has its order."""
        self.publisher.api.post("/groups", {"name": name, "vehicles": [car.name for car in cars]})
        self.publisher.campaigns.create(
            name,
            release=(PRODUCT, to),
            group=name,
            waves=[{"percent": "100", "max_failed": 1}],
            fallback=(PRODUCT, way_back),
            settings={"soak_seconds": 1},
        )
        self.publisher.campaigns.act(name, "submit")
        number = self.publisher.campaigns.find(name)["id"]
        assert self.approver.post(f"/api/v1/campaigns/{number}/approve", json={}).status_code == 200
        self.publisher.campaigns.act(name, "start")
        wait_for(lambda: self.results(name).get("offered") == len(cars), what=f"orders of {name}")

    def results(self, name):
        return self.publisher.campaigns.show(name)["counts"]

    def _person(self, token):
        transport = httpx.HTTPTransport(verify=self.host.tls())
        return self._stack.enter_context(connect(self.host.url, token, transport=transport))


class Car:
    """The reference client on a disk of its own."""

    def __init__(self, road, name, claim_code):
        self.name, self._road = name, road
        folder = road.folder / name
        folder.mkdir()
        (folder / "vehicle.toml").write_text(
            f"""state_dir = "state"
server_url = "{road.host.url}"
ca_file = "{road.host.ca_file}"
tenant = "north"
vehicle_id = "{name}"
claim_code = "{claim_code}"
director_root = "{road.folder}/roots/director-root.tuf-1.0.json"
image_root = "{road.folder}/roots/image-root.tuf-1.0.json"

[[ecus]]
serial = "{name}-GATE"
hardware_id = "gateway"
is_primary = true
"""
        )
        self.file = folder / "vehicle.toml"
        self.config = VehicleConfig(
            state_dir=folder / "state",
            server_url=road.host.url,
            tenant="north",
            vehicle_id=name,
            ecus=(EcuConfig(f"{name}-GATE", "gateway", is_primary=True),),
            director_root=road.folder / "roots" / "director-root.tuf-1.0.json",
            image_root=road.folder / "roots" / "image-root.tuf-1.0.json",
            claim_code=claim_code,
            ca_file=road.host.ca_file,
        )
        factory = {f"{name}-GATE": (f"{ROLE}/gateway-1.0", 0, road.firmware("1.0"))}
        install_factory(self.config, factory, is_durable=False)
        assert self.run().status == "idle"
        self._forget_token()

    def run(self):
        agent = Agent(self.config, hooks=WillingHooks(), is_durable=False)
        try:
            return agent.run_once()
        finally:
            agent.close()

    @property
    def certificate(self):
        return self.config.state_dir / "certificate.pem", self.config.state_dir / "certificate.key"

    def client(self):
        """Return a kept connection with nothing but the certificate."""
        return httpx.Client(base_url=self._road.host.url, verify=self._road.host.tls(self.certificate), timeout=30)

    def _forget_token(self):
        """Leave it nothing but its certificate."""
        path = self.config.state_dir / "credentials.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"token": ""}))


class Traffic:
    """Cars, each on one kept connection: they poll, with an order they report, and repeat nothing by themselves."""

    def __init__(self, with_order, idle):
        self.answers, self.accepted = Counter(), set()
        self._drives = [(car, True) for car in with_order] + [(car, False) for car in idle]
        self._is_over = threading.Event()

    @contextmanager
    def flowing(self):
        threads = [threading.Thread(target=self._drive, args=drive) for drive in self._drives]
        for thread in threads:
            thread.start()
        try:
            wait_for(lambda: self.requests > 20 * len(threads), what="traffic")
            yield self
        finally:
            self._is_over.set()
            for thread in threads:
                thread.join()

    @property
    def requests(self):
        return sum(self.answers.values())

    def _drive(self, car, has_order):
        with car.client() as client:
            order = client.get(TARGETS).json()["signed"]["custom"].get("order")
            assert (order is not None) == has_order
            etag = ""
            while not self._is_over.is_set():
                answer = self._ask(client, "GET", TIMESTAMP, headers={"If-None-Match": etag})
                etag = answer.headers.get("ETag", "") if answer is not None else ""
                if order is not None:
                    self._report(client, order["attempt"])
                # The rest of the machine has to start processes meanwhile.
                time.sleep(0.05)

    def _report(self, client, attempt):
        report = a_report(attempt)
        answer = self._ask(client, "POST", "/uptane/north/events", json=[report])
        if answer is not None and answer.status_code == 200:
            assert answer.json() == {"accepted": 1, "rejected": []}
            self.accepted.add(report["id"])

    def _ask(self, client, method, path, **more):
        try:
            answer = client.request(method, path, **more)
        except httpx.HTTPError as error:
            self.answers[method, type(error).__name__] += 1
            return None
        self.answers[method, answer.status_code] += 1
        return answer


def came_through(car):
    """One cycle of the car, unless the server was not there yet."""
    result = car.run()
    return result if result.status != "not_now" else None


def versions_seen(car):
    """The versions of the online metadata that the vehicle has on its disk: it takes none below."""
    return {
        (repository, role): read_json(path)["signed"]["version"]
        for repository in ("director", "image")
        for role in ("snapshot", "timestamp")
        for path in (car.config.state_dir / "trust").glob(f"*/{repository}/{role}.json")
    }


def a_report(attempt):
    return {
        "id": str(uuid.uuid4()),
        "attempt": attempt,
        "ecu": "",
        "phase": "downloading",
        "outcome": "none",
        "code": "",
        "message": "",
        "progress": 10,
        "measured": {},
        "device_time": datetime.now(tz=UTC).isoformat(),
    }


def tokens_in(text):
    return re.findall(r"^ota_\S+$", text, re.M)
