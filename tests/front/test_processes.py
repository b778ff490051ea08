"""Four web processes on one database: what is changed in it is in force in each of them within a second."""

import json
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager

import httpx
import pytest

from tests.processes import ROOT, environment, free_port, migrated_database, wait_for

pytestmark = [pytest.mark.long, pytest.mark.e2e]
POLL = "/uptane/acme/director/metadata/timestamp.json"
# Never answered by the front: the caller is known again instead.
TARGETS = "/uptane/acme/director/metadata/targets.json"


@pytest.fixture
def stage(tmp_path, database_url, redis_url):
    """Four web processes, each with a port of its own, the hands, and the tokens of the vehicles."""
    var = tmp_path / "var"
    var.mkdir()
    more = {"DJANGO_SETTINGS_MODULE": "otaserver.settings", "OTA_TICK_SECONDS": 3600}
    if database_url:
        (tmp_path / "keys").mkdir(mode=0o700)
        more |= {
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            "OTA_STORAGE_URL": f"file://{tmp_path / 'blobs'}",
            "OTA_SECRET_KEY": "secret",
            "OTA_URL_SECRET": "another secret",
            "OTA_ONLINE_KEYS": str(tmp_path / "keys"),
            "OTA_ALLOWED_HOSTS": "127.0.0.1",
        }
        migrate = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
        subprocess.run(migrate, cwd=ROOT, env=environment(var, **more), check=True)
    else:
        shutil.copy(migrated_database(), var / "db.sqlite3")
    known = environment(var, **more)
    with ExitStack() as stack:
        ports = [stack.enter_context(web_process(known)) for _ in range(4)]
        hands = stack.enter_context(
            subprocess.Popen(
                [sys.executable, "-m", "tests.front.hands"],
                cwd=ROOT,
                env=known,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
        stack.callback(hands.kill)
        tokens = json.loads(hands.stdout.readline())
        clients = []
        for port in ports:
            url = f"http://127.0.0.1:{port}"
            wait_for(lambda url=url: httpx.get(f"{url}/healthz"), seconds=60, what="a web process")
            clients.append(stack.enter_context(httpx.Client(base_url=url, timeout=20)))
        yield Stage(clients, hands, tokens)


@contextmanager
def web_process(known):
    port = free_port()
    command = [
        *(sys.executable, "-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port)),
        *("--no-ws", "--workers", "1", "--blocking-threads", "2", "--workers-kill-timeout", "1"),
        *("--log-level", "warning", "otaserver.wsgi:application"),
    ]
    process = subprocess.Popen(command, cwd=ROOT, env=known, stdin=subprocess.DEVNULL)
    try:
        yield port
    finally:
        process.terminate()
        process.wait(15)


class Stage:
    def __init__(self, clients, hands, tokens):
        self._clients, self._hands, self._tokens = clients, hands, tokens
        self.etags = {name: self._poll(clients[0], name).headers["ETag"] for name in tokens}

    def _poll(self, client, name):
        known = {"If-None-Match": self.etags[name]} if hasattr(self, "etags") else {}
        return client.get(POLL, headers={"Authorization": f"Bearer {self._tokens[name]}"} | known)

    def ask_all(self, name):
        return [self._poll(client, name) for client in self._clients]

    def targets_of_all(self, name):
        headers = {"Authorization": f"Bearer {self._tokens[name]}"}
        return [client.get(TARGETS, headers=headers) for client in self._clients]

    def do(self, name):
        """Have it done, and return when that was committed."""
        self._hands.stdin.write(f"{name}\n")
        self._hands.stdin.flush()
        assert self._hands.stdout.readline() == "done\n"
        return time.monotonic()


def test_a_block_a_revocation_a_stop_and_an_order_are_in_force_in_every_process_within_a_second(stage):
    for name in stage.etags:
        # Until each process has learned the answer, and has seen everything that came before.
        for _ in range(3):
            assert {answer.status_code for answer in stage.ask_all(name)} == {304}
            assert {answer.status_code for answer in stage.targets_of_all(name)} == {200}
            time.sleep(0.3)

    for name, status in (("idle", 200), ("revoked", 401), ("blocked", 200), ("stopped", 200)):
        committed = stage.do(name)
        # Not sooner than promised: what holds then holds for good.
        time.sleep(max(0.0, committed + 1.0 - time.monotonic()))

        answers, targets = stage.ask_all(name), stage.targets_of_all(name)

        assert [answer.status_code for answer in targets] == [status] * 4, name
        assert [answer.status_code for answer in answers] == [status] * 4, name
        if status == 200:
            assert len({answer.content for answer in answers}) == 1
            assert answers[0].headers["ETag"] != stage.etags[name]
