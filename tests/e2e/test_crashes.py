"""What dies in the middle of a campaign changes nothing about how it ends."""

import os
import signal
import threading

import pytest

from clients.fleet.behaviour import Behaviour
from otaserver.demo.fleet_plan import release_label
from tests.processes import wait_for

pytestmark = [pytest.mark.long, pytest.mark.e2e, pytest.mark.xdist_group("heavy")]

VEHICLES = 8


def kill_the_worker(stage):
    worker = stage.server.child("celery", "worker")
    os.kill(worker, signal.SIGKILL)
    wait_for(lambda: stage.server.child("celery", "worker") not in (None, worker), what="another worker")


def empty_redis(stage):
    stage.redis.flushall()


def restart_the_server(stage):
    stage.server.stop(signal.SIGKILL)
    # Its processes notice a moment later, and hold the ports until then.
    wait_for(lambda: try_to_start(stage.server), seconds=90, what="the server on its old port")


def empty_and_restart(stage):
    empty_redis(stage)
    restart_the_server(stage)


def try_to_start(server):
    try:
        server.start()
    except AssertionError:
        return False
    return True


@pytest.mark.any_database
def test_a_bad_release_is_halted_and_taken_back_whatever_dies_meanwhile(stage):
    stage.prepare(VEHICLES, behaviours={release_label("2.0"): Behaviour(health_failure=0.8)})
    operator = stage.operator
    with stage.fleet_running():
        operator.wait_for_fleet(VEHICLES, "1.0", lambda count: None)
        operator.make_group(VEHICLES)
        state, counts = run_disturbed(stage, "2.0", "1.0", kill_the_worker)
        back = operator.roll_back("to 2.0", "back", "1.0", once(lambda campaign: empty_and_restart(stage)))

    assert state == "halted"
    assert counts["failed"] >= 4
    assert back["state"] == "completed"
    assert back["counts"]["succeeded"] >= 1
    assert stage.runs() == {release_label("1.0"): VEHICLES}


def once(act):
    done = threading.Event()

    def look(campaign):
        if not done.is_set():
            done.set()
            act(campaign)

    return look


def run_disturbed(stage, version, previous, disturb):
    """Run a campaign; once its second wave is open, let something die."""
    disturbed = threading.Event()

    def look(campaign):
        if not disturbed.is_set() and campaign["waves"][1]["state"] != "waiting":
            disturbed.set()
            assert campaign["state"] == "running"
            disturb(stage)

    ended = stage.operator.roll_out(f"to {version}", version, previous, look)
    assert disturbed.is_set()
    return ended["state"], {state: count for state, count in ended["counts"].items() if count}
