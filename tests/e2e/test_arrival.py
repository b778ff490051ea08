"""A fleet moves into the real server: sent in one piece, taken in by its worker, reported to whoever sent it."""

import json
import time

import pytest

from clients.publisher.arrivals import Arrivals
from clients.publisher.packages import PackageSpec
from otaserver.demo.fleet_plan import ROLE
from tests.firmware_store.formats.builders import Identity, swu

pytestmark = [pytest.mark.long, pytest.mark.e2e, pytest.mark.any_database, pytest.mark.xdist_group("heavy")]


def line(number):
    return json.dumps(
        {
            "vehicle_id": f"VIN{number}",
            "protocol": "ddi",
            "ecus": [{"serial": f"E{number}", "hardware_id": "gateway"}],
            "token": f"token-{number:08}",
            "groups": ["moved in"],
        }
    )


def test_a_fleet_is_taken_in_by_the_worker_and_a_package_of_its_client_is_read(shared_stage, tmp_path):
    api = shared_stage.operator.publisher.api
    path = tmp_path / "fleet.jsonl"
    path.write_text("\n".join([*(line(number) for number in range(3000)), "no json"]))
    arrivals = Arrivals(api, sleep=lambda seconds: time.sleep(0.2))

    first = arrivals.follow(arrivals.send(path, is_dry_run=False)["id"])
    again = arrivals.follow(arrivals.send(path, is_dry_run=False)["id"])

    assert (first["state"], first["counts"]["vehicles_created"], first["counts"]["refused"]) == ("finished", 3000, 1)
    assert sum(first["counts"].values()) == 3001 + 1 + 3000 * 4 + 1
    assert sum(again["counts"].values()) == 3001 + 1
    assert arrivals.save_problems(first["id"], tmp_path / "left-out.csv") == 1

    (tmp_path / "gateway.swu").write_bytes(swu(signer=Identity()))
    spec = PackageSpec(ROLE, "gateway", "1.1", ["gateway"])
    published = shared_stage.operator.publisher.packages.publish(tmp_path / "gateway.swu", spec)
    assert (published.contents["format"], published.contents["version"]) == ("swu", "1.1")
