"""Whole conversations of the real client, sent again as they were recorded."""

import json

import pytest
from django.core.signals import request_finished, request_started
from django.db import close_old_connections

from otaserver.campaigns.models import LogTail, Report
from otaserver.campaigns.rules.windows import Window
from otaserver.fleet import operations as fleet
from otaserver.fleet.authentication_models import AuthenticationSet
from otaserver.fleet.models import Vehicle
from tests.factories import NOON, make_tenant
from tests.vehicle_api.mender.stage import DEPLOYMENT, DEVICE_TYPE, order_app
from tests.vehicle_api.mender.wire import recording

pytestmark = pytest.mark.any_database

SHUT = {"action": "pause", "on_action_executed": "pause", "on_map_expire": "fail"}


@pytest.fixture(autouse=True)
def _kept_connections():
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield
    for signal in signals:
        signal.connect(close_old_connections)


@pytest.fixture
def tenant(db, server_clock):
    tenant = make_tenant("acme")
    fleet.issue_tenant_token(tenant, name="factory", token="dummy-tenant", by="test", at=NOON)
    return tenant


class Player:
    """Plays a recording to the server, and lets a test do something right before some request."""

    def __init__(self, name, clock, **plan):
        self.exchanges = recording(name)
        self.clock, self.plan = clock, plan
        self.token, self.stage = "", None
        self.answers = []
        self.polls = 0

    def play(self, before=lambda exchange: None):
        for exchange in self.exchanges:
            if exchange.is_download:
                assert "Authorization" not in exchange.headers
                continue
            self._prepare(exchange)
            before(exchange)
            answer = exchange.send(self.token)
            self.answers.append((exchange, answer))
            if exchange.path.endswith("auth_requests") and answer.status == 200:
                self.token = answer.body.decode()
        return self

    def _prepare(self, exchange):
        """Accept the device when its last try comes that was answered with a token; order when work was found."""
        if exchange.path.endswith("auth_requests") and exchange.status == 200 and not Vehicle.objects.exists():
            if not AuthenticationSet.objects.exists():
                assert exchange.send().status == 401
            fleet.accept_authentication(AuthenticationSet.objects.get(), by="mia", at=NOON)
        if "/next" in exchange.path:
            self.polls += 1
            if self.stage is None and Vehicle.objects.get().confirmed_at is not None:
                self.stage = order_app(Vehicle.objects.get(), self.clock, **self.plan)

    def statuses(self, part=""):
        return [answer.status for exchange, answer in self.answers if part in exchange.path]

    def recorded(self, part=""):
        return [exchange.status for exchange, _ in self.answers if part in exchange.path]

    def instructions(self):
        return next(answer.json() for exchange, answer in self.answers if "/next" in exchange.path and answer.body)


def reports():
    return list(Report.objects.order_by("pk").values_list("phase", "outcome", "code"))


@pytest.mark.parametrize("name", ["rsa", "ecdsa"])
def test_a_device_with_another_kind_of_key_is_let_in(tenant, server_clock, name):
    player = Player(name, server_clock).play()

    assert player.statuses() == player.recorded()


def test_an_artifact_is_installed_and_confirmed(tenant, server_clock):
    player = Player("normal", server_clock).play()

    assert player.statuses() == player.recorded()
    assert player.statuses("auth_requests") == [401, 401, 200, 200]
    assert player.stage.outcome() == ("soaking", "")
    assert player.stage.installed == "supplier/app-1.1"
    assert [phase for phase, _, _ in reports()] == ["downloading", "installing", "finished"]


def test_the_instructions_are_those_that_the_client_knows(tenant, server_clock):
    player = Player("normal", server_clock).play()

    package = player.stage.campaign.release.items.get().package
    found = player.instructions()
    source = found["artifact"].pop("source")
    assert found == {
        "id": DEPLOYMENT,
        "artifact": {"artifact_name": "app-1.1", "device_types_compatible": [DEVICE_TYPE]},
        "update_control_map": {"id": DEPLOYMENT, "priority": 0, "states": {"ArtifactInstall_Enter": SHUT}},
    }
    assert source["expire"] == "2026-06-02T12:00:00Z"
    assert source["uri"].startswith(f"http://127.0.0.1:18080/downloads/{package.sha256}?expires=")


