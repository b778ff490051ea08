"""Vehicles with hawkBit clients from the command line."""

import json

from otaserver.fleet.models import Ecu
from otaserver.fleet.operations import check_gateway_token, identify_pre_shared
from otaserver.fleet.protocol_models import GatewayToken
from tests.factories import NOON


def test_a_vehicle_is_made_known_and_its_token_shown(bench, command):
    code, out, _ = command("ddi", "vehicle", "dev1", "--hardware", "linux", "--hardware", "mcu-7=mcu")

    assert code == 0
    identify_pre_shared(bench.tenant, "dev1", out.strip(), at=NOON)
    assert list(Ecu.objects.order_by("pk").values_list("serial", "hardware_id")) == [
        ("dev1", "linux"),
        ("mcu-7", "mcu"),
    ]


def test_a_token_that_it_was_flashed_with_can_be_given(bench, command):
    command("ddi", "vehicle", "dev1", "--hardware", "linux")

    code, out, _ = command("ddi", "target-token", "dev1", "--with-token", "flashed-token")

    assert (code, out) == (0, "flashed-token\n")
    identify_pre_shared(bench.tenant, "dev1", "flashed-token", at=NOON)


def test_a_gateway_token_is_made_and_ended(bench, command):
    _, out, _ = command("ddi", "gateway-token", "line")
    check_gateway_token(bench.tenant, out.strip())

    code, out, _ = command("ddi", "gateway-token", "line", "--revoke")
    unknown = command("ddi", "gateway-token", "other", "--revoke")

    assert (code, out, unknown[0]) == (0, "Token line is ended.\n", 2)
    assert GatewayToken.objects.get().revoked_at is not None


def test_settings_are_shown_and_changed(bench, command):
    changed = command(
        *("ddi", "settings", "--default-hardware", "board", "--part", "mcu=bApp", "--authority", "Fleet CA"),
        *("--version-attribute", "sw", "--hardware-attribute", "type", "--json"),
    )
    shown = command("ddi", "settings")
    wrong = command("ddi", "settings", "--part", "mcu")

    assert json.loads(changed[1]) == {
        "default_hardware_id": "board",
        "hardware_attribute": "type",
        "version_attribute": "sw",
        "chunk_parts": {"mcu": "bApp"},
        "authorities": ["Fleet CA"],
    }
    assert "Fleet CA" in shown[1]
    assert wrong[0] == 2
