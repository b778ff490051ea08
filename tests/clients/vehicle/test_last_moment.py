"""What may change between a question and the switch, and between an end and its being closed."""

import json
from datetime import timedelta

import pytest

from clients.vehicle.hooks import HookResult, Verdict, WillingHooks
from tests.clients.vehicle.conftest import NOON
from tests.clients.vehicle.repositories import stamp
from tests.clients.vehicle.test_agent import use
from tests.clients.vehicle.test_staging import IS_PARKED, PARKED


class PulledPlug(BaseException):
    """The power went."""


@pytest.fixture
def new(oem, vehicle):
    return oem.publish_release("2.0", counter=2)


@pytest.fixture
def old(vehicle):
    return vehicle.runs()


class SlowHooks(WillingHooks):
    """The second question takes five minutes, in which something happens."""

    def __init__(self, meanwhile):
        self._meanwhile = meanwhile
        self._asked = 0

    def preconditions(self, conditions):
        self._asked += 1
        if self._asked == 2:
            self._meanwhile()
        return PARKED


def test_a_stop_while_the_last_question_is_answered_is_heard(vehicle, oem, old, new):
    def stop():
        vehicle.later(seconds=290)
        oem.order_nothing()

    use_hooks(vehicle, SlowHooks(stop))
    attempt = oem.order(new, preconditions=IS_PARKED)

    assert vehicle.run().status == "withdrawn"

    assert (vehicle.runs(), oem.finished(attempt)) == (old, [("refused", "withdrawn")])


def test_a_window_that_shuts_while_the_last_question_is_answered_holds(vehicle, oem, old, new):
    use_hooks(vehicle, SlowHooks(lambda: vehicle.later(seconds=290)))
    oem.order(new, preconditions=IS_PARKED, windows=[[stamp(NOON), stamp(NOON + timedelta(minutes=2))]])

    assert vehicle.run().status == "held"

    assert vehicle.runs() == old


def use_hooks(vehicle, hooks):
    vehicle.hooks = hooks
    vehicle.restart()


def pull_the_plug_once_noted(vehicle, attempt):
    """Let the power go when the end of the attempt is on disk and the journal is not closed yet."""

    def checkpoint(name):
        path = vehicle.config.state_dir / "state.json"
        if name == "after state.json" and attempt in json.loads(path.read_text())["finished"]:
            raise PulledPlug

    vehicle.restart()
    vehicle._agent = vehicle.make_agent(checkpoint=checkpoint)
    with pytest.raises(PulledPlug):
        vehicle.run()
    vehicle.restart()


def test_an_order_that_the_owner_refused_stays_refused_after_a_power_cut(vehicle, oem, old, new):
    hooks = use(vehicle, consent=HookResult(Verdict.NO, decision="no"))
    attempt = oem.order(new, consent={"kind": "ask"})
    pull_the_plug_once_noted(vehicle, attempt)
    hooks.answers = {"consent": HookResult(decision="yes")}

    vehicle.run()
    vehicle.run()

    assert (vehicle.runs(), oem.finished(attempt)) == (old, [("refused", "consent_refused")])


def test_an_installation_that_failed_is_not_begun_again_after_a_power_cut(vehicle, oem, old, new):
    hooks = use(vehicle, install=HookResult(Verdict.NO, "bad flash"))
    attempt = oem.order(new)
    pull_the_plug_once_noted(vehicle, attempt)
    hooks.answers.clear()

    vehicle.run()
    vehicle.run()

    assert (vehicle.runs(), oem.finished(attempt)) == (old, [("failure", "install_failed")])


def test_what_is_on_trial_is_no_proof_yet(vehicle, oem, old, new):
    hooks = use(vehicle, health=HookResult(Verdict.NOT_YET, "warming up"))
    oem.order(new)

    assert vehicle.run().status == "waiting"
    vehicle.later(hours=9)
    assert vehicle.run().status == "waiting"

    assert oem.installed() == old
    hooks.answers = {"health": HookResult(Verdict.NO, "no brakes")}
    vehicle.run()
    assert (vehicle.runs(), oem.installed()) == (old, old)


def test_a_dead_clock_gives_no_grace(vehicle, oem, old, new):
    hooks = use(vehicle, preconditions=HookResult(Verdict.NOT_YET))
    oem.order(new, grace_hours=2, preconditions=IS_PARKED)
    assert vehicle.run().status == "held"
    hooks.answers = {"preconditions": PARKED}
    oem.is_down = True
    vehicle.at = NOON - timedelta(days=2000)
    vehicle.restart()

    assert vehicle.run().status == "not_now"

    assert vehicle.runs() == old


def test_an_ecu_in_place_of_another_starts_in_its_first_slot(vehicle, oem, new):
    oem.order(new)
    vehicle.run()
    path = vehicle.config.state_dir / "commit.json"
    commit = json.loads(path.read_text())
    del commit["slots"]["S1"]
    path.write_text(json.dumps(commit))

    vehicle.restart()

    assert vehicle.run().status == "idle"
