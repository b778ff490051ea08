"""What vehicles say while somebody else holds their rows: what was read before the wait is not what holds after it."""

import threading

import pytest
from django.db import connection, transaction

from otaserver.campaigns import operations
from otaserver.campaigns.models import Assignment, Attempt, Report
from otaserver.campaigns.operations import VehicleReport
from otaserver.director.models import Direction
from otaserver.fleet import operations as fleet
from otaserver.fleet.models import Ecu, Vehicle
from otaserver.fleet.states import Protocol
from tests.campaigns.campaign_factories import (
    SOAK,
    at,
    attempt_of,
    in_turn,
    make_running,
    make_versions,
    report,
    states,
    succeed,
)
from tests.factories import NOON, make_group, make_tenant, make_vehicle
from tests.processes import wait_for

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgresql]


def wait_for_somebody_who_waits():
    """Return once somebody waits for what the transaction of this thread holds."""

    def is_waited_for():
        with connection.cursor() as cursor:
            # Within a transaction it would be looked at once.
            cursor.execute("SELECT pg_stat_clear_snapshot()")
            cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE pg_backend_pid() = ANY(pg_blocking_pids(pid))")
            return cursor.fetchone()[0]

    wait_for(is_waited_for, what="somebody who waits")


def test_a_late_word_on_an_attempt_that_is_over_moves_no_order_that_is_made_in_that_moment(at_once):
    campaign = make_running(vehicles=1, retry_seconds=60)
    (assignment,) = in_turn(campaign)
    late = VehicleReport(attempt_of(assignment).pk, "late", "finished", "failure", code="install_failed")
    report(assignment, "finished", "failure", "download_failed")
    is_offered = threading.Event()

    def offer():
        with transaction.atomic():
            operations.advance_campaign(campaign.pk, at=at(minutes=5))
            is_offered.set()
            wait_for_somebody_who_waits()

    def speak():
        is_offered.wait()
        operations.record_report(assignment.vehicle, late, can_prove=True, at=at(minutes=5))

    assert at_once(offer, speak) == [None, None]

    assert states(campaign) == ["offered"]
    assert [attempt.closed_at for attempt in Attempt.objects.order_by("number")] == [NOON, None]
    assert Direction.objects.get().attempt_id == attempt_of(assignment).pk
    assert Report.objects.filter(report_id="late").exists()


def test_a_device_that_names_other_hardware_holds_no_vehicle_while_it_waits_for_its_assignment(at_once):
    tenant = make_tenant()
    vehicle = make_vehicle(tenant, protocol=Protocol.MENDER)
    Ecu.objects.update(keyid="", public_key={})
    old, new = (make_versions(tenant, version, hardware=("gateway",)) for version in ("1.0", "2.0"))
    make_running(tenant=tenant, old=old, release=new, group=make_group(tenant, vehicle))
    is_held = threading.Event()

    # In the order in which offers lock.
    def hold():
        with transaction.atomic():
            Assignment.objects.select_for_update(no_key=True).get()
            is_held.set()
            wait_for_somebody_who_waits()
            Vehicle.objects.select_for_update(no_key=True).get()

    def claim():
        is_held.wait()
        operations.record_claim(vehicle, "gateway-1.0", hardware_id="brake", order=None, at=NOON)

    assert at_once(hold, claim) == [None, None]

    assert vehicle.ecus.get().hardware_id == "brake"


def test_a_device_that_names_other_hardware_while_what_it_runs_is_written_down_waits_for_that(at_once):
    vehicle = make_vehicle(protocol=Protocol.MENDER)
    is_held = threading.Event()

    # As whoever writes down what runs.
    def write_down():
        with transaction.atomic():
            Vehicle.objects.select_for_update(no_key=True).get()
            is_held.set()
            wait_for_somebody_who_waits()
            Ecu.objects.update(installed_target="supplier/gateway-2.0")

    def declare():
        is_held.wait()
        fleet.declare_hardware(vehicle, "brake", at=NOON)

    assert at_once(write_down, declare) == [None, None]

    assert vehicle.ecus.get().hardware_id == "brake"


def test_what_has_soaked_while_its_vehicle_speaks_is_left_to_the_next_tick(at_once):
    campaign = make_running(vehicles=2)
    held, free = in_turn(campaign)
    for assignment in (held, free):
        succeed(assignment)
    is_held, is_closed = threading.Event(), threading.Event()

    def hold():
        with transaction.atomic():
            Assignment.objects.select_for_update(no_key=True).get(pk=held.pk)
            is_held.set()
            return is_closed.wait(10)

    def close():
        is_held.wait()
        closed = operations.lapse_due(NOON + SOAK)
        is_closed.set()
        return closed

    assert at_once(hold, close) == [True, 1]

    assert states(campaign) == ["soaking", "succeeded"]
    assert operations.lapse_due(NOON + SOAK) == 1
