import pytest

from otaserver.fleet import operations
from otaserver.fleet.errors import InventoryRefusedError, InventoryTooLargeError
from otaserver.fleet.models import AttributeValue, Vehicle
from otaserver.fleet.operations import InventoryMode
from tests.factories import NOON, make_tenant, make_vehicle

pytestmark = pytest.mark.django_db


@pytest.fixture
def vehicle():
    return make_vehicle(is_manifest_wanted=True)


def said(vehicle):
    return dict(vehicle.reported_attributes.values_list("name", "text"))


def declared(vehicle):
    rows = AttributeValue.objects.filter(vehicle=vehicle)
    return {row.attribute.name: next(v for v in (row.text, row.number, row.boolean) if v is not None) for row in rows}


def declare(vehicle, **types):
    for name, kind in types.items():
        operations.declare_attribute(vehicle.tenant, name=name, type=kind, by="alice", at=NOON)


def test_what_a_vehicle_says_is_kept_and_what_is_declared_of_it_is_set(vehicle):
    declare(vehicle, hwrevision="number", parked="boolean", region="text")

    changed = operations.record_inventory(
        vehicle, attributes={"hwRevision": "2.5", "parked": "TRUE", "region": "eu", "VIN": "JH4"}, at=NOON
    )

    assert changed == 4
    assert said(vehicle) == {"hwRevision": "2.5", "parked": "TRUE", "region": "eu", "VIN": "JH4"}
    assert declared(vehicle) == {"hwrevision": 2.5, "parked": True, "region": "eu"}
    assert not Vehicle.objects.get(pk=vehicle.pk).is_manifest_wanted


def test_said_again_it_changes_nothing(vehicle):
    operations.record_inventory(vehicle, attributes={"a": "1"}, at=NOON)

    assert operations.record_inventory(vehicle, attributes={"a": "1"}, at=NOON) == 0


@pytest.mark.parametrize(
    ("mode", "attributes", "left"),
    [
        (InventoryMode.MERGE, {"b": "3", "c": "4"}, {"a": "1", "b": "3", "c": "4"}),
        (InventoryMode.MERGE, {"a": None}, {"b": "2"}),
        (InventoryMode.REPLACE, {"c": "4"}, {"c": "4"}),
        (InventoryMode.REPLACE, {"a": None, "b": "2"}, {"b": "2"}),
        (InventoryMode.REMOVE, {"a": None, "z": "whatever"}, {"b": "2"}),
    ],
)
def test_each_mode_leaves_what_it_says(vehicle, mode, attributes, left):
    operations.record_inventory(vehicle, attributes={"a": "1", "b": "2"}, at=NOON)

    operations.record_inventory(vehicle, attributes=attributes, mode=mode, at=NOON)

    assert said(vehicle) == left


def test_what_is_gone_is_no_longer_set_and_what_an_operator_set_stays(vehicle):
    declare(vehicle, region="text", customer="text")
    operations.set_attributes(vehicle, {"customer": "police"}, at=NOON)
    operations.record_inventory(vehicle, attributes={"region": "eu"}, at=NOON)

    operations.record_inventory(vehicle, attributes={"x": "1"}, mode=InventoryMode.REPLACE, at=NOON)

    assert declared(vehicle) == {"customer": "police"}


def test_a_text_that_is_no_value_of_the_type_takes_the_old_value_away(vehicle):
    declare(vehicle, charge="number")
    operations.record_inventory(vehicle, attributes={"charge": "80"}, at=NOON)

    operations.record_inventory(vehicle, attributes={"charge": "full"}, at=NOON)

    assert (said(vehicle), declared(vehicle)) == ({"charge": "full"}, {})


@pytest.mark.parametrize("attributes", [{"": "x"}, {"a" * 129: "x"}, {"a\n": "x"}, {"a": "x" * 4097}])
def test_what_is_out_of_its_form_is_refused_as_a_whole(vehicle, attributes):
    with pytest.raises(InventoryRefusedError):
        operations.record_inventory(vehicle, attributes={"good": "1"} | attributes, at=NOON)

    assert said(vehicle) == {}


def test_more_than_a_hundred_attributes_are_refused(vehicle):
    operations.record_inventory(vehicle, attributes={f"a{n}": "1" for n in range(100)}, at=NOON)

    with pytest.raises(InventoryTooLargeError):
        operations.record_inventory(vehicle, attributes={"one more": "1"}, at=NOON)

    assert len(said(vehicle)) == 100


def test_another_tenants_declaration_sets_nothing(vehicle):
    operations.declare_attribute(make_tenant(), name="region", type="text", by="alice", at=NOON)

    operations.record_inventory(vehicle, attributes={"region": "eu"}, at=NOON)

    assert declared(vehicle) == {}
