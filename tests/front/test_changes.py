"""What is told of a change, by the database itself, and that whoever reads misses none."""

import threading
import time
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.apps import apps
from django.db import connection, transaction
from django.db.models.functions import Now

from otaserver.campaigns.models import Assignment, Attempt
from otaserver.director.models import Direction, VehicleMetadata
from otaserver.fleet.models import Credential, Ecu, Vehicle
from otaserver.fleet.operations.contacts import record_contacts
from otaserver.fleet.protocol_models import DdiSettings, GatewayToken
from otaserver.front.changes import Changes
from otaserver.tenants.change_models import KEPT_FOR, Change, forget_changes
from otaserver.tenants.models import Tenant
from otaserver.tenants.telling import Tells
from tests.factories import NOON, make_tenant, make_vehicle

# Fields that no kept answer depends on; every other one of these models tells when it changes.
UNTOLD = {
    Tenant: {
        *("title", "created_at", "has_public_targets", "foreign_software", "stopped_reason", "required_approvals"),
        *("rollbacks_need_approval", "late_renewal_days", "second_factor_required", "storage_quota_bytes"),
    },
    Vehicle: {
        *("created_at", "last_contact_at", "confirmed_at", "blocked_reason", "time_zone", "is_test_bench"),
        *("last_attempt_number", "last_contact_hour"),
    },
    Ecu: {
        *("vehicle", "is_primary", "keyid", "public_key", "report_counter", "installed_length", "installed_at"),
        *("is_asserted", "installed_version"),
    },
    Credential: {"generation", "created_at", "used_at"},
    GatewayToken: {"name", "created_by", "created_at"},
    DdiSettings: {
        *("tenant", "default_hardware_id", "hardware_attribute", "version_attribute", "chunk_parts"),
    },
    Direction: {"vehicle", "content", "previous_content", "changed_at"},
    VehicleMetadata: {
        *("vehicle", "profile", "targets_version", "snapshot_version", "timestamp_version", "snapshot"),
        *("targets_expires_at", "timestamp_expires_at", "signed_at"),
    },
    Assignment: {field.name for field in Assignment._meta.concrete_fields} - {"state", "id"},
    Attempt: {"assignment", "vehicle", "stone", "packages", "length", "opened_at", "code"},
}


def told_by(model):
    (found,) = [each for each in model._meta.constraints if isinstance(each, Tells)]
    return found


@pytest.mark.parametrize("model", UNTOLD, ids=lambda model: model.__name__)
def test_of_every_field_somebody_has_decided_whether_it_tells(model):
    fields = {field.name for field in model._meta.concrete_fields if not field.primary_key}

    assert set(told_by(model).updates) | UNTOLD[model] == fields
    assert not set(told_by(model).updates) & UNTOLD[model]


def test_who_tells_is_known():
    tells = {model.__name__ for model in apps.get_models() for each in model._meta.constraints if type(each) is Tells}

    assert tells == {model.__name__ for model in UNTOLD} | {"AddressWatch", "RoleMetadata"}


def told():
    return list(Change.objects.order_by("pk").values_list("tenant", "vehicle"))


@pytest.mark.django_db
def test_a_change_is_told_however_it_is_made_and_only_where_something_changes():
    first, second = (make_vehicle(make_tenant(), last_contact_at=NOON) for _ in range(2))
    Change.objects.all().delete()

    Vehicle.objects.update(client="new")
    Vehicle.objects.update(client="new", last_contact_at=NOON, confirmed_at=NOON)
    first.is_manifest_wanted = True
    first.save()
    Vehicle.objects.bulk_update([Vehicle(pk=second.pk, blocked_at=NOON)], ["blocked_at"])
    Tenant.objects.filter(pk=first.tenant_id).update(polling_seconds=9)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE fleet_vehicle SET blocked_at = NULL WHERE id = %s", [second.pk])
    number = first.pk
    first.delete()

    found = told()
    assert sorted(found[:2]) == [(None, number), (None, second.pk)]
    tenants = (first.tenant_id, None)
    assert found[2:6] == [(None, number), (None, second.pk), tenants, (None, second.pk)]
    # Gone, and its ECU with it.
    assert set(found[6:]) == {(None, number)}


