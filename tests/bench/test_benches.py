"""Every bench gives its figures, by small fleets: the figures themselves are for quiet machines."""

import json
import os
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.bench.__main__ import BENCHES
from tests.embedded import fronts
from tests.processes import ROOT

pytestmark = [pytest.mark.long, pytest.mark.e2e, pytest.mark.xdist_group("heavy"), fronts.needs_nginx]
# The smallest fleets that they take, or that say anything.
LARGER = {"campaigns": 10_000, "growth": 1_000}


def run(module, *arguments, vehicles=500, database="postgresql"):
    sizes = {"BENCH_VEHICLES": str(vehicles), "OTA_TEST_VEHICLES": "2000"}
    done = subprocess.run(
        [sys.executable, "-m", module, "--pairs", "1", *arguments],
        cwd=ROOT,
        env=os.environ | sizes | {"OTA_TEST_DATABASE": database},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("name", BENCHES)
def test_a_bench_gives_figures_above_nothing(name, tmp_path):
    run("tests.bench", name, "--save", str(tmp_path / "bench.json"), vehicles=LARGER.get(name, 500))

    figures = json.loads((tmp_path / "bench.json").read_text())
    assert {figure["bench"] for figure in figures} == {name}
    assert [figure for figure in figures if not figure["ratio_median"] > 0] == []


def test_a_bench_that_cannot_run_costs_the_others_no_figures(tmp_path):
    file = tmp_path / "bench.json"
    command = [
        sys.executable,
        "-m",
        "tests.bench",
        "campaigns",
        "filters",
        "metadata",
        "--pairs",
        "1",
        "--save",
        str(file),
    ]
    environment = os.environ | {"BENCH_VEHICLES": "many", "OTA_TEST_VEHICLES": "2000", "OTA_TEST_DATABASE": "sqlite"}

    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600, check=False)

    assert done.returncode == 1
    assert "campaigns: failed: BENCH_VEHICLES is 'many': a number from 10000 on." in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert done.stderr.strip() == "There are no figures of campaigns."
    assert re.search(r"^filters: \d+ s; there are no figures on SQLite", done.stdout, re.M)
    assert {figure["bench"] for figure in json.loads(file.read_text())} == {"metadata"}


class Other(BaseHTTPRequestHandler):
    """A server that is not ours, and says little."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        found = self.path == "/DEFAULT/controller/v1/dev1" and self.headers["Authorization"] == "TargetToken secret"
        self.send_response(200 if found else 404)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *arguments):
        pass


def test_another_server_can_be_put_beside_ours():
    with ThreadingHTTPServer(("127.0.0.1", 0), Other) as other:
        threading.Thread(target=other.serve_forever).start()
        url = f"http://127.0.0.1:{other.server_port}/DEFAULT/controller/v1/dev1"
        try:
            said = run("tests.bench.beside", url, "--header", "Authorization: TargetToken secret", database="sqlite")
        finally:
            other.shutdown()

    assert f"times the rate of {url}" in said
    assert float(said.splitlines()[-1].split()[0]) > 0
