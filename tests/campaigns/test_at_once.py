"""Two at once, in threads with connections of their own: exactly one wins. Meaningful on PostgreSQL above all."""

import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import connections, transaction

from otaserver.audit import queries as audit
from otaserver.campaigns import operations
from otaserver.campaigns.models import Assignment, Attempt, Campaign, Decision, Report
from otaserver.campaigns.operations import VehicleReport, renewals
from otaserver.campaigns.queries import bundles
from otaserver.director.models import Direction
from otaserver.errors import ConflictError
from otaserver.fleet.models import Vehicle
from otaserver.statemachine import StaleStateError
from tests.campaigns.campaign_factories import (
    SOAK,
    at,
    attempt_of,
    fail,
    in_turn,
    make_approved,
    make_fleet,
    make_running,
    make_started,
    make_versions,
    states,
    succeed,
    tick,
)
from tests.factories import NOON, make_group, make_tenant

pytestmark = pytest.mark.django_db(transaction=True)


def copies(campaign, count=2):
    return [Campaign.objects.get(pk=campaign.pk) for _ in range(count)]


def test_of_two_operators_starting_a_campaign_one_wins(at_once):
    campaign = make_approved(vehicles=3)
    one, two = copies(campaign)

    results = at_once(
        lambda: operations.start_campaign(one, by="alice", at=NOON),
        lambda: operations.start_campaign(two, by="bob", at=NOON),
    )

    assert sorted(type(result) for result in results if result) == [StaleStateError]
    assert Assignment.objects.count() == 3
    assert Decision.objects.filter(kind="campaign.started").count() == 1


def test_of_workers_ticking_a_campaign_each_vehicle_gets_one_order(at_once):
    campaign = make_started(vehicles=20)

    results = at_once(*[lambda: operations.advance_campaign(campaign.pk, at=NOON)] * 4)

    assert not [result for result in results if isinstance(result, Exception)]
    assert states(campaign) == ["offered"] * 20
    assert Attempt.objects.count() == Direction.objects.count() == 20
    assert set(Vehicle.objects.values_list("last_attempt_number", flat=True)) == {1}
    assert Decision.objects.filter(kind="wave.opened").count() == 1


def test_of_workers_reading_the_gate_each_outcome_counts_once(at_once):
    campaign = make_running(vehicles=6, wave_failures=9)
    for assignment in in_turn(campaign)[:3]:
        fail(assignment)
    for assignment in in_turn(campaign)[3:]:
        succeed(assignment)

    at_once(*[lambda: operations.advance_campaign(campaign.pk, at=NOON + SOAK)] * 4)
    tick(campaign, NOON + SOAK)

    state = campaign.gate_states.get()
    assert (state.failures, state.successes) == (3, 3)
    assert campaign.state == "completed"
    assert Decision.objects.filter(kind="campaign.completed").count() == 1


def test_of_two_people_deciding_a_wave_one_wins(at_once):
    campaign = make_running(vehicles=2, waves=(50, 100), wave_rule="ask")
    succeed(in_turn(campaign)[0])
    tick(campaign, NOON + SOAK)
    one, two = campaign.waves.get(number=1), campaign.waves.get(number=1)

    results = at_once(
        lambda: operations.decide_wave(one, passed=True, reason="Fine.", by="alice", at=NOON),
        lambda: operations.decide_wave(two, passed=False, reason="Bad.", by="bob", at=NOON),
    )

    # Where the second passes a wave whose failure has halted the campaign, it hears of that.
    assert [isinstance(result, ConflictError) for result in results if result] == [True]
    assert Decision.objects.filter(kind__in=["wave.passed", "wave.failed"]).count() == 1


def test_a_stop_and_a_tick_at_once_leave_no_order_standing(at_once):
    campaign = make_started(vehicles=10)
    (copy,) = copies(campaign, 1)

    results = at_once(
        lambda: operations.advance_campaign(campaign.pk, at=NOON),
        lambda: operations.stop_campaign(copy, by="eve", at=NOON, reason="Recall."),
    )

    assert not [result for result in results if isinstance(result, Exception)]
    tick(campaign, NOON)
    assert campaign.state == "halted"
    assert set(states(campaign)) <= {"withdrawing", "waiting"}
    assert not Direction.objects.exclude(content=None).exists()


def test_a_tenant_stopped_while_a_campaign_starts_offers_nothing(at_once):
    campaign = make_approved(vehicles=3)
    (copy,) = copies(campaign, 1)

    at_once(
        lambda: operations.start_campaign(copy, by="alice", at=NOON),
        lambda: operations.stop_tenant(campaign.tenant, by="eve", at=NOON, reason="Recall."),
    )
    tick(campaign, NOON)

    assert not Attempt.objects.exists()
    assert campaign.state in ("approved", "halted")


