import pytest

from otaserver.audit.models import Entry
from otaserver.fleet import operations, queries
from otaserver.fleet.errors import (
    FilterUnknownFieldError,
    GroupDynamicError,
    GroupExistsError,
    GroupNameRefusedError,
    VehicleNotFoundError,
)
from otaserver.fleet.models import Group
from tests.factories import NOON, make_tenant, make_vehicle

pytestmark = pytest.mark.django_db


def create(tenant, name="pilot", **rest):
    return operations.create_group(tenant, name=name, by="alice", at=NOON, **rest)


def ids_in(group):
    return sorted(queries.vehicles_in(group).values_list("vehicle_id", flat=True))


def test_a_static_group_has_the_vehicles_that_were_put_into_it():
    tenant = make_tenant()
    first, second, third = (make_vehicle(tenant, f"VIN{number}") for number in (1, 2, 3))

    group = create(tenant, vehicles=[first, second])
    assert operations.add_to_group(group, [second, third], by="bob", at=NOON) == 1
    assert operations.add_to_group(group, [third], by="bob", at=NOON) == 0
    assert operations.remove_from_group(group, [first], by="bob", at=NOON) == 1
    assert operations.remove_from_group(group, [first], by="bob", at=NOON) == 0

    assert ids_in(group) == ["VIN2", "VIN3"]
    entries = Entry.objects.order_by("number").values_list("action", "actor", "details")
    assert list(entries) == [
        ("group.created", "alice", {"kind": "static", "filter": "", "vehicles": 2, "vehicle_ids": ["VIN1", "VIN2"]}),
        ("group.vehicles_added", "bob", {"count": 1, "vehicle_ids": ["VIN3"]}),
        ("group.vehicles_removed", "bob", {"count": 1, "vehicle_ids": ["VIN1"]}),
    ]


def test_a_dynamic_group_has_the_vehicles_that_match_now():
    tenant = make_tenant()
    group = create(tenant, filter='vehicle_id startswith "A"')
    assert ids_in(group) == []

    make_vehicle(tenant, "A1")
    make_vehicle(tenant, "B1")
    make_vehicle(make_tenant(), "A2")

    assert ids_in(group) == ["A1"]


def test_vehicles_are_not_put_by_hand_into_a_dynamic_group():
    tenant = make_tenant()
    vehicle = make_vehicle(tenant)
    group = create(tenant, filter="blocked = True")

    for operation in (operations.add_to_group, operations.remove_from_group):
        with pytest.raises(GroupDynamicError):
            operation(group, [vehicle], by="alice", at=NOON)
    with pytest.raises(GroupDynamicError):
        create(tenant, "both", filter="blocked = True", vehicles=[vehicle])

    assert ids_in(group) == []
    assert Group.objects.count() == Entry.objects.count() == 1


def test_another_tenants_vehicle_is_not_found_and_no_group_is_made():
    tenant = make_tenant()
    own, foreign = make_vehicle(tenant), make_vehicle()

    with pytest.raises(VehicleNotFoundError):
        create(tenant, vehicles=[own, foreign])
    group = create(tenant)
    with pytest.raises(VehicleNotFoundError):
        operations.add_to_group(group, [own, foreign], by="alice", at=NOON)

    assert ids_in(group) == []
    assert Entry.objects.count() == 1


@pytest.mark.parametrize(
    ("name", "filter_", "error"),
    [
        ("", "", GroupNameRefusedError),
        ("pilot", "", GroupExistsError),
        ("new", "attribute.region = 1", FilterUnknownFieldError),
    ],
)
def test_a_group_that_cannot_be_made_leaves_no_trace(name, filter_, error):
    tenant = make_tenant()
    create(tenant)

    with pytest.raises(error):
        create(tenant, name, filter=filter_)

    assert Group.objects.count() == Entry.objects.count() == 1


def test_two_tenants_may_have_groups_of_one_name():
    assert create(make_tenant()) != create(make_tenant())
