import pytest

from otaserver.campaigns import operations, queries
from otaserver.campaigns.models import Assignment
from otaserver.campaigns.states import AssignmentState, GateVerdict
from tests.campaigns.campaign_factories import (
    SOAK,
    at,
    attempt_of,
    fail,
    in_turn,
    make_campaign,
    make_fleet,
    make_running,
    make_started,
    make_versions,
    prove,
    report,
    states,
    succeed,
    tick,
)
from tests.factories import NOON, make_group, make_tenant, make_vehicle

pytestmark = pytest.mark.django_db


def test_progress_counts_by_wave_and_state_in_one_query(django_assert_num_queries):
    campaign = make_running(vehicles=4, waves=(50, 100))
    succeed(in_turn(campaign)[0])

    with django_assert_num_queries(1):
        found = queries.progress(campaign)

    assert found.by_state == {"soaking": 1, "offered": 1, "waiting": 2}
    assert found.by_wave == {1: {"soaking": 1, "offered": 1}, None: {"waiting": 2}}
    assert (found.total, found.in_flight, found.settled) == (4, 2, 0)


def test_excluded_vehicles_are_no_part_of_the_total():
    tenant = make_tenant()
    old = make_versions(tenant)
    group = make_group(tenant, *make_fleet(tenant, 1, old), make_vehicle(tenant, hardware=("radio",)))

    assert queries.progress(make_started(tenant=tenant, old=old, group=group)).total == 1


def test_the_gate_shows_each_test_with_its_statistic_and_limits(django_assert_num_queries):
    campaign = make_running(vehicles=3, wave_failures=3)
    fail(in_turn(campaign)[0])
    succeed(in_turn(campaign)[1])
    tick(campaign, NOON + SOAK)

    with django_assert_num_queries(1):
        view = queries.gate_view(campaign)

    (pool,) = view.tests
    assert (pool.stratum, pool.successes, pool.failures) == ("", 1, 1)
    assert pool.statistic == pytest.approx(1.3711, abs=1e-3)
    assert (view.verdict, pool.is_guard, pool.clean_results_to_pass) == (GateVerdict.UNDECIDED, False, 197)
    assert pool.lowest_rate < 0.5 < pool.highest_rate


def test_a_gate_halts_where_any_test_halts():
    campaign = make_running(vehicles=4, wave_failures=9)
    for assignment in in_turn(campaign):
        fail(assignment)
    tick(campaign, NOON + SOAK)

    assert queries.gate_view(campaign).verdict == GateVerdict.HALT
    assert queries.gate_view(make_campaign(vehicles=1)).verdict == GateVerdict.UNDECIDED


def test_decisions_come_newest_first():
    campaign = make_running(vehicles=1)

    kinds = [decision.kind for decision in queries.decisions(campaign)]

    assert kinds[:2] == ["wave.opened", "campaign.started"]


def test_an_order_tells_each_ecu_what_to_install():
    campaign = make_running(vehicles=1, grace_hours=3)
    vehicle = in_turn(campaign)[0].vehicle

    order = queries.order_for(vehicle)

    assert (order.campaign, order.release, order.grace_hours) == ("spring", "car 2.0", 3)
    assert (order.attempt_id, order.number) == (attempt_of(in_turn(campaign)[0]).pk, 1)
    assert sorted((p.ecu_serial, p.hardware_id, p.target_name) for p in order.packages) == [
        (f"{vehicle}-0", "gateway", "supplier/gateway-2.0"),
        (f"{vehicle}-1", "brake", "supplier/brake-2.0"),
    ]


def test_there_is_no_order_before_an_offer_nor_after_its_end():
    campaign = make_started(vehicles=1)
    assignment = in_turn(campaign)[0]
    assert queries.order_for(assignment.vehicle) is None

    tick(campaign)
    operations.stop_campaign(campaign, by="eve", at=NOON, reason="Recall.")

    assert queries.order_for(assignment.vehicle) is None


