"""The real server in process, reached by HTTP messages alone: the publisher sees what it would see on a wire."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.core.signals import request_finished, request_started
from django.db import close_old_connections

from clients.publisher.api import connect
from clients.publisher.cli.context import Seams
from clients.publisher.cli.main import run
from clients.publisher.keystore import KeyStore
from clients.publisher.packages import PackageSpec
from clients.publisher.publisher import Publisher
from firmware_store.trust import operations as trust
from otaserver import clock
from otaserver.tenants import operations as tenants
from otaserver.tenants.models import Tenant
from otaserver.tenants.states import Role
from otaserver.wsgi import without_front
from tests import snapshots
from tests.factories import NOON, make_tenant

FIRMWARE = bytes(range(256)) * 40


@dataclass
class Wire(httpx.BaseTransport):
    """The way to the server; `before` may look at a request, change what it says, or cut the line."""

    before: Callable[[httpx.Request], None] | None = None
    after: Callable[[httpx.Request, httpx.Response], None] | None = None
    seen: list[str] = field(default_factory=list)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(f"{request.method} {request.url.path.removeprefix('/api/v1')}")
        if self.before is not None:
            self.before(request)
        response = httpx.WSGITransport(app=without_front).handle_request(request)
        response.read()
        if self.after is not None:
            self.after(request, response)
        return response


@dataclass
class Bench:
    """A tenant on the server, with its publisher's keys in a folder."""

    tenant: Tenant
    keys: KeyStore
    token: str
    wire: Wire
    now: datetime = NOON

    def publisher(self, wire: Wire | None = None, keys: KeyStore | None = None) -> Publisher:
        client = connect("http://testserver", self.token, transport=wire or self.wire)
        return Publisher(client, keys or self.keys, clock=lambda: self.now, sleep=lambda seconds: None)


@pytest.fixture
def _kept_connections() -> Iterator[None]:
    """Keep the test's transaction open across requests, as Django's own test client does."""
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield
    for signal in signals:
        signal.connect(close_old_connections)


@pytest.fixture
def bench(
    request: pytest.FixtureRequest,
    db: None,
    _kept_connections: None,
    tmp_path: Path,
    settings: Any,
) -> Iterator[Bench]:
    """A tenant without roots; with them for the tests that ask for `ready`."""
    is_ready = "ready" in request.fixturenames
    made: list[Bench] = []

    def now() -> datetime:
        return made[0].now if made else NOON

    with clock.using(now):
        tenant, token = snapshots.once(
            ("publisher", is_ready),
            lambda: _make(tmp_path / "keys", is_ready=is_ready),
            folders={"keys": tmp_path / "keys", "online": Path(settings.ONLINE_KEYS)},
        )
        made.append(Bench(tenant, KeyStore(tmp_path / "keys"), token, Wire()))
        yield made[0]


def _make(folder: Path, *, is_ready: bool) -> tuple[Tenant, str]:
    tenant = make_tenant("acme")
    trust.create_online_keys(tenant, at=NOON)
    token = tenants.issue_service_token(tenant, name="ci", role=Role.ADMINISTRATOR, by="test", at=NOON)
    made = Bench(tenant, KeyStore.create(folder, tenant="acme", roles=["supplier"]), token, Wire())
    if is_ready:
        made.publisher().trust.init()
    return tenant, token


@pytest.fixture
def ready(bench: Bench) -> Bench:
    """A bench whose roots and release role are on the server."""
    return bench


@pytest.fixture
def firmware(tmp_path: Path) -> Path:
    path = tmp_path / "engine.bin"
    path.write_bytes(FIRMWARE)
    return path


def spec(version: str = "1.0", **fields: Any) -> PackageSpec:
    values: dict[str, Any] = {"role": "supplier", "name": "engine", "hardware_ids": ("gateway",)}
    return PackageSpec(version=version, **(values | fields))


@pytest.fixture
def command(bench, monkeypatch, capsys):
    """Run a command as a pipeline does, with the environment set, and return its exit code and what it printed."""
    monkeypatch.setenv("OTA_URL", "http://testserver")
    monkeypatch.setenv("OTA_TOKEN", bench.token)
    monkeypatch.setenv("OTA_KEYS", str(bench.keys.folder))
    seams = Seams(bench.wire, clock=lambda: bench.now, sleep=lambda seconds: None)

    def invoke(*arguments):
        code = run(arguments, seams=seams)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return invoke