# Of those that tell, the ones of who a vehicle is, and by what it proves that.
IDENTITY = {
    Vehicle: {
        *("tenant", "vehicle_id", "enrolled_at", "blocked_at", "decommissioned_at", "protocol", "client"),
        "watched_until",
    },
    Credential: {"vehicle", "kind", "fingerprint", "expires_at", "revoked_at"},
}


@pytest.mark.parametrize("model", UNTOLD, ids=lambda model: model.__name__)
def test_of_every_field_somebody_has_decided_whether_it_says_who_somebody_is(model):
    assert set(told_by(model).identity) == IDENTITY.get(model, set())


@pytest.mark.django_db(transaction=True)
def test_a_change_in_who_a_vehicle_is_is_told_apart():
    vehicle = make_vehicle(make_tenant(), last_contact_at=NOON)
    made = {"fingerprint": "a", "created_at": NOON, "expires_at": NOON}
    credential = Credential.objects.create(vehicle=vehicle, kind="token", **made)
    rows, held = Vehicle.objects.filter(pk=vehicle.pk), Credential.objects.filter(pk=credential.pk)
    for change, is_identity in (
        (lambda: rows.update(is_manifest_wanted=True), False),
        (lambda: rows.update(watched_until=NOON), True),
        (lambda: rows.update(watched_until=NOON, is_health_wanted=True), False),
        (lambda: rows.update(client="new", is_manifest_wanted=False), True),
        (lambda: vehicle.ecus.update(installed_target="new"), False),
        (lambda: held.update(revoked_at=NOON), True),
        (held.delete, True),
        (rows.delete, True),
    ):
        changes = Changes()
        changes.read()
        count = changes.count
        Change.objects.all().delete()

        change()
        changes.read()

        assert Change.objects.filter(vehicle=vehicle.pk, is_identity=True).exists() == is_identity
        assert changes.has_changed(vehicle.pk, vehicle.tenant_id, count)
        assert changes.has_identity_changed(vehicle.pk, vehicle.tenant_id, count) == is_identity


@pytest.mark.django_db
def test_vehicles_that_have_never_called_tell_nothing():
    make_vehicle()
    Change.objects.all().delete()

    Vehicle.objects.update(client="new", blocked_at=NOON)

    assert told() == []


@pytest.mark.django_db
def test_what_is_undone_is_not_told():
    tenant = make_tenant()
    with transaction.atomic():
        Tenant.objects.filter(pk=tenant.pk).update(polling_seconds=9)
        assert told() == [(tenant.pk, None)]
        transaction.set_rollback(True)

    assert told() == []


@pytest.mark.django_db
def test_changes_are_forgotten_when_everybody_has_read_them():
    for age in (timedelta(), KEPT_FOR * 2):
        Change.objects.create(tenant=1, written_in=0, at=NOON)
        Change.objects.filter(at=NOON).update(at=Now() - age)

    assert (forget_changes(), forget_changes(), Change.objects.count()) == (1, 0, 1)


@pytest.mark.django_db
def test_what_was_read_before_the_machine_was_suspended_is_not_believed(monkeypatch):
    changes = Changes()
    changes.read()
    now = time.clock_gettime(time.CLOCK_BOOTTIME)

    # The monotonic clock stood still meanwhile.
    monkeypatch.setattr(time, "clock_gettime", lambda clock: now + 3600 if clock == time.CLOCK_BOOTTIME else now)

    assert not changes.is_current()


