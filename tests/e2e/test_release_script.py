"""A whole release by the command line alone, typed by a shell script against a real server."""

import json
import os
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from tests.processes import ROOT, Server, environment

pytestmark = [pytest.mark.long, pytest.mark.e2e]


@pytest.fixture
def hook():
    """An endpoint for webhooks, and what has arrived there."""
    arrived = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            arrived.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/", arrived
        server.shutdown()
        thread.join()


def test_a_release_from_signing_to_a_finished_campaign_by_the_command_line_alone(tmp_path, hook):
    address, arrived = hook
    server = Server(tmp_path / "var", "--quiet", OTA_WEBHOOK_NETWORKS="127.0.0.0/8")
    folder = tmp_path / "pipeline"
    folder.mkdir()
    try:
        server.start()
        given = {
            "OTA_URL": server.url,
            "OTA_TOKEN": (server.var / "operator-token").read_text(),
            "OTA_KEYS": folder / "keys",
            "FOLDER": folder,
            "HOOK": address,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }
        typed = subprocess.run(
            ["bash", str(ROOT / "tests" / "e2e" / "release.sh")],
            env=environment(folder, **given),
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
    finally:
        server.end()

    assert typed.returncode == 0, (typed.stdout + typed.stderr)[-3000:]
    assert json.loads((folder / "watched.json").read_text())["counts"] == {"succeeded": 3}
    types = [event["type"] for event in arrived if event["type"] != "assignment.settled"]
    assert [name.removeprefix("campaign.") for name in types] == [
        *("created", "approval_wanted", "approved", "started", "paused", "resumed", "completed"),
    ]
    settled = [each for event in arrived if event["type"] == "assignment.settled" for each in told(event)]
    assert sorted(settled) == [(f"CAR{number}", "succeeded") for number in (1, 2, 3)]


def jobs():
    """The jobs of the page about pipelines, each as a script with its variables."""
    (block,) = re.findall(r"^```yaml\n(.*?)^```", (ROOT / "docs" / "pipeline.md").read_text(), re.M | re.S)
    return {name: ("\n".join(job["script"]), job["variables"]) for name, job in yaml.safe_load(block).items()}


SET_UP = """
set -euo pipefail
. tests/e2e/factory.sh
ota group create canaries --filter 'vehicle_id ~ "CAR"'
RELEASE_TOKEN=$(ota token create publisher release_engineer)
CAMPAIGN_TOKEN=$(ota token create planner campaign_manager)
mkdir -p "$FOLDER/build" && head -c 300000 /dev/urandom > "$FOLDER/build/engine.bin"
export RELEASE_TOKEN CAMPAIGN_TOKEN CI_COMMIT_TAG=2.0 LAST_TAG=1
"""


def test_the_pipeline_of_the_page_comes_to_its_end_however_often_a_job_is_started(tmp_path):
    server = Server(tmp_path / "var", "--quiet")
    folder = tmp_path / "pipeline"
    folder.mkdir()
    lines = [SET_UP]
    for name, (script, variables) in jobs().items():
        # The page's own places are somewhere else, its group is larger, and nobody waits for a day here.
        typed_here = script.replace("--wave count=10", "--soak-seconds 1 --wave count=1")
        known = {"OTA_URL": "$OTA_URL", "OTA_KEYS": "$OTA_KEYS"}
        given = [f'export {key}="{known.get(key, value)}"' for key, value in variables.items()]
        job = "\n".join(["set -e", 'export PYTHONPATH="$PWD"; cd "$FOLDER"', *given, typed_here])
        lines += [f"({job})"] * 2
        if name == "plan":
            lines.append('ota campaign approve "$CI_COMMIT_TAG"')
    try:
        server.start()
        given = {
            "OTA_URL": server.url,
            "OTA_TOKEN": (server.var / "operator-token").read_text(),
            "OTA_KEYS": folder / "keys",
            "FOLDER": folder,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }
        typed = subprocess.run(
            ["bash", "-c", "\n".join(lines)],
            cwd=ROOT,
            env=environment(folder, **given),
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
    finally:
        server.end()

    assert typed.returncode == 0, (typed.stdout + typed.stderr)[-3000:]
    assert '"state": "completed"' in typed.stdout.splitlines()[-1]


def told(event):
    return [(each["vehicle_id"], each["state"]) for each in event["data"]["details"]["vehicles"]]
