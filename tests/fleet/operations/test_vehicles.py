from datetime import timedelta

import pytest

from otaserver.audit.models import Entry
from otaserver.fleet import operations
from otaserver.fleet.errors import (
    ReasonMissingError,
    TimeZoneUnknownError,
    VehicleBlockedError,
    VehicleIdRefusedError,
    VehicleNotBlockedError,
)
from otaserver.fleet.models import Vehicle
from tests.factories import NOON, make_tenant, make_vehicle

MINUTE = timedelta(minutes=1)


@pytest.mark.django_db
def test_vehicles_are_created_once_however_often_they_are_named():
    tenant = make_tenant()

    assert operations.create_vehicles(tenant, ["VIN1", "VIN2", "VIN1"], at=NOON) == 2
    assert operations.create_vehicles(tenant, ["VIN2", "VIN3"], at=NOON + MINUTE) == 1

    assert list(Vehicle.objects.order_by("vehicle_id").values_list("vehicle_id", "created_at", "enrolled_at")) == [
        ("VIN1", NOON, None),
        ("VIN2", NOON, None),
        ("VIN3", NOON + MINUTE, None),
    ]


@pytest.mark.django_db
def test_one_impossible_vehicle_id_means_no_vehicle_at_all():
    with pytest.raises(VehicleIdRefusedError):
        operations.create_vehicles(make_tenant(), ["VIN1", "VIN/2"], at=NOON)

    assert not Vehicle.objects.exists()


@pytest.mark.django_db
def test_contact_is_written_at_most_once_a_minute_and_never_goes_back(django_assert_num_queries):
    vehicle = make_vehicle()
    stale = Vehicle.objects.get()
    operations.record_contact(vehicle, at=NOON)

    with django_assert_num_queries(0):
        operations.record_contact(vehicle, at=NOON + MINUTE - timedelta(seconds=1))
    operations.record_contact(stale, at=NOON - MINUTE)
    operations.record_contact(stale, at=NOON + timedelta(seconds=1))
    assert Vehicle.objects.get().last_contact_at == vehicle.last_contact_at == NOON

    operations.record_contact(vehicle, at=NOON + MINUTE)
    assert Vehicle.objects.get().last_contact_at == NOON + MINUTE


@pytest.mark.django_db
def test_blocking_and_unblocking_are_audited_with_their_reasons():
    vehicle = make_vehicle()

    operations.block_vehicle(vehicle, reason="stolen", by="alice", at=NOON)
    assert Vehicle.objects.values_list("blocked_at", "blocked_reason").get() == (NOON, "stolen")
    operations.unblock_vehicle(vehicle, reason="found again", by="bob", at=NOON)

    assert Vehicle.objects.values_list("blocked_at", "blocked_reason").get() == (None, "")
    assert (vehicle.blocked_at, vehicle.blocked_reason) == (None, "")
    entries = Entry.objects.order_by("number").values_list("action", "actor", "details")
    assert list(entries) == [
        ("vehicle.blocked", "alice", {"reason": "stolen"}),
        ("vehicle.unblocked", "bob", {"reason": "found again"}),
    ]


@pytest.mark.django_db
def test_a_second_operator_with_a_stale_copy_neither_blocks_nor_unblocks_again():
    vehicle = make_vehicle()
    stale = Vehicle.objects.get()
    operations.block_vehicle(vehicle, reason="stolen", by="alice", at=NOON)

    with pytest.raises(VehicleBlockedError):
        operations.block_vehicle(stale, reason="broken", by="bob", at=NOON)
    stale = Vehicle.objects.get()
    operations.unblock_vehicle(vehicle, reason="found", by="alice", at=NOON)
    with pytest.raises(VehicleNotBlockedError):
        operations.unblock_vehicle(stale, reason="mended", by="bob", at=NOON)

    assert set(Entry.objects.values_list("actor", flat=True)) == {"alice"}


@pytest.mark.django_db
@pytest.mark.parametrize("operation", [operations.block_vehicle, operations.unblock_vehicle])
def test_no_reason_no_change(operation):
    vehicle = make_vehicle()

    with pytest.raises(ReasonMissingError):
        operation(vehicle, reason=" ", by="alice", at=NOON)

    assert Vehicle.objects.get().blocked_at is None
    assert not Entry.objects.exists()


def test_of_two_operators_blocking_at_once_exactly_one_does(at_once):
    make_vehicle()
    copies = Vehicle.objects.get(), Vehicle.objects.get()

    results = at_once(
        *(
            lambda copy=copy, by=by: operations.block_vehicle(copy, reason="stolen", by=by, at=NOON)
            for copy, by in zip(copies, ("alice", "bob"), strict=True)
        )
    )

    assert [type(result) for result in results if result is not None] == [VehicleBlockedError]
    assert Entry.objects.count() == 1


@pytest.mark.django_db
def test_a_time_zone_is_set_once_and_audited():
    first = make_vehicle(vehicle_id="VIN1")
    second = make_vehicle(first.tenant, "VIN2", time_zone="Europe/Berlin")

    assert operations.set_time_zone([first, second], "Europe/Berlin", by="alice", at=NOON) == 1
    assert operations.set_time_zone([first, second], "Europe/Berlin", by="alice", at=NOON) == 0

    entry = Entry.objects.get()
    assert (entry.action, entry.details) == (
        "vehicle.time_zone_set",
        {"time_zone": "Europe/Berlin", "vehicle_ids": ["VIN1"]},
    )


@pytest.mark.django_db
@pytest.mark.parametrize("zone", ["", "Mars/Olympus", "europe/berlin", "../../etc/passwd", "localtime", "UTC+2"])
def test_a_time_zone_that_there_is_not_is_refused(zone):
    vehicle = make_vehicle()

    with pytest.raises(TimeZoneUnknownError):
        operations.set_time_zone([vehicle], zone, by="alice", at=NOON)

    assert Vehicle.objects.get().time_zone == "UTC"
    assert not Entry.objects.exists()
