"""A tenant whose vehicles speak DDI, one vehicle with a token, and a campaign that has an order for it."""

import json
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from otaserver.campaigns.models import Assignment, Campaign
from otaserver.fleet import operations as fleet
from otaserver.fleet.models import Vehicle
from otaserver.fleet.operations import KeylessEcu
from otaserver.fleet.states import Protocol
from otaserver.tenants.models import Tenant
from tests import snapshots
from tests.campaigns.campaign_factories import is_plain, make_running, make_versions, tick
from tests.factories import NOON, make_group, make_release, make_tenant
from tests.vehicle_api.conftest import make_stored_package

TOKEN = "0123456789abcdef0123456789abcdef"
GATEWAY = "gateway-secret"
CONTENT = bytes(range(256)) * 40
RAUC = "rauc-hawkbit-c-agent/1.0"
SWUPDATE = "libcurl-agent/1.0"


@dataclass
class Device:
    """Requests of one vehicle, below its own address."""

    tenant: Tenant
    controller: str = "dev1"
    authorization: str = f"TargetToken {TOKEN}"
    client: Client = field(default_factory=Client)
    headers: dict[str, str] = field(default_factory=dict)

    def _headers(self, others):
        named = {name.replace("_", "-"): value for name, value in others.items()}
        given = {"Authorization": self.authorization} if self.authorization else {}
        return {"User-Agent": SWUPDATE} | given | self.headers | named

    def address(self, path=""):
        return f"/{self.tenant.name}/controller/v1/{self.controller}{path}"

    def get(self, path="", **headers):
        return self.client.get(self.address(path), headers=self._headers(headers))

    def head(self, path="", **headers):
        return self.client.head(self.address(path), headers=self._headers(headers))

    def send(self, method, path, body, content_type="application/json", **headers):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.client.generic(
            method, self.address(path), data, content_type=content_type, headers=self._headers(headers)
        )

    def post(self, path, body, **more):
        return self.send("POST", path, body, **more)

    def put(self, path, body, **more):
        return self.send("PUT", path, body, **more)

    def links(self):
        return {name: link["href"] for name, link in self.get().json().get("_links", {}).items()}

    def say(self, execution, finished="none", number=1, resource="deploymentBase", **more):
        """Send feedback, and return the status of its answer."""
        progress = {"progress": more.pop("progress")} if "progress" in more else {}
        body = {
            "id": str(number),
            "status": {"execution": execution, "result": {"finished": finished} | progress} | more,
        }
        return self.post(f"/{resource}/{number}/feedback", body).status_code

    def fetch(self, path, **headers):
        """Return the answer to a download and its bytes."""
        answer = self.get(path, **headers)
        return answer, b"".join(answer.streaming_content) if answer.streaming else answer.content


@dataclass
class World:
    tenant: Tenant
    vehicle: Vehicle
    device: Device
    campaign: Campaign

    @property
    def assignment(self) -> Assignment:
        return self.campaign.assignments.select_related("vehicle", "campaign").get()

    @property
    def state(self) -> str:
        return self.assignment.state

    @property
    def package(self) -> Any:
        return self.campaign.release.items.get().package

    @property
    def artifact(self) -> str:
        return f"/softwaremodules/{self.package.pk}/artifacts/{self.package.filename}"

    def tick(self, at=NOON):
        tick(self.campaign, at)


def make_device(tenant, controller="dev1", *, hardware=("board",), token=TOKEN, **headers):
    """A DDI vehicle of the tenant, with its token, and how it speaks."""
    ecus = [KeylessEcu(f"{controller}-{n}" if n else controller, hw) for n, hw in enumerate(hardware)]
    vehicle = fleet.declare_vehicle(tenant, controller, protocol=Protocol.DDI, ecus=ecus, at=NOON)
    fleet.give_token(vehicle, token=token, by="alice", at=NOON)
    return vehicle, Device(tenant, controller, f"TargetToken {token}", headers=headers)


def make_world(client="", hardware=("board",), content=CONTENT, **plan):
    """The world of most tests here, made once a process for each kind of it."""
    make = partial(_make_world, client, hardware, content, **plan)
    if not all(is_plain(value) for value in plan.values()):
        return make()
    blobs = Path(settings.STORAGES["default"]["OPTIONS"]["location"])
    return snapshots.once(("ddi", client, hardware, content, repr(plan)), make, folders={"blobs": blobs})


def _make_world(client, hardware, content, **plan):
    tenant = make_tenant("acme")
    vehicle, device = make_device(tenant, hardware=hardware)
    if client:
        device.headers["User-Agent"] = client
        fleet.record_client(vehicle, client)
    packages = [
        make_stored_package(
            tenant,
            content + bytes([n]) * n,
            hw,
            "2.0",
            hardware_ids=(hw,),
            filename=f"{hw}.swu",
            sha1=f"{n + 1:040x}",
            md5=f"{n + 1:032x}",
        )
        for n, hw in enumerate(dict.fromkeys(hardware))
    ]
    new = make_release(tenant, *packages, name="car", version="2.0")
    old = plan.pop("old", None) or make_versions(tenant, hardware=tuple(dict.fromkeys(hardware)))
    campaign = make_running(tenant=tenant, old=old, release=new, group=make_group(tenant, vehicle), **plan)
    return World(tenant, vehicle, device, campaign)


@pytest.fixture
def world(db, server_clock):
    return make_world()


@pytest.fixture
def device(world):
    return world.device
