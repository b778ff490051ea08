"""A tenant whose metadata the real publisher has signed, a shared credential, and vehicles with aktualizr."""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.test import override_settings

from clients.publisher.keystore import KeyStore
from clients.publisher.packages import PackageSpec
from firmware_store.models import Package, Release
from firmware_store.trust import operations as trust
from otaserver import clock
from otaserver.campaigns.models import Campaign
from otaserver.fleet.models import Vehicle
from otaserver.fleet.provisioning_models import ProvisioningCredential
from otaserver.tenants import operations as tenants
from otaserver.tenants.models import Tenant
from otaserver.tenants.states import Role
from tests.campaigns.campaign_factories import make_running
from tests.clients.publisher.conftest import Bench, Wire
from tests.factories import NOON, make_group, make_release, make_tenant
from tests.fleet import provisioned
from tests.vehicle_api.aktualizr.simulated import PROXY, RSA_KEYS, Aktualizr, Ecu

OLD, NEW = b"old firmware " * 50, b"new firmware " * 5000


@dataclass
class Yard:
    """Everything that a vehicle needs to be there; `now` is the server's time, and the vehicles'."""

    bench: Bench
    folder: Path
    shared: bytes

    @property
    def tenant(self):
        return self.bench.tenant

    @property
    def now(self) -> datetime:
        return self.bench.now

    def advance(self, **duration: float) -> None:
        self.wait_until(self.now + timedelta(**duration))

    def wait_until(self, moment: datetime) -> None:
        """Let time pass; the server's clock has kept its own metadata fresh."""
        self.bench.now = moment
        trust.refresh_online(self.tenant, at=moment)

    def publish(
        self, name: str, version: str, content: bytes, *, hardware: str = "gateway", role: str = "supplier"
    ) -> Package:
        path = self.folder / f"{name}-{version}.bin"
        path.write_bytes(content)
        spec = PackageSpec(role, name, version, (hardware,), release_counter=0)
        return Package.objects.get(pk=self.bench.publisher().packages.publish(path, spec).id)

    def release(self, *packages: Package) -> Release:
        return make_release(self.tenant, *packages)

    def vehicle(
        self,
        device_id: str = "VIN1",
        *,
        secondary: bool = False,
        registered: bool = True,
        runs: Sequence[Package] = (),
    ) -> Aktualizr:
        """Provision a vehicle with the shared credential; registered, it has told what its ECUs run, in their order."""
        ecus = [Ecu(f"PRIM-{device_id}", "gateway")]
        if secondary:
            ecus.append(Ecu(f"SEC-{device_id}", "brake", RSA_KEYS[0]))
        for ecu, package in zip(ecus, runs, strict=False):
            ecu.image = (package.target_name, package.length, package.sha256)
        client = Aktualizr(ecus)
        client.provision(self.shared, device_id)
        if registered:
            assert client.register().status_code == 201
            assert client.send_manifest().json() == {"findings": []}
        return client

    def campaign(self, *vehicles: str, old: Release, new: Release, **plan: Any) -> Campaign:
        """Bring a release to vehicles that run the old one; the first wave is offered."""
        rows = Vehicle.objects.filter(vehicle_id__in=vehicles)
        group = make_group(self.tenant, *rows)
        return make_running(tenant=self.tenant, old=old, release=new, group=group, **plan)


def _let_connections_go() -> None:
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


def _keep_connections(*of_a_request: Any) -> None:
    """Keep the test's transaction open across a request of the publisher; Django's own client connects these anew."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)


def _bench(tenant: Tenant, folder: Path) -> Bench:
    keys = KeyStore(folder / "keys")
    return Bench(tenant, keys, (folder / "token").read_text(), Wire(before=_keep_connections))


@pytest.fixture(scope="module")
def _laid_out(kept: Any) -> Path:
    """The tenant with its metadata, two published versions and a shared credential, made once for all of a module."""

    def make(folder: Path) -> None:
        tenant = make_tenant("acme")
        trust.create_online_keys(tenant, at=NOON)
        token = tenants.issue_service_token(tenant, name="ci", role=Role.ADMINISTRATOR, by="test", at=NOON)
        (folder / "token").write_text(token)
        KeyStore.create(folder / "keys", tenant="acme", roles=["supplier", "chips"])
        with clock.using(lambda: NOON), override_settings():
            provisioned.write_server_ca(settings, folder)
            _, shared = provisioned.unpacked(provisioned.issue(tenant).archive)
            (folder / "shared.p12").write_bytes(shared)
            bench = _bench(tenant, folder)
            bench.publisher().trust.init()
            yard = Yard(bench, folder, shared)
            for version, content in (("1.0", OLD), ("2.0", NEW)):
                yard.release(yard.publish("gateway", version, content))
        _let_connections_go()

    return Path(kept(make))


@pytest.fixture
def yard(_laid_out: Path, db: None, settings: Any, tmp_path: Path) -> Iterator[Yard]:
    shutil.copytree(_laid_out, tmp_path, dirs_exist_ok=True)
    settings.TRUSTED_PROXIES = [PROXY]
    settings.SERVER_CA = str(tmp_path / "server-ca.pem")
    bench = _bench(Tenant.objects.get(name="acme"), tmp_path)
    with clock.using(lambda: bench.now):
        yield Yard(bench, tmp_path, (tmp_path / "shared.p12").read_bytes())
    _let_connections_go()


@dataclass
class Factory:
    """Vehicles that provision themselves, with no metadata for them yet: for tests about who may say what."""

    tenant: Tenant
    provisioner: ProvisioningCredential
    shared: bytes

    def vehicle(self, device_id: str = "VIN1", *, secondary: bool = False, registered: bool = True) -> Aktualizr:
        ecus = [Ecu(f"PRIM-{device_id}", "gateway")]
        if secondary:
            ecus.append(Ecu(f"SEC-{device_id}", "brake", RSA_KEYS[0]))
        client = Aktualizr(ecus)
        client.provision(self.shared, device_id)
        if registered:
            assert client.register().status_code == 201
        return client


@pytest.fixture
def factory(db: None, server_clock: Any, settings: Any, tmp_path: Path) -> Factory:
    settings.TRUSTED_PROXIES = [PROXY]
    provisioned.write_server_ca(settings, tmp_path)
    tenant = make_tenant("acme")
    issued = provisioned.issue(tenant)
    return Factory(tenant, issued.credential, provisioned.unpacked(issued.archive)[1])


@dataclass
class Software:
    """Two versions for the gateway, published, each with a release."""

    yard: Yard
    old: Package
    new: Package
    before: Release
    after: Release

    def vehicle(self, device_id: str = "VIN1", **more: Any) -> Aktualizr:
        """A vehicle whose gateway runs the old version."""
        return self.yard.vehicle(device_id, runs=[self.old], **more)


@pytest.fixture
def software(yard: Yard) -> Software:
    old, new = Package.objects.order_by("pk")
    before, after = Release.objects.order_by("pk")
    return Software(yard, old, new, before, after)