def explain(assignment):
    return queries.explain(Assignment.objects.get(pk=assignment.pk))


def test_each_vehicle_has_a_sentence_that_says_why():
    campaign = make_started(vehicles=2, waves=(50, 100))
    first, second = in_turn(campaign)

    assert explain(first) == "The vehicle waits for its wave; earlier waves have not passed yet."
    tick(campaign)
    assert explain(first) == (
        "The release is offered and the vehicle has not answered yet; this ends at 2026-06-15 12:00 UTC at the latest."
    )
    report(first, "finished", "failure", "download_failed")
    assert explain(first) == ("The last attempt ended (download_failed); the next one follows at 2026-06-01 13:00 UTC.")
    tick(campaign, at(hours=1))
    succeed(first, at=at(hours=1))
    assert explain(first) == "The new software runs and must stay healthy until 2026-06-01 21:00 UTC."
    prove(first, campaign.fallback_release, at=at(hours=2))
    assert explain(first) == "The update failed (reverted: The vehicle no longer proves that it runs the release)."
    operations.pause_campaign(campaign, by="alice", at=NOON, reason="Weekend.")
    assert explain(second) == "The vehicle waits, and the campaign is paused: weekend."


def test_what_holds_a_vehicle_back_is_told():
    campaign = make_running(vehicles=1)
    assignment = in_turn(campaign)[0]

    report(assignment, "held", code="consent_awaited")
    report(assignment, "held", code="battery_low")

    assert explain(assignment) == (
        "The vehicle holds the installation back (battery_low); this ends at 2026-06-08 12:00 UTC at the latest."
    )


def test_a_success_and_a_neutral_end_are_explained():
    campaign = make_running(vehicles=2)
    good, unwilling = in_turn(campaign)
    succeed(good)
    report(unwilling, "finished", "refused", "consent_refused")
    tick(campaign, NOON + SOAK)

    assert explain(good) == "The new software runs and stayed healthy through its soak."
    assert explain(unwilling) == "The vehicle refused (consent_refused). It counts neither way."


def test_an_excluded_vehicle_is_told_why():
    tenant = make_tenant()
    old = make_versions(tenant)
    group = make_group(tenant, *make_fleet(tenant, 1, old), make_vehicle(tenant, hardware=("radio",)))
    campaign = make_started(tenant=tenant, old=old, group=group)

    assert explain(in_turn(campaign, "excluded")[0]) == (
        "The vehicle takes no part: no package fits the vehicle's hardware (radio)."
    )


def test_a_vehicle_that_waits_for_another_campaign_or_for_room_is_told_so():
    tenant = make_tenant()
    old = make_versions(tenant)
    group = make_group(tenant, *make_fleet(tenant, 2, old))
    first = make_running(tenant=tenant, old=old, release=make_versions(tenant, "2.0"), group=group, max_in_flight=1)
    second = make_started(tenant=tenant, old=old, release=make_versions(tenant, "3.0"), group=group, name="second")
    tick(second)
    (busy,) = in_turn(first, "offered")

    assert explain(in_turn(first, "waiting")[0]) == (
        "The vehicle waits until it is done with second: one order at a time."
    )
    assert explain(second.assignments.get(vehicle=busy.vehicle)) == (
        "The vehicle waits until it is done with spring: one order at a time."
    )
    third = make_running(vehicles=2, max_in_flight=1)
    assert explain(in_turn(third, "waiting")[0]) == (
        "The vehicle's turn has come and it waits for room among the vehicles in flight, or for the next tick."
    )


@pytest.mark.parametrize("state", set(AssignmentState) - {AssignmentState.EXCLUDED})
def test_every_state_has_an_explanation(state):
    campaign = make_running(vehicles=1)
    Assignment.objects.update(state=state)

    assert explain(in_turn(campaign)[0]).rstrip().endswith(".")
    assert states(campaign) == [state]
