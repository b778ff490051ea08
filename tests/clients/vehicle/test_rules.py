"""The client's pure parts: configuration, JSON, schedule, time, names."""

import json
import random
from dataclasses import replace

import httpx
import pytest

from clients.vehicle import schedule
from clients.vehicle.commit import Commit
from clients.vehicle.config import EcuConfig, load_config
from clients.vehicle.errors import ConfigError
from clients.vehicle.order import Order, Package
from clients.vehicle.server import Server
from clients.vehicle.signing import canonical, printable
from clients.vehicle.slots import Image
from clients.vehicle.strict_json import strict_loads
from tests.clients.vehicle.vehicles import make_config

MINIMAL = """
state_dir = "state"
server_url = "http://ota.example"
tenant = "default"
vehicle_id = "VIN1"
director_root = "d.json"
image_root = "i.json"
[[ecus]]
serial = "P1"
hardware_id = "gateway"
is_primary = true
[limits]
root_hops = 5
[hooks]
health = "bin/health"
"""


def test_a_configuration_is_read_relative_to_its_file(tmp_path):
    (tmp_path / "vehicle.toml").write_text(MINIMAL)

    config, hooks = load_config(tmp_path / "vehicle.toml")

    assert config.state_dir == tmp_path / "state"
    assert config.ecus == (EcuConfig("P1", "gateway", is_primary=True),)
    assert config.limits.root_hops == 5
    assert hooks == {"health": "bin/health"}


@pytest.mark.parametrize(
    "text",
    [
        "not toml",
        MINIMAL.replace('tenant = "default"', ""),
        MINIMAL.replace("tenant", "tenantt"),
        MINIMAL.replace("is_primary = true", ""),
        MINIMAL.replace('"P1"', '"../P1"'),
        MINIMAL.replace("root_hops", "root_hop"),
        MINIMAL + '[[ecus]]\nserial = "P1"\nhardware_id = "x"\n',
    ],
)
def test_a_configuration_that_cannot_be_used_is_refused(tmp_path, text):
    (tmp_path / "vehicle.toml").write_text(text)

    with pytest.raises(ConfigError):
        load_config(tmp_path / "vehicle.toml")


def test_two_ecus_may_not_share_a_serial(oem, tmp_path):
    config = make_config(oem, tmp_path)

    with pytest.raises(ConfigError, match="repeat"):
        replace(config, ecus=(*config.ecus, config.ecus[1]))


@pytest.mark.parametrize("body", [b'{"a":1}', b'{"a":[{}],"b":null}', '{"a":"ä"}'.encode()])
def test_json_that_all_read_alike_is_read(body):
    assert "a" in strict_loads(body)


@pytest.mark.parametrize(
    "body",
    [b"", b"1", b'"a"', b'{"a":1,"a":1}', b'{"a":1.5}', b'{"a":1e3}', b'{"a":-Infinity}', b"\xff", b'{"a":1}x'],
)
def test_json_that_some_read_otherwise_is_not_read(body):
    with pytest.raises(ValueError):
        strict_loads(body)


def test_nothing_but_printable_ascii_is_signed():
    assert canonical({"b": 1, "a": "x"}) == b'{"a":"x","b":1}'
    for text in ("ä", "\x7f"):
        with pytest.raises(ValueError, match="ASCII"):
            canonical({"a": text})
    assert printable('a"ä\n\\b' + "x" * 900) == "a????b" + "x" * 494


def test_the_interval_is_spread_and_failures_double_it():
    rng = random.Random(7)

    assert all(90 <= schedule.after_success(100, rng) <= 110 for _ in range(50))
    assert all(10 <= schedule.after_failure(3, 60, None, rng) <= 20 for _ in range(50))
    assert all(120 <= schedule.after_failure(1, 60, 120, rng) <= 132 for _ in range(50))
    assert schedule.after_failure(400, 60, None, rng) <= 3600
    assert schedule.after_failure(1, 60, 1e11, rng) == 86_400


def test_notes_fall_back_from_region_to_language_to_english_to_any():
    order = Order("a", 1, "c", "r", (), notes={"de": "deutsch", "en": "english"})

    assert [order.notes_in(tag) for tag in ("de-AT", "fr", "en-GB")] == ["deutsch", "english", "english"]
    assert replace(order, notes={"it": "italiano"}).notes_in("fr") == "italiano"
    assert replace(order, notes={}).notes_in("fr") == ""


def test_an_order_survives_the_journal():
    image = Image("s/n-1", 3, "0" * 64, "0" * 128, 4, "n", "1")
    order = Order("a", 1, "c", "r", (Package("P1", "gateway", image, 2),), 4, None, ({"name": "x"},), {"k": 1})

    windowed = replace(order, windows=(("2026-06-01T12:00:00Z", "2026-06-01T13:00:00Z"),))

    for each in (order, windowed, replace(order, windows=())):
        assert Order.from_document(json.loads(json.dumps(each.as_document()))) == each


def test_a_trial_switches_all_at_once_and_goes_back_as_it_was():
    committed = Commit({"P1": "a", "S1": "b", "S2": "a"}, {"P1": 1})

    trial = committed.trial_of("attempt", frozenset({"P1", "S1"}))

    assert trial.slots == {"P1": "b", "S1": "a", "S2": "a"}
    assert trial.reverted() == committed
    assert trial.confirmed({"P1": 2}).counters == {"P1": 2}
    assert trial.confirmed({"P1": 2}).slots == trial.slots


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "30"}, 30.0),
        ({"Retry-After": "Mon, 01 Jun 2026 12:01:00 GMT", "Date": "Mon, 01 Jun 2026 12:00:00 GMT"}, 60.0),
        ({"Retry-After": "soon"}, None),
        ([(b"Retry-After", b"\xb2")], None),
        # Nobody has signed it: no longer than a day.
        ({"Retry-After": "9" * 40}, 86_400.0),
        ({}, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(oem, tmp_path, headers, seconds):
    transport = httpx.MockTransport(lambda _request: httpx.Response(503, headers=headers, stream=httpx.ByteStream(b"")))
    server = Server(make_config(oem, tmp_path), transport=transport)

    with pytest.raises(Exception, match="503") as caught:
        server.poll("")

    assert caught.value.retry_after_seconds == seconds


def test_tls_uses_the_certificate_once_there_is_one(oem, tmp_path):
    config = make_config(oem, tmp_path, server_url="https://ota.example")
    server = Server(config)
    server.use_credential("token", None)

    with pytest.raises(FileNotFoundError):
        server.use_credential("token", (str(tmp_path / "certificate.pem"), str(tmp_path / "key.pem")))
