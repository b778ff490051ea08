"""`deploy/nginx.conf` before the web processes of the unit, restarted one group after another while vehicles report."""

import re
import shlex
import subprocess
import sys
import threading
from collections import Counter
from contextlib import ExitStack

import httpx
import pytest

from otaserver.fleet.credentials import certificates
from tests.embedded.fronts import Front, make_client_certificate, needs_nginx, now
from tests.processes import ROOT, environment, free_port, get, wait_for

pytestmark = [pytest.mark.e2e, needs_nginx]

CALLERS = 4
ROUNDS = 3
# Both ways of a vehicle: a poll may be repeated by anybody, a report only where vehicles are.
REQUESTS = (("GET", "/uptane/north/director/metadata/timestamp.json"), ("POST", "/uptane/north/events"))


class Group:
    """The web processes of one instance of the unit, of another application."""

    def __init__(self, var):
        self.port = free_port()
        unit = (ROOT / "deploy" / "systemd" / "ota-web@.service").read_text()
        words = shlex.split(re.search(r"^ExecStart=(.*)$", unit, re.M)[1].replace("%i", str(self.port)))
        self._command = [sys.executable, *words[1:-1], "tests.embedded.said:application"]
        self._environment = environment(var)
        self.process = None

    def start(self):
        self.process = subprocess.Popen(self._command, cwd=ROOT, env=self._environment, stderr=subprocess.DEVNULL)
        wait_for(lambda: get(f"http://127.0.0.1:{self.port}/").status_code == 200, what="a group of web processes")

    def end(self):
        self.process.terminate()
        assert self.process.wait(40) == 0


@pytest.fixture
def groups(tmp_path):
    with ExitStack() as stack:
        found = [Group(tmp_path / "var") for _ in range(2)]
        for group in found:
            group.start()
            stack.callback(group.end)
        yield found


class Callers:
    """Vehicles with certificates, on kept connections, who repeat nothing and count their answers."""

    def __init__(self, nginx, authority, folder):
        self.answers = Counter()
        self._is_over = threading.Event()
        files = [make_client_certificate(authority, folder, f"CAR{number}") for number in range(CALLERS)]
        self._threads = [threading.Thread(target=self._call, args=(nginx, each)) for each in files]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._is_over.set()
        for thread in self._threads:
            thread.join()

    def _call(self, nginx, certificate):
        with nginx.client(certificate) as client:
            while not self._is_over.is_set():
                for method, path in REQUESTS:
                    self.answers[self._ask(client, method, path)] += 1

    @staticmethod
    def _ask(client, method, path):
        try:
            answer = client.request(method, path, content=b"[]" if method == "POST" else None)
        except httpx.HTTPError as error:
            return type(error).__name__
        return method, answer.status_code


def test_web_processes_restarted_one_group_after_another_fail_no_request(groups, tmp_path):
    authority = certificates.make_authority("north", at=now())
    nginx = Front(tmp_path, port=free_port(), web_ports=[group.port for group in groups], authorities=[authority])
    try:
        with Callers(nginx, authority, tmp_path) as callers:
            for group in groups * ROUNDS:
                before = sum(callers.answers.values())
                group.end()
                # The other one answers alone.
                wait_for(lambda before=before: sum(callers.answers.values()) > before + 50, what="answers")
                group.start()
    finally:
        nginx.end()

    assert set(callers.answers) == {("GET", 200), ("POST", 200)}
    assert sum(callers.answers.values()) > 50 * len(groups) * ROUNDS