def test_what_the_device_says_of_itself_is_kept_and_what_is_declared_can_be_filtered_by(tenant, server_clock):
    for name, kind in (("parked", "boolean"), ("battery_soc", "number")):
        fleet.declare_attribute(tenant, name=name, type=kind, by="test", at=NOON)

    Player("normal", server_clock).play()

    vehicle = Vehicle.objects.get()
    said = dict(vehicle.reported_attributes.values_list("name", "text"))
    assert (said["ecu"], said["mender_client_version"]) == ("brake, adas", "3.4.0+ds1-5+b1")
    assert said["artifact_name"] == "app-1.1"
    values = vehicle.attribute_values.values_list("attribute__name", "boolean", "number")
    assert set(values) == {("parked", True, None), ("battery_soc", None, 81.0)}
    assert vehicle.ecus.get().hardware_id == DEVICE_TYPE


def test_an_install_is_held_at_the_gate_and_released(tenant, server_clock):
    # Noon of a Monday, and a window from one o'clock.
    window = Window(weekdays=127, start_minute=13 * 60, length_minutes=60)
    player = Player("hold", server_clock, windows=[window])
    asked = []

    def before(exchange):
        if exchange.path.endswith("update_control_map"):
            asked.append(exchange)
            if len(asked) == 4:
                assert player.stage.outcome() == ("held", "window")
                server_clock.advance(hours=1)

    player.play(before)

    assert player.statuses() == player.recorded()
    maps = [(answer.json(), json.loads(exchange.answered)) for exchange, answer in player.answers if exchange in asked]
    assert len(maps) == 5
    assert all(given == recorded for given, recorded in maps)
    assert player.stage.outcome() == ("soaking", "")


def test_a_module_that_fails_is_a_failed_installation_with_its_log(tenant, server_clock):
    player = Player("failing_module", server_clock).play()

    assert player.statuses() == player.recorded()
    assert player.stage.outcome() == ("failed", "install_failed")
    assert "error Update module terminated abnormally: exit status 1" in LogTail.objects.get().text
    assert player.stage.installed == "app-1.0"


@pytest.mark.parametrize("name", ["wrong_device_type", "unsigned", "wrong_name"])
def test_an_artifact_that_the_client_refuses_as_such_is_a_failed_verification(tenant, server_clock, name):
    player = Player(name, server_clock).play()

    assert player.statuses() == player.recorded()
    assert player.stage.outcome() == ("failed", "verification_failed")
    assert reports()[-2:] == [
        ("finished", "failure", "download_failed"),
        ("finished", "failure", "verification_failed"),
    ]


def test_an_abort_stops_it_before_it_installs(tenant, server_clock):
    player = Player("abort", server_clock)

    def before(exchange):
        if b'"installing"' in exchange.body:
            player.stage.stop()

    player.play(before)

    assert player.statuses() == player.recorded()
    assert player.stage.outcome()[0] == "withdrawn"
    assert player.stage.installed == "app-1.0"


def test_what_is_installed_already_counts_as_installed(tenant, server_clock):
    player = Player("already_installed", server_clock).play()

    assert player.statuses() == player.recorded()
    assert player.stage.outcome() == ("soaking", "")


def test_every_older_form_of_asking_is_answered(tenant, server_clock):
    player = Player("older_forms", server_clock).play()

    polls = [(exchange, answer) for exchange, answer in player.answers if "/next" in exchange.path]
    asked = [(exchange.method, exchange.path.split("/")[3], answer.status) for exchange, answer in polls]
    # The recorded server knew the last form only; this one answers the first, which the client then keeps to.
    assert asked[3:6] == [("POST", "v2", 200), ("POST", "v1", 200), ("GET", "v1", 200)]
    assert asked[6:] == [("POST", "v2", 204), ("POST", "v1", 204), ("GET", "v1", 204)]
    assert ["update_control_map" in answer.json() for _, answer in polls[3:6]] == [True, False, False]
    assert player.stage.outcome() == ("soaking", "")
