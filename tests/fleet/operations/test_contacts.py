"""Contacts that are written many at a time."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from otaserver.fleet.models import Vehicle
from otaserver.fleet.operations import contacts
from otaserver.tenants.change_models import Change
from tests.factories import NOON, make_tenant, make_vehicle

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
# With parts of a second and without: SQLite compares them as text.
TIMES = (None, NOON - MINUTE - SECOND, NOON - MINUTE, NOON - MINUTE + timedelta(microseconds=1), NOON, NOON + MINUTE)


def make_fleet():
    """A vehicle for each of these times of its last contact."""
    tenant = make_tenant()
    vehicles = [make_vehicle(tenant, f"VIN{number}") for number in range(len(TIMES))]
    for vehicle, at in zip(vehicles, TIMES, strict=True):
        Vehicle.objects.filter(pk=vehicle.pk).update(last_contact_at=at)
    return [vehicle.pk for vehicle in vehicles]


def known():
    return list(Vehicle.objects.order_by("pk").values_list("last_contact_at", flat=True))


@pytest.mark.parametrize("batch", [1, 4, 1000])
def test_contacts_are_written_once_a_minute_and_never_go_back(batch, monkeypatch):
    monkeypatch.setattr(contacts, "_BATCH", batch)
    numbers = make_fleet()

    assert contacts.record_contacts(set(numbers), at=NOON) == set()

    assert known() == [NOON, NOON, NOON, *TIMES[3:]]


def test_those_of_other_vehicles_stay_as_they_are():
    numbers = make_fleet()

    assert contacts.record_contacts({numbers[1], 10**9}, at=NOON) == set()

    assert known() == [None, NOON, *TIMES[2:]]


def test_of_a_contact_nobody_is_told():
    numbers = make_fleet()
    before = Change.objects.count()

    contacts.record_contacts(numbers, at=NOON)

    assert Change.objects.count() == before


def test_a_thousand_vehicles_take_one_statement():
    tenant = make_tenant()
    rows = [Vehicle(tenant=tenant, vehicle_id=f"VIN{number}", created_at=NOON) for number in range(1000)]
    numbers = [vehicle.pk for vehicle in Vehicle.objects.bulk_create(rows)]

    with CaptureQueriesContext(connection) as captured:
        contacts.record_contacts(numbers, at=NOON)

    assert sum("UPDATE fleet_vehicle" in query["sql"] for query in captured) == 1
    assert len([query for query in captured if "SAVEPOINT" not in query["sql"]]) == 1
    assert set(known()) == {NOON}


@pytest.mark.postgresql
def test_a_contact_of_the_same_hour_writes_into_no_index_and_goes_through_no_table():
    numbers = make_fleet()
    Vehicle.objects.update(last_contact_at=NOON - 2 * MINUTE)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_get_xact_tuples_hot_updated('fleet_vehicle'::regclass)")
        (before,) = cursor.fetchone()
        with CaptureQueriesContext(connection) as captured:
            contacts.record_contacts(numbers, at=NOON - MINUTE)
        cursor.execute("SELECT pg_stat_get_xact_tuples_hot_updated('fleet_vehicle'::regclass)")
        (after,) = cursor.fetchone()
        cursor.execute("SET LOCAL enable_seqscan = off")
        update = next(each["sql"] for each in captured if "UPDATE" in each["sql"])
        cursor.execute(f"EXPLAIN {update}")
        plan = " ".join(row for (row,) in cursor.fetchall())

    # From 11:58 to 11:59.
    assert after - before == len(numbers)
    assert "Seq Scan" not in plan
    assert "Join" not in plan
