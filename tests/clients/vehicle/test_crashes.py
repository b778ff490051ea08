"""A29 of wire/uptane.md 6.1: killed (SIGKILL) at every point where something is written, and in every download.

The client runs in a forked process, which kills itself at its n-th checkpoint; what it leaves on disk is then taken up
by a new client in this process.
"""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime

import pytest

from clients.vehicle.hooks import HookResult, Verdict, WillingHooks
from tests.clients.vehicle.sockets import serving
from tests.clients.vehicle.vehicles import Vehicle, install_old_release, what_runs


class SickHooks(WillingHooks):
    def health(self, release):
        return HookResult(Verdict.NO, "no signal from the brakes")


def in_child(act):
    """Run `act` in a forked process; returns how it ended (negative: the signal)."""
    child = os.fork()
    if child == 0:
        try:
            act()
            os._exit(0)
        except BaseException:
            os._exit(99)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


class Plug:
    """Pulled at the n-th checkpoint."""

    def __init__(self, number):
        self.left = number
        self.passed = []

    def __call__(self, name):
        self.passed.append(name)
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def copy_state(source, target):
    shutil.copytree(source, target, symlinks=True)


def checkpoints_of(vehicle, folder):
    """The names of all checkpoints that one whole cycle passes, tried on a copy."""
    copy_state(vehicle.config.state_dir, folder)
    plug = Plug(0)
    agent = vehicle.make_agent(checkpoint=plug)
    agent.run_once()
    shutil.rmtree(vehicle.config.state_dir)
    copy_state(folder, vehicle.config.state_dir)
    return plug.passed


def is_distinct(name):
    """Between the end of one write and the start of the next nothing happens, except around what decides."""
    return not name.startswith("after") or name in ("after journal.json", "after commit.json", "after trust")


def kill_everywhere(vehicle, oem, tmp_path, new, *, final, among=""):
    """Kill at each checkpoint of one cycle (of those with `among` in their name).

    Each time either what ran before runs or `new`, and after a restart `final`. Returns the names of all checkpoints.
    """
    rest = tmp_path / "rest"
    old = what_runs(vehicle.config.state_dir)
    heard = len(oem.manifests), len(oem.events)
    names = checkpoints_of(vehicle, rest)
    del oem.manifests[heard[0] :], oem.events[heard[1] :]
    counters = dict(oem.counters)
    for number in [number for number, name in enumerate(names, start=1) if among in name and is_distinct(name)]:
        shutil.rmtree(vehicle.config.state_dir)
        copy_state(rest, vehicle.config.state_dir)
        # What the killed client sends is heard by the child's copy of the server only.
        oem.counters = {}

        ended = in_child(lambda number=number: vehicle.make_agent(checkpoint=Plug(number)).run_once())

        assert ended == -signal.SIGKILL, names[number - 1]
        assert what_runs(vehicle.config.state_dir) in (old, new), names[number - 1]
        vehicle.restart()
        result = vehicle.run()
        assert result.status in ("installed", "idle", "failed"), (names[number - 1], result)
        assert what_runs(vehicle.config.state_dir) == final, names[number - 1]
        assert oem.installed() == final
        vehicle.restart()
    oem.counters = counters
    return names


def test_a29_killed_anywhere_a_vehicle_runs_the_old_release_or_the_new_one_and_finally_the_new_one(
    vehicle, oem, tmp_path
):
    new = oem.publish_release("2.0", counter=2)
    attempt = oem.order(new)
    vehicle.restart()

    names = kill_everywhere(vehicle, oem, tmp_path, new, final=new)

    counted = Counter(names)
    # Every journal step, the switch and its confirmation, and several places in each of three downloads.
    assert counted["before journal.json"] == counted["after journal.json"] >= 5
    assert counted["before commit.json"] == 4
    assert counted["chunk"] == 6
    assert counted["downloaded"] == 3
    assert ("success", "") in oem.finished(attempt)
    assert oem.problems == []


def test_a29_killed_anywhere_a_vehicle_still_returns_from_a_bad_release(vehicle, oem, tmp_path):
    old, new = vehicle.runs(), oem.publish_release("2.0", counter=2)
    oem.order(new)
    vehicle.hooks = SickHooks()
    vehicle.restart()

    names = kill_everywhere(vehicle, oem, tmp_path, new, final=old, among=".json")

    assert Counter(names)["before commit.json"] == 3


def test_a29_killed_while_walking_roots_a_vehicle_walks_them_again(vehicle, oem, tmp_path):
    for repo in (oem.director, oem.image):
        repo.rotate("root")
        repo.rotate("timestamp")
    new = oem.publish_release("2.0", counter=2)
    oem.order(new)
    old = vehicle.runs()
    vehicle.restart()
    rest = tmp_path / "rest"
    copy_state(vehicle.config.state_dir, rest)
    for request in range(1, 12):
        shutil.rmtree(vehicle.config.state_dir)
        copy_state(rest, vehicle.config.state_dir)

        assert in_child(lambda request=request: killed_by_request(vehicle, oem, request)) == -signal.SIGKILL

        assert what_runs(vehicle.config.state_dir) == old
        vehicle.restart()
        assert vehicle.run().status == "installed"
        vehicle.restart()


