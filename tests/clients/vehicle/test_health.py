"""The client's answer to the server's wish for health signals."""

import httpx
import pytest

from clients.vehicle import health
from clients.vehicle.agent import Agent
from clients.vehicle.hooks import ExecutableHooks, WillingHooks
from otaserver import clock
from otaserver.campaigns.models import Campaign, HealthReading
from otaserver.campaigns.operations import signals
from tests.campaigns.campaign_factories import tick
from tests.campaigns.health_factories import add_signals
from tests.clients.vehicle.test_real_server import InProcess, Road
from tests.vehicle_api.conftest import Clock

pytestmark = pytest.mark.any_database


class CountingHooks(WillingHooks):
    def __init__(self, **signals):
        self.found = signals
        self.asked = []

    def signals(self, names):
        self.asked.append(tuple(names))
        return self.found


@pytest.mark.parametrize(
    ("header", "names"),
    [
        (None, ()),
        ("", ()),
        ("boots, crashes", ("boots", "crashes")),
        ("boots,Boots,../x,,crashes ", ("boots", "crashes")),
        (",".join(f"s{number}" for number in range(200)), tuple(f"s{number}" for number in range(100))),
    ],
)
def test_the_header_lists_names_and_whatever_is_none_is_left_out(header, names):
    assert health.read_wanted(header) == names


def test_only_finite_numbers_that_were_asked_for_are_sent():
    measured = {"a": 1, "b": 2.5, "c": float("nan"), "d": float("inf"), "e": True, "f": "7", "g": 10**400, "mood": 1}

    assert health.usable(measured, tuple("abcdefgh")) == {"a": 1, "b": 2.5}


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("""echo '{"measured": {"boots": 2}}'""", {"boots": 2}),
        ("""echo '{"measured": {"boots": 2}}'; exit 1""", {"boots": 2}),
        ("echo nonsense", {}),
        ("exec sleep 5", {}),
    ],
)
def test_a_program_tells_its_signals_as_what_it_measured(tmp_path, script, told):
    program = tmp_path / "signals"
    program.write_text(f"#!/bin/sh\ncat > {tmp_path}/asked\n{script}\n")
    program.chmod(0o755)
    hooks = ExecutableHooks({"signals": program}, timeout_seconds=2)

    assert hooks.signals(("boots", "crashes")) == told
    assert (tmp_path / "asked").read_text() == '{"signals": ["boots", "crashes"]}'


def test_without_a_program_nothing_is_told():
    assert ExecutableHooks({}).signals(("boots",)) == {}


class Deaf(InProcess):
    """A server that does not answer where health is sent."""

    def handle_request(self, request):
        if request.url.path.endswith("/health"):
            raise httpx.ConnectError("nobody listens")
        return super().handle_request(request)


@pytest.fixture
def soaking(db, tmp_path):
    """Return a road with a car that soaks after its update to a release that states two signals."""
    source = Clock()
    with clock.using(source):
        road = Road(tmp_path, source)
        road.agent.run_once()
        campaign = road.start_campaign()
        add_signals(campaign.release, boots=3, crashes=0)
        signals.plan_signals(campaign, fitting=1, held_out=0)
        assert road.agent.run_once().status == "installed"
        yield road


def stored():
    return list(HealthReading.objects.order_by("pk").values_list("name", "value"))


def test_a_vehicle_that_soaks_sends_its_signals_once_an_hour(soaking):
    hooks = CountingHooks(boots=2, crashes=0, mood=5)
    agent = soaking.make_agent(hooks)

    for minutes in (0, 20, 20, 30):
        soaking.clock.advance(minutes=minutes)
        assert agent.run_once().status == "idle"

    assert hooks.asked == [("boots", "crashes")] * 2
    assert stored() == [("boots", 2.0), ("crashes", 0.0)] * 2


def test_a_vehicle_that_is_not_asked_sends_nothing(soaking):
    hooks = CountingHooks(boots=2)
    soaking.clock.advance(hours=9)
    tick(Campaign.objects.get(), soaking.clock.now)

    assert soaking.make_agent(hooks).run_once().status == "idle"

    assert (hooks.asked, stored()) == ([], [])


def test_a_server_that_takes_no_health_fails_no_cycle_and_is_left_alone_for_an_hour(soaking):
    hooks = CountingHooks(boots=2)
    agent = Agent(soaking.config, hooks=hooks, transport=Deaf(), clock=soaking.clock, is_durable=False)

    assert [agent.run_once().status, agent.run_once().status] == ["idle", "idle"]

    assert (len(hooks.asked), stored()) == (1, [])


def test_a_vehicle_with_nothing_to_tell_sends_nothing(soaking):
    hooks = CountingHooks(boots="two")

    assert soaking.make_agent(hooks).run_once().status == "idle"

    assert (len(hooks.asked), stored()) == (1, [])