def test_a_change_is_read_once_and_for_what_it_concerns(transactional_db):
    tenant, other = make_tenant(), make_tenant()
    vehicle = make_vehicle(other, last_contact_at=NOON)
    changes = Changes()
    assert not changes.is_current()
    changes.read()
    before = changes.count
    assert changes.is_current()

    Tenant.objects.filter(pk=tenant.pk).update(polling_seconds=9)
    Vehicle.objects.update(client="new")
    changes.read()
    changes.read()

    assert changes.count == before + 1
    assert changes.has_changed(vehicle.pk + 1, tenant.pk, before)
    assert changes.has_changed(vehicle.pk, other.pk, before)
    assert not changes.has_changed(vehicle.pk + 1, other.pk, before)
    assert not changes.has_changed(vehicle.pk, tenant.pk, changes.count)


def test_in_a_database_that_was_restored_everything_has_changed(transactional_db):
    tenant = make_tenant()
    changes = Changes()
    changes.read()
    Tenant.objects.filter(pk=tenant.pk).update(polling_seconds=9)
    changes.read()
    changes.read()
    before = changes.count
    assert not changes.has_changed(1, tenant.pk + 1, before)

    with begun_anew():
        changes.read()
        changes.read()
        assert changes.has_changed(1, tenant.pk + 1, before)
        assert changes.count == before + 1
        Tenant.objects.filter(pk=tenant.pk).update(polling_seconds=8)
        changes.read()
        assert changes.has_changed(1, tenant.pk, before + 1)
        assert not changes.has_changed(1, tenant.pk + 1, before + 1)


@contextmanager
def begun_anew():
    """The table as it is in a database that knows nothing of what was read, as after a restore."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("DELETE FROM tenants_change")
            cursor.execute("UPDATE sqlite_sequence SET seq = 0 WHERE name = 'tenants_change'")
            yield
            return
        cursor.execute("CREATE TABLE anew (LIKE tenants_change INCLUDING ALL)")
        cursor.execute("ALTER TABLE tenants_change RENAME TO before")
        cursor.execute("ALTER TABLE anew RENAME TO tenants_change")
        yield
        cursor.execute("DROP TABLE tenants_change")
        cursor.execute("ALTER TABLE before RENAME TO tenants_change")


@pytest.mark.postgresql
def test_a_change_whose_transaction_ends_after_later_ones_is_not_missed(transactional_db):
    early, late = make_tenant(), make_tenant()
    changes, written, may_end = Changes(), threading.Event(), threading.Event()

    def slow():
        with transaction.atomic():
            Tenant.objects.filter(pk=early.pk).update(polling_seconds=9)
            written.set()
            may_end.wait(30)
        connection.close()

    thread = threading.Thread(target=slow)
    thread.start()
    written.wait(30)
    changes.read()
    Tenant.objects.filter(pk=late.pk).update(polling_seconds=9)
    changes.read()
    seen = changes.count
    assert (changes.has_changed(1, late.pk, seen - 1), changes.has_changed(1, early.pk, seen - 1)) == (True, False)

    may_end.set()
    thread.join()
    changes.read()

    assert changes.has_changed(1, early.pk, seen)
    assert not changes.has_changed(1, late.pk, seen)


@pytest.mark.postgresql
def test_a_vehicle_that_somebody_holds_is_not_waited_for(transactional_db):
    held, free = (make_vehicle() for _ in range(2))
    holding, may_end = threading.Event(), threading.Event()

    def hold():
        with transaction.atomic():
            Vehicle.objects.select_for_update().get(pk=held.pk)
            holding.set()
            may_end.wait(30)
        connection.close()

    thread = threading.Thread(target=hold)
    thread.start()
    holding.wait(30)

    assert record_contacts({held.pk, free.pk}, at=NOON) == {held.pk}
    assert set(Vehicle.objects.values_list("pk", "last_contact_at")) == {(held.pk, None), (free.pk, NOON)}
    may_end.set()
    thread.join()
    assert record_contacts({held.pk, free.pk}, at=NOON) == set()
    assert set(Vehicle.objects.values_list("last_contact_at", flat=True)) == {NOON}
