import json
import logging
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from clients.vehicle.__main__ import app
from clients.vehicle.logs import JsonFormatter, VehicleLog
from tests.clients.vehicle.conftest import NOON
from tests.clients.vehicle.test_crashes import TOML


@pytest.fixture
def config(vehicle):
    path = vehicle.config.state_dir.parent / "vehicle.toml"
    path.write_text(TOML.format(url="http://127.0.0.1:1"))
    return str(path)


def test_status_says_what_runs_and_what_goes_on(vehicle, oem, config):
    result = CliRunner().invoke(app, ["--config", config, "status"])

    document = json.loads(result.stdout)
    assert {serial: ecu["target"] for serial, ecu in document["ecus"].items()} == vehicle.runs()
    assert (document["state"], document["order"], document["is_enrolled"]) == ("committed", None, True)


def test_once_exits_1_when_the_server_cannot_be_reached(vehicle, config):
    result = CliRunner().invoke(app, ["--config", config, "--once"])

    assert result.exit_code == 1
    assert result.stdout.startswith("not_now network:")


def test_a_configuration_that_cannot_be_read_exits_2(tmp_path):
    result = CliRunner().invoke(app, ["--config", str(tmp_path / "none.toml"), "--once"])

    assert result.exit_code == 2


def test_a_root_that_is_not_there_exits_2_with_its_path(config, tmp_path):
    path, missing = Path(config), tmp_path / "nowhere.json"
    text = re.sub(r"(?m)^director_root = .*$", f'director_root = "{missing}"', path.read_text())
    path.write_text(re.sub(r"(?m)^state_dir = .*$", f'state_dir = "{tmp_path / "fresh"}"', text))

    result = CliRunner().invoke(app, ["--config", config, "--once"])

    assert result.exit_code == 2
    assert f"the director root {missing} cannot be read" in result.stderr


def test_json_logs_hold_the_event_and_its_values(caplog):
    log = VehicleLog("VIN1", lambda: NOON)
    with caplog.at_level(logging.INFO, logger="clients.vehicle"):
        log.info("enrolled", ecus=3)

    line = json.loads(JsonFormatter().format(caplog.records[0]))

    assert (line["event"], line["ecus"], line["vehicle_id"], line["level"]) == ("enrolled", 3, "VIN1", "info")
    assert log.tail(1000) == "2026-06-01T12:00:00Z INFO enrolled ecus=3"


def test_a_log_tail_is_bounded():
    log = VehicleLog("VIN1", lambda: NOON)
    for number in range(1000):
        log.info("line", number=number)

    assert len(log.tail(100)) == 100
    assert log.tail(10**6).count("\n") == 199