def test_two_campaigns_offering_to_one_vehicle_at_once_give_it_one_order(at_once):
    tenant = make_tenant()
    old = make_versions(tenant)
    group = make_group(tenant, *make_fleet(tenant, 5, old))
    both = [
        make_started(tenant=tenant, old=old, release=make_versions(tenant, version), group=group, name=version)
        for version in ("2.0", "3.0")
    ]

    at_once(*[lambda campaign=campaign: operations.advance_campaign(campaign.pk, at=NOON) for campaign in both])
    for campaign in both:
        tick(campaign)

    assert sorted(states(both[0]) + states(both[1])) == ["offered"] * 5 + ["waiting"] * 5
    assert Attempt.objects.count() == 5


def test_one_report_delivered_twice_at_once_counts_once(at_once):
    campaign = make_running(vehicles=1)
    assignment = in_turn(campaign)[0]
    vehicle = assignment.vehicle
    said = VehicleReport(attempt_of(assignment).pk, "1", "finished", "failure", code="download_failed")

    results = at_once(*[lambda: operations.record_report(vehicle, said, can_prove=True, at=NOON)] * 3)

    assert results == [None, None, None]
    assert Report.objects.count() == 1
    assert (states(campaign), Attempt.objects.get().outcome) == (["waiting"], "failure")


def test_a_withdrawal_and_an_installation_at_once_end_in_the_installation(at_once):
    campaign = make_running(vehicles=1)
    assignment = in_turn(campaign)[0]
    (copy,) = copies(campaign, 1)
    said = VehicleReport(attempt_of(assignment).pk, "1", "installing")

    results = at_once(
        lambda: operations.stop_campaign(copy, by="eve", at=NOON, reason="Recall."),
        lambda: operations.record_report(assignment.vehicle, said, can_prove=True, at=NOON),
        lambda: operations.confirm_withdrawal(assignment.vehicle, at=NOON),
    )

    assert results == [None, None, None]
    assert states(campaign) == ["installing"]


def test_workers_closing_what_is_due_close_it_once(at_once):
    campaign = make_running(vehicles=10)

    closed = at_once(*[lambda: operations.lapse_due(at(days=14))] * 3)

    assert sum(closed) == 10
    assert states(campaign) == ["lapsed"] * 10


def test_the_audit_chain_holds_after_operators_and_workers_at_once(at_once):
    tenant = make_tenant()
    old, new = make_versions(tenant), make_versions(tenant, "2.0")
    campaigns = [
        make_started(tenant=tenant, old=old, release=new, vehicles=2, name=f"c{number}") for number in range(4)
    ]

    at_once(*[lambda campaign=campaign: operations.advance_campaign(campaign.pk, at=NOON) for campaign in campaigns])

    assert audit.first_break(tenant) is None
    assert Decision.objects.filter(kind="wave.opened").count() == 4


def replaces_its_ecu_once(monkeypatch, module, name, vehicle):
    """Have a vehicle call with another ECU just when a tick has read the one that it had."""
    read, begun = getattr(module, name), []

    def replace():
        try:
            with transaction.atomic():
                # As `fleet.declare_ecus` does.
                locked = Vehicle.objects.select_for_update(no_key=True).get(pk=vehicle.pk)
                locked.ecus.filter(is_primary=False).update(serial="another", keyid="f" * 64)
                Vehicle.objects.filter(pk=vehicle.pk).update(enrolled_at=NOON + timedelta(minutes=1))
        finally:
            connections.close_all()

    def reads(*arguments, **options):
        found = read(*arguments, **options)
        if isinstance(found, Iterator):
            found = iter(list(found))
        if not begun:
            begun.append(threading.Thread(target=replace))
            begun[0].start()
            begun[0].join(0.5)
        return found

    monkeypatch.setattr(module, name, reads)
    return begun


@pytest.mark.postgresql
def test_a_vehicle_that_replaces_an_ecu_while_it_is_offered_halts_no_campaign(transactional_db, monkeypatch):
    campaign = make_started(vehicles=1)
    vehicle = Vehicle.objects.get()
    begun = replaces_its_ecu_once(monkeypatch, bundles, "vehicle_views", vehicle)

    tick(campaign, NOON)
    begun[0].join()

    assert (campaign.state, states(campaign)) == ("running", ["offered"])
    assert vehicle.ecus.get(is_primary=False).serial == "another"


@pytest.mark.postgresql
def test_a_vehicle_that_replaces_an_ecu_while_its_order_is_made_anew_halts_no_campaign(transactional_db, monkeypatch):
    campaign = make_running(vehicles=1)
    vehicle = Vehicle.objects.get()
    Assignment.objects.update(renew_at=NOON)
    begun = replaces_its_ecu_once(monkeypatch, renewals, "Schedules", vehicle)

    tick(campaign, NOON + timedelta(minutes=2))
    begun[0].join()

    assert campaign.state == "running"
