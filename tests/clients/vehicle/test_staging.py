"""Until it is switched, an order can be withdrawn; what Secondaries have verified lasts as long as its permit."""

import errno
import json
import os
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest

from clients.vehicle.hooks import HookResult, Verdict
from tests.clients.vehicle.repositories import stamp
from tests.clients.vehicle.test_agent import TIMESTAMP, hold, use

DAY = 86_400
IS_PARKED = [{"name": "parked", "operator": "==", "value": True}]
PARKED = HookResult(measured={"parked": True})


@pytest.fixture
def new(oem, vehicle):
    return oem.publish_release("2.0", counter=2)


@pytest.fixture
def old(vehicle):
    return vehicle.runs()


def step(vehicle):
    return json.loads((vehicle.config.state_dir / "journal.json").read_text())["step"]


def wait_in_staging(vehicle, oem, new, **order):
    """Begin to stage; the install hook wants more time. Returns hooks and attempt."""
    hooks = use(vehicle, install=HookResult(Verdict.NOT_YET, "flash is warm"), preconditions=PARKED)
    attempt = oem.order(new, **order)
    assert vehicle.run().status == "waiting"
    assert step(vehicle) == "staging"
    return hooks, attempt


def renew(vehicle, oem):
    """Sign everything again, for the vehicle's present."""
    oem.at = oem.director.at = oem.image.at = vehicle.at
    oem.image.publish()
    oem.director.publish_timestamp()


@pytest.mark.parametrize("is_restarted", [True, False])
def test_a_stop_reaches_an_order_whose_install_hook_wants_more_time(vehicle, oem, old, new, is_restarted):
    hooks, attempt = wait_in_staging(vehicle, oem, new)
    oem.order_nothing()
    hooks.answers.clear()
    if is_restarted:
        vehicle.restart()

    assert vehicle.run().status == "withdrawn"

    assert vehicle.runs() == old
    assert oem.finished(attempt) == [("refused", "withdrawn")]
    assert "installing" not in oem.phases(attempt)


def test_a_stop_reaches_an_order_while_it_is_staged(vehicle, oem, old, new):
    attempt = oem.order(new)
    hooks = use(vehicle)
    hooks.install = lambda _image: oem.order_nothing() or HookResult()

    assert vehicle.run().status == "withdrawn"

    assert vehicle.runs() == old
    assert oem.finished(attempt) == [("refused", "withdrawn")]
    assert oem.phases(attempt) == ["downloading", "downloaded", "finished"]


@pytest.fixture
def full(monkeypatch):
    """No ECU has room for its slot."""
    make = os.mkdir

    def refuse(path, *arguments, **settings):
        if os.path.basename(path) == "b":
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        make(path, *arguments, **settings)

    monkeypatch.setattr(os, "mkdir", refuse)


def test_a_stop_reaches_an_order_for_an_ecu_that_is_full(vehicle, oem, old, new, full):
    attempt = oem.order(new)
    assert [vehicle.run().status for _ in range(2)] == ["not_now", "not_now"]
    oem.order_nothing()

    assert vehicle.run().status == "withdrawn"

    assert oem.finished(attempt) == [("refused", "withdrawn")]


def test_an_order_for_an_ecu_that_stays_full_fails(vehicle, oem, old, new, full):
    oem.director.lifetimes["timestamp"] = oem.image.lifetimes["timestamp"] = 10
    oem.image.publish()
    attempt = oem.order(new)
    assert vehicle.run().status == "not_now"
    vehicle.later(days=4)

    assert vehicle.run().status == "failed"

    assert oem.finished(attempt) == [("failure", "install_failed")]


def test_an_order_whose_install_hook_never_ends_fails_with_what_it_waited_for(vehicle, oem, old, new):
    oem.director.lifetimes["timestamp"] = oem.image.lifetimes["timestamp"] = 10
    oem.image.publish()
    vehicle.config = replace(vehicle.config, limits=replace(vehicle.config.limits, staging_seconds=2 * DAY))
    _, attempt = wait_in_staging(vehicle, oem, new)
    vehicle.later(hours=47)
    assert vehicle.run().status == "waiting"
    vehicle.later(hours=2)

    assert vehicle.run().status == "failed"

    assert vehicle.runs() == old
    assert oem.finished(attempt) == [("failure", "install_failed")]
    assert oem.manifests[-1]["report"]["message"] == "not ready within 172800 s: P1: flash is warm"
    assert "installing" not in oem.phases(attempt)


def test_a_gate_that_closes_again_holds_what_is_being_staged(vehicle, oem, old, new):
    hooks, attempt = wait_in_staging(vehicle, oem, new, preconditions=IS_PARKED)
    hooks.answers = {"preconditions": HookResult(Verdict.NOT_YET, "driving")}

    assert vehicle.run().status == "held"
    assert step(vehicle) == "gate"
    hooks.answers = {"preconditions": PARKED}

    assert vehicle.run().status == "installed"
    assert oem.phases(attempt) == ["downloading", "downloaded", "held", "installing", "installed", "finished"]


