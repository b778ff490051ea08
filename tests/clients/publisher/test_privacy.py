import json

import pytest

from otaserver.fleet.models import Vehicle
from otaserver.tenants.keeping_models import RetentionRule
from tests.factories import NOON, make_package, make_vehicle

pytestmark = pytest.mark.any_database


def test_all_that_is_held_of_a_vehicle_is_written_to_a_file(bench, command, tmp_path):
    make_vehicle(bench.tenant, "VIN1")

    code, out, _ = command("vehicle", "record", "VIN1", "--out", str(tmp_path / "vehicle.jsonl"))

    rows = [json.loads(line) for line in (tmp_path / "vehicle.jsonl").read_text().splitlines()]
    assert (code, rows[0]["vehicle_id"]) == (0, "VIN1")
    assert out.startswith(f"{len(rows)} rows of VIN1")


def test_the_record_of_a_vehicle_is_told_as_json_and_where_it_cannot_be_written(bench, command, tmp_path):
    make_vehicle(bench.tenant, "VIN1")
    record = ("vehicle", "record", "VIN1", "--json", "--out")

    code, out, _ = command(*record, str(tmp_path / "a.jsonl"))
    nowhere, refused, _ = command(*record, str(tmp_path / "nowhere" / "a.jsonl"))

    rows = len((tmp_path / "a.jsonl").read_text().splitlines())
    assert (code, json.loads(out)) == (0, {"vehicle_id": "VIN1", "rows": rows, "file": str(tmp_path / "a.jsonl")})
    assert (nowhere, json.loads(refused)["error"]["code"]) == (2, "file.unusable")


def test_a_vehicle_is_pseudonymised_with_a_reason(bench, command):
    vehicle = make_vehicle(bench.tenant, "VIN1")
    Vehicle.objects.filter(pk=vehicle.pk).update(enrolled_at=None, decommissioned_at=NOON)

    code, out, _ = command("vehicle", "pseudonymise", "VIN1", "--reason", "Asked for.")

    assert (code, out) == (0, f"VIN1 is {Vehicle.objects.get().vehicle_id} from now on.\n")


def test_retention_is_changed_and_shown(bench, command):
    code, out, _ = command("tenant", "retention", "--keep", "logs=30", "--keep", "reports=default", "--json")

    assert (code, {row["kind"]: row["days"] for row in json.loads(out)}["logs"]) == (0, 30)
    assert RetentionRule.objects.get().days == 30


@pytest.mark.parametrize("keep", ["logs", "logs=", "logs=x", "logs=-1"])
def test_what_is_no_number_of_days_is_not_sent(bench, command, keep):
    code, _, err = command("tenant", "retention", "--keep", keep)

    assert (code, err.partition(":")[0], RetentionRule.objects.count()) == (2, "input.invalid", 0)


def test_what_packages_take_is_shown(bench, command):
    make_package(bench.tenant, length=700)

    assert command("tenant", "storage")[1] == "700 bytes are taken; there is no limit.\n"
