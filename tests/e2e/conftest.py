"""A stage for journeys: the real server, an operator with keys, and a small simulated fleet, all as processes."""

import secrets
import subprocess
import sys
from contextlib import contextmanager

import pytest
import redis

from clients.fleet.plan import save_plan
from clients.fleet.report import read_fleet
from otaserver.demo.firmware import make_up_firmware
from otaserver.demo.fleet_plan import plan_fleet
from otaserver.demo.scenario import Operator, notes_for
from tests.processes import ROOT, Server, command_of, environment

VERSIONS = ("1.0", "2.0", "3.0", "4.0")


class Stage:
    """A server with releases 1.0 to 4.0 published, and a fleet that left the factory with 1.0."""

    def __init__(self, server, operator, folder, redis):
        self.server = server
        self.folder = folder
        self.operator = operator
        self.plan = None
        self.redis = redis

    def prepare(self, vehicles, behaviours=None):
        self.operator.establish_trust()
        firmware = {version: make_up_firmware(self.folder / "firmware", version) for version in VERSIONS}
        for version in VERSIONS:
            self.operator.publish(version, firmware[version], notes_for(version))
        self.plan = plan_fleet(
            self.operator.claim_codes(vehicles),
            factory=firmware["1.0"],
            versions=VERSIONS,
            behaviours=behaviours or {},
            roots=self.operator.roots,
        )
        save_plan(self.plan, self.folder / "fleet.json")

    @contextmanager
    def fleet_running(self):
        command = [sys.executable, "-m", "clients.fleet", "run", str(self.folder / "fleet.json")]
        command += ["--folder", str(self.folder / "fleet"), "--url", self.server.url, "--threads", "4"]
        with (self.folder / "fleet.log").open("ab") as log:
            process = subprocess.Popen(command, cwd=ROOT, env=environment(self.folder), stdout=log, stderr=log)
        try:
            yield
            assert process.poll() is None, (self.folder / "fleet.log").read_text()
        finally:
            process.terminate()
            process.wait(20)

    def runs(self):
        """How many vehicles start which release, by their own disks."""
        report = read_fleet(self.folder / "fleet", self.plan.releases)
        assert report.unsound == []
        return dict(report.by_release)


def redis_of(server):
    """The Redis that the embedded server has started for itself."""
    # Redis writes into its own command line where it listens: `redis-server unixsocket:/path`.
    _, _, path = command_of(server.child("redis-server")).partition("unixsocket:")
    return redis.Redis(unix_socket_path=path.strip())


def in_production(server, more):
    """Set up what an administrator sets up: tables, the tenant, a token."""

    def manage(*arguments):
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=environment(server.var, **more),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    manage("migrate", "--verbosity", "0")
    manage("create_tenant", "default", "--required-approvals", "0")
    return manage("create_token", "default", "first", "administrator").split()[-1]


@pytest.fixture
def stage(tmp_path, database_url, redis_socket):
    """The embedded default, or, where the tests run on PostgreSQL, the same server in its production settings."""
    var = tmp_path / "var"
    var.mkdir()
    more = in_its_own_places(tmp_path, database_url, redis_socket) if database_url else {}
    server = Server(var, **more)
    try:
        token = in_production(server, more) if more else ""
        server.start()
        token = token or (var / "operator-token").read_text().strip()
        broker = redis.Redis(unix_socket_path=str(redis_socket)) if more else redis_of(server)
        with Operator.at(server.url, token, tmp_path) as operator, broker:
            yield Stage(server, operator, tmp_path, broker)
    finally:
        server.end()


@pytest.fixture(scope="package")
def shared_stage(tmp_path_factory):
    """An embedded server with its trust made, whose targets are public: for tests that leave others' alone."""
    folder = tmp_path_factory.mktemp("shared-stage")
    server = Server(folder / "var")
    try:
        server.start()
        token = (server.var / "operator-token").read_text().strip()
        with Operator.at(server.url, token, folder) as operator, redis_of(server) as broker:
            operator.establish_trust()
            operator.publisher.api.patch("/tenant", {"has_public_targets": True})
            yield Stage(server, operator, folder, broker)
    finally:
        server.end()


def in_its_own_places(folder, database_url, redis_socket):
    """All that production asks for."""
    return {
        "DATABASE_URL": database_url,
        "REDIS_URL": f"redis+socket://{redis_socket}",
        "OTA_STORAGE_URL": f"file://{folder / 'blobs'}",
        "OTA_SECRET_KEY": secrets.token_urlsafe(40),
        "OTA_URL_SECRET": secrets.token_urlsafe(40),
        "OTA_ONLINE_KEYS": str(folder / "online-keys"),
        "OTA_ALLOWED_HOSTS": "127.0.0.1",
    }
