import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from otaserver.campaigns import operations
from otaserver.campaigns.rules.windows import Window
from otaserver.fleet import operations as fleet
from otaserver.fleet.models import Vehicle
from otaserver.fleet.operations import block_vehicle, create_vehicles
from otaserver.tenants.models import Tenant
from tests.factories import NOON, make_tenant
from tests.vehicle_api.ddi.conftest import GATEWAY, RAUC, TOKEN, Device, make_device, make_world

BASE = "http://testserver/acme/controller/v1/dev1"


def test_a_poll_leads_to_the_order_and_asks_for_attributes(device):
    answer = device.get()

    body = answer.json()
    assert answer.status_code == 200
    assert answer["Content-Type"] == "application/hal+json"
    assert answer["Content-Length"] == str(len(answer.content))
    assert body["config"] == {"polling": {"sleep": "00:05:27"}}
    assert set(body["_links"]) == {"deploymentBase", "configData"}
    assert body["_links"]["configData"] == {"href": f"{BASE}/configData"}
    address, _, query = body["_links"]["deploymentBase"]["href"].partition("?c=")
    assert address == f"{BASE}/deploymentBase/1"
    assert -(2**31) <= int(query) < 2**31


def test_without_anything_to_do_there_are_no_links_at_all(db, server_clock):
    tenant = make_tenant("acme")
    vehicle, device = make_device(tenant)
    Vehicle.objects.filter(pk=vehicle.pk).update(is_manifest_wanted=False)

    assert device.get().content == b'{"config":{"polling":{"sleep":"00:05:27"}}}'


def test_the_tenant_stands_in_links_as_it_stood_in_the_request(world):
    answer = world.device.client.get(
        "/ACME/controller/v1/dev1", headers={"Authorization": world.device.authorization, "Host": "testserver:8443"}
    )

    assert answer.json()["_links"]["configData"]["href"] == "http://testserver:8443/ACME/controller/v1/dev1/configData"


def test_the_same_answer_is_not_sent_again_until_it_changes(world):
    etag = world.device.get()["ETag"]
    assert etag.startswith('"0')
    assert len(etag) == 35

    again = world.device.get(If_None_Match=etag)
    block_vehicle(world.vehicle, reason="stolen", by="alice", at=NOON)
    changed = world.device.get(If_None_Match=etag)

    assert (again.status_code, again.content) == (304, b"")
    assert changed.status_code == 200


@pytest.mark.parametrize(
    ("accept", "status", "media_type"),
    [
        ("application/json;charset=UTF-8", 200, "application/json"),
        ("application/hal+json", 200, "application/hal+json"),
        ("text/html, */*", 200, "application/hal+json"),
        ("application/xml", 406, None),
    ],
)
def test_the_media_type_is_the_one_that_is_asked_for(device, accept, status, media_type):
    answer = device.get(Accept=accept)

    assert (answer.status_code, answer.get("Content-Type")) == (status, media_type)


def test_a_contact_and_the_clients_name_are_noted(world, server_clock):
    server_clock.advance(minutes=5)

    world.device.get(User_Agent="libcurl-agent/1.0")

    vehicle = Vehicle.objects.get(pk=world.vehicle.pk)
    assert (vehicle.last_contact_at, vehicle.client) == (server_clock.now, "libcurl-agent/1.0")


@pytest.mark.parametrize(("seconds", "sleep"), [(1, "00:00:01"), (3661, "01:06:32"), (86400, "23:59:59")])
def test_the_time_to_sleep_has_eight_characters(world, seconds, sleep):
    Tenant.objects.update(polling_seconds=seconds)

    assert world.device.get().json()["config"]["polling"]["sleep"] == sleep


def test_a_fleet_is_spread_over_a_fifth_of_its_interval_and_each_vehicle_keeps_its_own(db, server_clock):
    tenant = make_tenant("acme")
    devices = [make_device(tenant, f"dev{number}", token=f"{number:016}")[1] for number in range(40)]

    first, again = ([device.get().json()["config"]["polling"]["sleep"] for device in devices] for _ in range(2))

    assert first == again
    assert "00:04:30" <= min(first) < "00:04:45"
    assert "00:05:15" < max(first) <= "00:05:30"
    assert len(set(first)) > 20


def test_before_a_window_it_asks_more_often(db, server_clock):
    world = make_world(RAUC, windows=[Window(0b1111111, 12 * 60 + 6, 60)])
    assert world.device.get().json()["config"]["polling"]["sleep"] == "00:02:00"

    server_clock.advance(minutes=5)

    assert world.device.get().json()["config"]["polling"]["sleep"] == "00:00:30"


def test_a_withdrawn_order_is_a_cancel_action_alone_without_a_query(world):
    operations.stop_campaign(world.campaign, reason="smoke", by="alice", at=NOON)

    links = world.device.links()

    assert links["cancelAction"] == f"{BASE}/cancelAction/1"
    assert "deploymentBase" not in links


def test_the_address_of_an_order_changes_with_what_may_be_done(db, server_clock):
    world = make_world(RAUC, windows=[Window(0b1111111, 18 * 60, 60)])
    before = world.device.links()["deploymentBase"]

    server_clock.advance(hours=6)

    assert world.device.links()["deploymentBase"] != before
    assert world.device.links()["deploymentBase"] == world.device.links()["deploymentBase"]


def test_a_client_that_does_not_hold_sees_its_order_only_inside_the_window(db, server_clock):
    world = make_world(windows=[Window(0b1111111, 12 * 60, 60)])
    assert "deploymentBase" in world.device.links()

    server_clock.advance(hours=2)

    assert "deploymentBase" not in world.device.links()
    assert world.device.get("/deploymentBase/1").status_code == 404


def test_what_a_gateway_vouches_for_becomes_known_by_its_first_poll(db, server_clock):
    tenant = make_tenant("acme")
    fleet.create_gateway_token(tenant, name="line", token=GATEWAY, by="alice", at=NOON)
    fleet.change_ddi_settings(tenant, {"default_hardware_id": "board"}, by="alice", at=NOON)
    device = Device(tenant, "new-1", f"GatewayToken {GATEWAY}")
    assert device.get("/configData").status_code == 405
    assert device.put("/configData", {"data": {"a": "b"}}).status_code == 404
    assert not Vehicle.objects.exists()

    assert set(device.links()) == {"configData"}

    vehicle = Vehicle.objects.get()
    assert (vehicle.vehicle_id, vehicle.protocol, vehicle.enrolled_at) == ("new-1", "ddi", NOON)
    assert list(vehicle.ecus.values_list("serial", "hardware_id")) == [("new-1", "board")]


def test_an_expected_vehicle_becomes_known_with_its_own_token(db, server_clock):
    tenant = make_tenant("acme")
    create_vehicles(tenant, ["dev1"], at=NOON)
    fleet.give_token(Vehicle.objects.get(), token=TOKEN, by="alice", at=NOON)

    assert Device(tenant).get().status_code == 200
    assert Vehicle.objects.get().protocol == "ddi"


def test_a_poll_that_brings_nothing_new_writes_nothing(world):
    world.device.get(User_Agent="x")

    with CaptureQueriesContext(connection) as asked:
        world.device.get(User_Agent="x")

    assert len(asked) <= 12
    assert [query["sql"] for query in asked if not query["sql"].startswith("SELECT")] == []
