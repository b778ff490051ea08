import pytest

from otaserver.fleet import operations as fleet
from otaserver.fleet.models import Ecu, Vehicle
from otaserver.fleet.queries import vehicles_matching
from tests.factories import NOON
from tests.vehicle_api.ddi.conftest import make_device


def said(world):
    return dict(world.vehicle.reported_attributes.values_list("name", "text"))


def put(world, **body):
    return world.device.put("/configData", body).status_code


def test_attributes_are_merged_replaced_and_removed(world):
    assert put(world, data={"a": "1", "b": "2"}) == 200
    assert put(world, data={"b": "3", "c": "4"}, mode="merge") == 200
    assert said(world) == {"a": "1", "b": "3", "c": "4"}

    assert put(world, data={"c": "5", "n": 7, "t": True, "x": None}, mode="replace") == 200
    assert said(world) == {"c": "5", "n": "7", "t": "true"}

    assert put(world, data={"c": ""}, mode="remove") == 200
    assert said(world) == {"n": "7", "t": "true"}


def test_after_they_were_sent_they_are_not_asked_for_again(world):
    assert "configData" in world.device.links()

    put(world, data={"a": "1"})

    assert "configData" not in world.device.links()


def test_a_declared_attribute_can_be_filtered_by(world):
    fleet.declare_attribute(world.tenant, name="hwrevision", type="number", by="alice", at=NOON)

    put(world, data={"hwRevision": "2"})

    assert list(vehicles_matching(world.tenant, "attribute.hwrevision >= 2")) == [world.vehicle]


def test_the_hardware_id_may_be_told_by_an_attribute(world, server_clock):
    server_clock.advance(minutes=1)
    fleet.change_ddi_settings(world.tenant, {"hardware_attribute": "type"}, by="alice", at=NOON)

    put(world, data={"type": "other-board"})
    assert Ecu.objects.get().hardware_id == "other-board"
    put(world, data={"type": "no word"})
    assert Ecu.objects.get().hardware_id == "other-board"

    world.tick(server_clock.now)
    assert world.state == "superseded"
    assert "deploymentBase" not in world.device.links()


def test_of_a_vehicle_with_several_computers_an_operator_says_what_they_are(world):
    fleet.change_ddi_settings(world.tenant, {"hardware_attribute": "type"}, by="alice", at=NOON)
    vehicle, device = make_device(world.tenant, "dev2", hardware=("linux", "mcu"))

    assert device.put("/configData", {"data": {"type": "other"}}).status_code == 200

    assert sorted(vehicle.ecus.values_list("hardware_id", flat=True)) == ["linux", "mcu"]
    assert Vehicle.objects.count() == 2


@pytest.mark.parametrize("value", [{"x": 1}, ["x"]])
def test_what_is_no_text_is_refused(world, value):
    assert put(world, data={"a": value}) == 400
    assert said(world) == {}
