from datetime import timedelta

import pytest

from otaserver.audit.models import Entry
from otaserver.fleet import operations
from otaserver.fleet.errors import (
    AttributeExistsError,
    AttributeNameRefusedError,
    AttributeTypeRefusedError,
    AttributeUnknownError,
    AttributeValueRefusedError,
    VehicleNotFoundError,
)
from otaserver.fleet.models import Attribute, AttributeValue
from tests.factories import NOON, make_tenant, make_vehicle

LATER = NOON + timedelta(hours=1)


def declare(tenant, **types):
    for name, type_ in types.items():
        operations.declare_attribute(tenant, name=name, type=type_, by="alice", at=NOON)


def stored():
    rows = AttributeValue.objects.order_by("vehicle__vehicle_id", "attribute__name")
    return list(rows.values_list("vehicle__vehicle_id", "attribute__name", "text", "number", "boolean", "time"))


@pytest.mark.django_db
def test_a_declared_attribute_has_a_name_a_type_and_an_audit_entry():
    tenant = make_tenant()

    operations.declare_attribute(tenant, name="region", type="text", by="alice", at=NOON, description="Market")

    assert Attribute.objects.values_list("name", "type", "description").get() == ("region", "text", "Market")
    assert Entry.objects.values_list("action", "actor", "details").get() == (
        "attribute.declared",
        "alice",
        {"type": "text"},
    )


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("name", "type_", "error"),
    [
        ("Region", "text", AttributeNameRefusedError),
        ("mileage", "integer", AttributeTypeRefusedError),
        ("region", "number", AttributeExistsError),
    ],
)
def test_an_attribute_that_cannot_be_declared_leaves_no_trace(name, type_, error):
    tenant = make_tenant()
    declare(tenant, region="text")

    with pytest.raises(error):
        operations.declare_attribute(tenant, name=name, type=type_, by="bob", at=NOON)

    assert Attribute.objects.values_list("name", "type").get() == ("region", "text")
    assert Entry.objects.count() == 1


@pytest.mark.django_db
def test_values_are_stored_in_the_column_of_their_type():
    tenant = make_tenant()
    vehicle = make_vehicle(tenant, "VIN1")
    declare(tenant, a="text", b="number", c="boolean", d="time")

    values = {"a": "EU", "b": 3, "c": False, "d": "2026-06-01T14:00:00+02:00"}
    assert operations.set_attributes(vehicle, values, at=NOON) == 4

    assert stored() == [
        ("VIN1", "a", "EU", None, None, None),
        ("VIN1", "b", None, 3.0, None, None),
        ("VIN1", "c", None, None, False, None),
        ("VIN1", "d", None, None, None, NOON),
    ]


@pytest.mark.django_db
def test_only_what_changes_is_written_and_none_takes_a_value_away():
    tenant = make_tenant()
    vehicle = make_vehicle(tenant, "VIN1")
    declare(tenant, a="text", b="text", c="text")
    operations.set_attributes(vehicle, {"a": "1", "b": "2", "c": "3"}, at=NOON)

    assert operations.set_attributes(vehicle, {"a": "1", "b": "5", "c": None}, at=LATER) == 2
    assert operations.set_attributes(vehicle, {"a": "1", "b": "5", "c": None}, at=LATER) == 0
    assert operations.set_attributes(vehicle, {}, at=LATER) == 0

    rows = AttributeValue.objects.order_by("attribute__name").values_list("text", "changed_at")
    assert list(rows) == [("1", NOON), ("5", LATER)]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("values", "error", "details"),
    [
        ({"a": "2", "unknown": 1}, AttributeUnknownError, {"names": ["unknown"]}),
        (
            {"a": "2", "b": "3"},
            AttributeValueRefusedError,
            {"attribute": "b", "value": "'3'", "rule": "a number is finite"},
        ),
    ],
)
def test_one_refused_value_means_that_none_is_set(values, error, details):
    tenant = make_tenant()
    vehicle = make_vehicle(tenant, "VIN1")
    declare(tenant, a="text", b="number")
    declare(make_tenant(), unknown="number")
    operations.set_attributes(vehicle, {"a": "1"}, at=NOON)

    with pytest.raises(error) as refused:
        operations.set_attributes(vehicle, values, at=LATER)

    assert refused.value.details == details
    assert stored() == [("VIN1", "a", "1", None, None, None)]


@pytest.mark.django_db
def test_a_fleet_is_set_at_once_by_vehicle_id():
    tenant = make_tenant()
    declare(tenant, a="text", b="number")
    for vehicle_id in ("VIN1", "VIN2"):
        make_vehicle(tenant, vehicle_id)

    assert operations.set_fleet_attributes(tenant, {"VIN1": {"a": "EU", "b": 1}, "VIN2": {"b": 2}}, at=NOON) == 3

    assert stored() == [
        ("VIN1", "a", "EU", None, None, None),
        ("VIN1", "b", None, 1.0, None, None),
        ("VIN2", "b", None, 2.0, None, None),
    ]


@pytest.mark.django_db
def test_another_tenants_vehicle_is_not_found_and_nothing_is_set():
    tenant = make_tenant()
    declare(tenant, a="text")
    make_vehicle(tenant, "VIN1")
    make_vehicle(make_tenant(), "VIN2")

    with pytest.raises(VehicleNotFoundError) as refused:
        operations.set_fleet_attributes(tenant, {"VIN1": {"a": "EU"}, "VIN2": {"a": "EU"}}, at=NOON)

    assert refused.value.details == {"vehicle_id": "VIN2"}
    assert stored() == []


@pytest.mark.django_db
def test_three_vehicles_cost_as_many_queries_as_one(django_assert_num_queries):
    tenant = make_tenant()
    declare(tenant, a="text", b="number")
    for number in range(4):
        make_vehicle(tenant, f"VIN{number}")

    for ids in (["VIN0"], ["VIN1", "VIN2", "VIN3"]):
        with django_assert_num_queries(6):
            operations.set_fleet_attributes(tenant, {vehicle_id: {"a": "x", "b": 1} for vehicle_id in ids}, at=NOON)


def test_two_writers_of_one_value_at_once_leave_one_value(at_once):
    tenant = make_tenant()
    declare(tenant, a="text")
    vehicle = make_vehicle(tenant, "VIN1")

    results = at_once(*(lambda text=text: operations.set_attributes(vehicle, {"a": text}, at=NOON) for text in "xyz"))

    assert results == [1, 1, 1]
    assert AttributeValue.objects.get().text in "xyz"