def killed_by_request(vehicle, oem, number):
    plug = Plug(number)
    honest = oem.handle

    def handle(request):
        plug(request.url.path)
        return honest(request)

    oem.handle = handle
    vehicle.make_agent().run_once()


class ParkedHooks(WillingHooks):
    is_parked = False

    def preconditions(self, conditions):
        return HookResult(Verdict.YES if self.is_parked else Verdict.NOT_YET, "", {"parked": self.is_parked})


def run_with_a_full_disk(vehicle):
    # No file may grow beyond this: to a writer the same as a full disk.
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, resource.RLIM_INFINITY))
    result = vehicle.make_agent().run_once()
    assert (result.status, result.detail.partition(":")[0]) == ("not_now", "disk_full"), result


def test_a29_a_full_disk_is_not_now_and_leaves_nothing_half_written(vehicle, oem):
    new = oem.publish_release("2.0", counter=2)
    oem.order(new)
    old = vehicle.runs()
    vehicle.restart()

    assert in_child(lambda: run_with_a_full_disk(vehicle)) == 0

    assert vehicle.runs() == old
    assert not list(vehicle.config.state_dir.glob("downloads/*"))
    assert vehicle.run().status == "installed"
    assert vehicle.runs() == new


@pytest.mark.parametrize("serial", ["P1", "S1", "S2"])
def test_a29_a_full_ecu_is_not_now_and_keeps_its_slot_empty(vehicle, oem, serial):
    hardware = oem.hardware[serial]
    new = {
        other: oem.publish_image(f"fw-{name}", "2.0", name, content=(hardware == name) * b"x" * 60_000 or b"tiny")
        for other, name in oem.hardware.items()
    }
    oem.order(new, preconditions=[{"name": "parked", "operator": "==", "value": True}])
    old = vehicle.runs()
    vehicle.hooks = ParkedHooks()
    vehicle.restart()
    assert vehicle.run().status == "held"
    vehicle.hooks.is_parked = True

    assert in_child(lambda: run_with_a_full_disk(vehicle)) == 0

    assert vehicle.runs() == old
    assert not list(vehicle.config.state_dir.glob(f"ecus/{serial}/b/*"))
    assert not list(vehicle.config.state_dir.glob("ecus/*/incoming"))
    vehicle.restart()
    assert vehicle.run().status == "installed"
    assert vehicle.runs() == new


def test_a29_a_trial_that_never_ends_well_goes_back_after_three_starts(vehicle, oem):
    attempt = oem.order(oem.publish_release("2.0", counter=2))
    old = vehicle.runs()
    vehicle.hooks = DyingHooks()
    vehicle.restart()

    ends = [in_child(lambda: vehicle.make_agent().run_once()) for _ in range(4)]

    assert ends == [-signal.SIGKILL] * 3 + [0]
    assert vehicle.runs() == old
    vehicle.hooks = WillingHooks()
    vehicle.restart()
    vehicle.run()
    assert json.loads((vehicle.config.state_dir / "state.json").read_text())["finished"] == [attempt]


class DyingHooks(WillingHooks):
    def health(self, release):
        os.kill(os.getpid(), signal.SIGKILL)


TOML = """
state_dir = "state"
server_url = "{url}"
tenant = "default"
vehicle_id = "VIN1"
director_root = "director.json"
image_root = "image.json"
claim_code = "claim"
wants_certificate = false

[[ecus]]
serial = "P1"
hardware_id = "gateway"
is_primary = true

[[ecus]]
serial = "S1"
hardware_id = "engine"

[[ecus]]
serial = "S2"
hardware_id = "seat"
verification = "partial"

[hooks]
health = "health"
"""


def test_a29_the_real_program_killed_during_its_trial_finishes_when_started_again(oem, tmp_path, vehicle_clock):
    with serving(oem) as url:
        vehicle = Vehicle(oem, tmp_path, url=url)
        install_old_release(oem, vehicle.config)
        (tmp_path / "vehicle.toml").write_text(TOML.format(url=url))
        health = tmp_path / "health"
        health.write_text(f"#!/bin/sh\ntouch {tmp_path}/asked\nsleep 30\n")
        health.chmod(0o755)
        new = oem.publish_release("2.0", counter=2)
        attempt = oem.order(new)
        program = [sys.executable, "-m", "clients.vehicle", "--config", str(tmp_path / "vehicle.toml"), "--once"]

        process = subprocess.Popen(program, start_new_session=True)
        deadline = time.monotonic() + 30
        while not (tmp_path / "asked").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        health.write_text("#!/bin/sh\nexit 0\n")
        done = subprocess.run(program, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout.strip()) == (0, "installed fleet 2.0"), done.stderr
    assert vehicle.runs() == new
    assert oem.finished(attempt) == [("success", "")]


@pytest.fixture
def vehicle_clock(oem):
    """The real program reads the real clock, so the maker signs for today."""
    now = datetime.now(tz=UTC)
    oem.at = oem.director.at = oem.image.at = now
    for repo in (oem.director, oem.image):
        repo.versions["root"] = 0
        repo.publish_root()
        repo.publish()