def test_installing_is_said_when_there_is_no_way_back_any_more(vehicle, oem, new):
    attempt = oem.order(new)
    hooks = use(vehicle)
    heard = []
    hooks.install = lambda _image: heard.append(oem.phases(attempt)) or HookResult()
    hooks.health = lambda _release: heard.append(oem.phases(attempt)) or HookResult()

    vehicle.run()

    assert "installing" not in heard[0] + heard[1] + heard[2]
    assert heard[3][-1] == "installing"


def test_without_an_answer_right_before_the_switch_nothing_is_switched(vehicle, oem, old, new):
    oem.order(new)
    hooks = use(vehicle)

    def lose_the_network(_image):
        oem.is_down = True
        return HookResult()

    hooks.install = lose_the_network

    assert vehicle.run().status == "not_now"

    assert (vehicle.runs(), step(vehicle)) == (old, "staging")
    oem.is_down = False
    hooks.install = lambda _image: HookResult()
    assert vehicle.run().status == "installed"


def test_an_answer_that_is_older_than_a_minute_is_no_permit(vehicle, oem, old, new):
    oem.order(new)
    honest = oem.director.files["timestamp.json"]

    def slow(_request):
        vehicle.later(seconds=61)
        return httpx.Response(200, content=honest)

    oem.overrides[TIMESTAMP] = slow

    result = vehicle.run()

    assert (result.status, result.detail.partition(":")[0]) == ("not_now", "permit.late")
    assert vehicle.runs() == old
    oem.overrides.clear()
    assert vehicle.run().status == "installed"


def test_grace_of_more_than_a_day_outlasts_the_directors_timestamp(vehicle, oem, new):
    attempt = hold(vehicle, oem, new, grace_hours=48)
    oem.is_down = True
    vehicle.restart()
    vehicle.later(hours=47)

    assert vehicle.run().status == "installed"

    assert vehicle.runs() == new
    oem.is_down = False
    renew(vehicle, oem)
    vehicle.run()
    assert oem.finished(attempt) == [("success", "")]
    assert oem.attacks() == []


def test_secondaries_verify_anew_while_an_order_waits(vehicle, oem, new):
    hooks = use(vehicle, preconditions=HookResult(Verdict.NOT_YET))
    oem.order(new, grace_hours=12, preconditions=IS_PARKED)
    for _ in range(4):
        assert vehicle.run().status == "held"
        vehicle.later(hours=20)
        renew(vehicle, oem)
    assert vehicle.run().status == "held"
    hooks.answers = {"preconditions": PARKED}
    oem.is_down = True
    vehicle.later(hours=11)

    assert vehicle.run().status == "installed"


def test_thirty_hours_without_power_while_staging_are_no_attack(vehicle, oem, new):
    hooks, attempt = wait_in_staging(vehicle, oem, new)
    vehicle.later(hours=30)
    vehicle.restart()
    hooks.answers.clear()
    oem.is_down = True
    assert vehicle.run().status == "not_now"
    oem.is_down = False
    renew(vehicle, oem)

    assert vehicle.run().status == "installed"

    assert oem.finished(attempt) == [("success", "")]
    assert oem.attacks() == []


def test_an_order_that_a_secondary_cannot_confirm_any_more_is_not_now(vehicle, oem, old, new):
    attempt = hold(vehicle, oem, new, grace_hours=48)
    kept = vehicle.config.state_dir / "ecus/S1/wanted.json"
    document = json.loads(kept.read_text())
    kept.write_text(json.dumps(document | {"expires_at": "2026-01-01T00:00:00Z"}))
    oem.is_down = True
    vehicle.later(hours=30)

    result = vehicle.run()

    assert (result.status, result.detail.partition(":")[0]) == ("not_now", "order.unconfirmed")
    oem.is_down = False
    renew(vehicle, oem)
    assert vehicle.run().status == "installed"
    assert oem.finished(attempt) == [("success", "")]
    assert oem.attacks() == []


def test_a_secondary_that_has_forgotten_what_it_verified_is_not_now(vehicle, oem, old, new):
    attempt = hold(vehicle, oem, new)
    (vehicle.config.state_dir / "ecus/S1/wanted.json").unlink()

    result = vehicle.run()

    assert (result.status, result.detail.partition(":")[0]) == ("not_now", "order.unconfirmed")
    assert vehicle.run().status == "installed"
    assert oem.finished(attempt) == [("success", "")]
    assert oem.attacks() == []


def test_a_secondary_whose_time_is_ahead_is_not_now(vehicle, oem, old, new):
    trusted = vehicle.config.state_dir / "ecus/S1/trust/current/time.json"
    trusted.write_text(json.dumps({"signed_time": stamp(oem.at + timedelta(days=2))}))
    attempt = oem.order(new)

    result = vehicle.run()

    assert (result.status, result.detail.partition(":")[0]) == ("not_now", "metadata.expired")
    assert (oem.finished(attempt), oem.attacks()) == ([], [])


def test_a_secondary_refuses_before_anything_is_downloaded(vehicle, oem, old, new):
    (vehicle.config.state_dir / "ecus/S1/release_counter").write_text("9")
    attempt = oem.order(new)

    assert vehicle.run().detail.startswith("image_rollback: S1:")

    assert not [path for path in oem.paths() if path.startswith("/downloads")]
    assert oem.finished(attempt) == [("failure", "verification_failed")]
