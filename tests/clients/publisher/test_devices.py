"""Letting devices in from the command line."""

import json

from clients.publisher.cli import devices
from otaserver.fleet.authentication_models import AuthenticationSet
from otaserver.fleet.models import Vehicle
from otaserver.fleet.operations import tenant_of_token
from tests.vehicle_api.mender.devices import make_key, pem_of


def expected(bench, tmp_path, command):
    file = tmp_path / "devices.jsonl"
    file.write_text(json.dumps({"identity": {"vin": "VIN1"}, "public_key": pem_of(make_key())}) + "\n\n")
    return command("device", "preauthorise", str(file))


def test_a_file_of_devices_may_come_in(bench, tmp_path, command):
    assert expected(bench, tmp_path, command)[:2] == (0, "1 devices may come in.\n")
    assert AuthenticationSet.objects.get().claimed_vehicle_id == "VIN1"


def test_a_long_file_is_sent_in_parts_and_may_be_sent_again(tmp_path, command, monkeypatch):
    monkeypatch.setattr(devices, "AT_A_TIME", 2)
    file = tmp_path / "devices.jsonl"
    lines = [json.dumps({"identity": {"vin": f"VIN{n}"}, "public_key": pem_of(make_key())}) for n in range(3)]
    file.write_text("\n".join(lines))

    answers = [command("device", "preauthorise", str(file))[:2] for _ in range(2)]

    assert answers == [(0, "3 devices may come in.\n")] * 2
    assert AuthenticationSet.objects.count() == 3


def test_a_line_that_is_no_json_is_named(bench, tmp_path, command):
    file = tmp_path / "devices.jsonl"
    file.write_text("{}\n{\n")

    code, _, err = command("device", "preauthorise", str(file))

    assert (code, "line 2" in err) == (2, True)
    assert not AuthenticationSet.objects.exists()


def test_a_device_is_listed_accepted_as_a_vehicle_and_rejected(bench, tmp_path, command):
    expected(bench, tmp_path, command)
    number = AuthenticationSet.objects.get().pk

    assert "preauthorised" in command("device", "list", "--state", "preauthorised")[1]
    assert command("device", "accept", str(number), "--vehicle-id", "CAR1")[1] == f"Device {number} is vehicle CAR1.\n"
    assert Vehicle.objects.get().vehicle_id == "CAR1"
    assert command("device", "reject", str(number), "--reason", "Sold.")[0] == 0
    assert AuthenticationSet.objects.get().state == "rejected"


def test_a_tenant_token_is_made_listed_and_revoked(bench, command):
    token = command("device", "tenant-token", "factory")[1].strip()
    assert tenant_of_token(token) == bench.tenant

    listed = json.loads(command("device", "tenant-tokens", "--json")[1])

    assert command("device", "revoke-tenant-token", str(listed[0]["id"]))[0] == 0
    assert bench.tenant.device_tokens.get().revoked_at is not None
