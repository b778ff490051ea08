"""`make demo ONCE=1` and the simulation, as a stranger runs them, and that their figures can be wrong."""

import os
import re
import signal
import subprocess
import sys

import pytest

from otaserver.demo.firmware import SOURCES, VERSIONS
from tests.processes import ROOT, command_of, descendants, environment, free_port, is_running, wait_for

pytestmark = [pytest.mark.long, pytest.mark.e2e, pytest.mark.xdist_group("heavy")]

LOOK = """
import django, json
django.setup()
from clients.fleet.plan import load_plan
from django.conf import settings
from otaserver.demo.summary import summarize
from otaserver.tenants.models import Tenant

plan = load_plan(settings.VAR_DIR / "fleet.json")
found = summarize(Tenant.objects.get(), settings.VAR_DIR / "fleet", plan.releases, expected="city-car 2.0")
print(json.dumps(list(found.disagreements)))
"""


def run(*command, var, **more):
    return subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=environment(var, DJANGO_SETTINGS_MODULE="otaserver.settings", **more),
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )


def test_the_demo_ends_well_and_its_summary_sees_what_does_not_agree(tmp_path):
    demo = run("manage.py", "demo", "--once", "--vehicles", "50", var=tmp_path, OTA_PORT=free_port())

    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert "The vehicles' own disks start: 50 on city-car 2.0." in demo.stdout
    assert "Disks, database and signed manifests agree." in demo.stdout

    assert run("-c", LOOK, var=tmp_path / "demo").stdout == "[]\n"
    image = next((tmp_path / "demo" / "fleet" / "DEMO00007" / "ecus" / "DEMO00007-radio").glob("*/image"))
    for path in image.parent.parent.glob("*/image"):
        path.write_bytes(b"something else")
    assert "DEMO00007: its disk does not hold what it says." in run("-c", LOOK, var=tmp_path / "demo").stdout


def test_the_demo_refuses_a_fleet_too_small_for_its_gate(tmp_path):
    refused = run("manage.py", "demo", "--vehicles", "10", var=tmp_path)

    assert (refused.returncode, refused.stderr) == (1, "CommandError: --vehicles 10: 50 to 1000.\n")


# Virtual minutes: the fewer ticks, the sooner it is over.
COARSE = ("--polling-minutes", "240", "--tick-minutes", "60")


def test_a_simulated_bad_release_leaves_nobody_on_it_who_failed(tmp_path):
    bad = run(
        "manage.py", "simulate", "--vehicles", "8", "--waves", "100", "--health-failure", "0.9", *COARSE, var=tmp_path
    )

    assert bad.returncode == 0, bad.stderr
    assert "Campaign completed" not in bad.stdout
    assert "failed" in bad.stdout


# Three zones, nights, and each trouble that a vehicle or its owner can have.
TROUBLED = [
    *(*COARSE, "--night-hours", "6"),
    *("--zones", "Europe/Berlin,America/New_York,Asia/Tokyo", "--window", "mon-sun 08:00-22:00"),
    *("--precondition", "state_of_charge >= 40", "--consent", "ask", "--offers-per-minute", "8"),
    *("--ends-after-days", "4", "--waves", "100", "--refusal", "0.1", "--postponement", "0.15"),
    *("--no-answer", "0.15", "--flat", "0.15", "--late-charge", "0.1", "--charge-days", "1", "--disappearance", "0.1"),
]


def test_the_server_knows_why_each_vehicle_of_a_troubled_fleet_was_not_updated(tmp_path):
    troubled = run("manage.py", "simulate", "--vehicles", "12", *TROUBLED, var=tmp_path)

    assert troubled.returncode == 0, troubled.stdout + troubled.stderr
    assert "Campaign completed" in troubled.stdout
    succeeded = re.search(r"Database: .*?(\d+) succeeded", troubled.stdout)[1]
    assert f"Disks: {succeeded} on city-car 2.0" in troubled.stdout
    told = {line.split("│")[1].strip() for line in troubled.stdout.splitlines() if line.startswith("│")}
    assert {"updated", "the owner refused", "the owner never answered", "the battery is low"} <= told


def test_a_demo_that_is_told_to_end_leaves_no_process_behind(tmp_path):
    for version in VERSIONS:
        (tmp_path / "firmware" / version).mkdir(parents=True)
        for ecu in SOURCES:
            (tmp_path / "firmware" / version / f"{ecu}.bin").write_bytes(b"found")
    demo = subprocess.Popen(
        [sys.executable, "manage.py", "demo"],
        cwd=ROOT,
        env=environment(tmp_path, OTA_PORT=free_port()),
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    # The server of the demo, and what that has started already.
    wait_for(lambda: len(descendants(demo.pid)) > 3, seconds=60, what="the server and its own processes")
    processes = descendants(demo.pid)

    demo.send_signal(signal.SIGTERM)
    said, _ = demo.communicate(timeout=30)

    left = {pid: command_of(pid) for pid in processes if is_running(pid)}
    for pid in left:
        os.kill(pid, signal.SIGTERM)
    assert left == {}
    assert (demo.returncode, said.splitlines()[-1]) == (0, "Stopped.")
