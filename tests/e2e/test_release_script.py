"""A whole release by the command line alone, typed by a shell script against a real server."""

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

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


def told(event):
    return [(each["vehicle_id"], each["state"]) for each in event["data"]["details"]["vehicles"]]
