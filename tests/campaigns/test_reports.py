import uuid

import pytest

from otaserver.campaigns import errors, operations
from otaserver.campaigns.models import Assignment, Attempt, LogTail, Report
from otaserver.campaigns.operations import EvidenceReport, VehicleReport
from otaserver.director.models import Direction
from otaserver.fleet.models import Vehicle
from tests.campaigns.campaign_factories import (
    SOAK,
    at,
    attempt_of,
    in_turn,
    install,
    make_running,
    make_versions,
    prove,
    report,
    run,
    serials,
    states,
    succeed,
    tick,
)
from tests.factories import NOON, make_vehicle

pytestmark = pytest.mark.django_db


def test_an_attempt_is_known_by_its_uuid_and_by_its_number(assignment):
    for attempt, phase in ((attempt_of(assignment).pk, "downloading"), (1, "downloaded")):
        operations.record_report(assignment.vehicle, VehicleReport(attempt, phase, phase), can_prove=True, at=NOON)

    assignment.refresh_from_db()
    assert assignment.state == "downloaded"
    assert Report.objects.count() == 2


@pytest.mark.parametrize("attempt", [uuid.uuid4(), 2, 2**40])
def test_an_unknown_attempt_is_not_found(assignment, attempt):
    with pytest.raises(errors.AttemptNotFoundError):
        operations.record_report(
            assignment.vehicle, VehicleReport(attempt, "1", "downloading"), can_prove=True, at=NOON
        )

    assert not Report.objects.exists()


def test_another_vehicles_attempt_is_not_found(assignment):
    other = make_vehicle(assignment.vehicle.tenant)

    with pytest.raises(errors.AttemptNotFoundError):
        operations.record_report(
            other, VehicleReport(attempt_of(assignment).pk, "1", "downloading"), can_prove=True, at=NOON
        )
    with pytest.raises(errors.AttemptNotFoundError):
        operations.record_log(other, attempt=attempt_of(assignment).pk, text="x", at=NOON)

    assert not Report.objects.exists()
    assert not LogTail.objects.exists()


def test_a_repeated_report_changes_nothing(assignment):
    said = VehicleReport(1, "same", "downloading")
    operations.record_report(assignment.vehicle, said, can_prove=True, at=NOON)
    report(assignment, "held")

    operations.record_report(assignment.vehicle, said, can_prove=True, at=at(hours=1))

    assignment.refresh_from_db()
    assert assignment.state == "held"
    assert Report.objects.count() == 2


def test_a_report_is_stored_as_received_without_what_no_database_stores(assignment):
    said = VehicleReport(
        1, "1", "held", "none", "ECU-1", code="c" * 99, message="a\0b", measured={"soc": 12}, device_time=NOON
    )

    operations.record_report(assignment.vehicle, said, can_prove=True, at=at(seconds=5))

    row = Report.objects.get()
    assert (row.ecu_serial, row.code, row.message, row.measured) == ("ECU-1", "c" * 80, "ab", {"soc": 12})
    assert (row.device_time, row.received_at) == (NOON, at(seconds=5))


def test_a_vehicle_heard_of_is_given_more_time_but_not_for_ever(assignment):
    report(assignment, "downloading", at=at(days=1))
    assert assignment.due_at == at(days=8)
    report(assignment, "downloading", at=at(days=2))
    assert assignment.due_at == at(days=9)
    report(assignment, "held", at=at(days=20))
    assert assignment.due_at == at(days=21)


def test_an_installation_starts_when_the_server_hears_of_it(assignment):
    report(assignment, "installing", at=at(minutes=5))
    report(assignment, "installed", at=at(minutes=9))

    assert (assignment.state, assignment.installing_at) == ("installing", at(minutes=5))
    assert assignment.due_at == at(hours=4, minutes=5)


def test_a_failed_download_is_tried_again_later_and_longer_each_time(campaign, assignment):
    report(assignment, "finished", "failure", "download_failed")
    assert (assignment.state, assignment.next_attempt_at) == ("waiting", at(hours=1))
    assert Direction.objects.get().content is None
    tick(campaign, at(minutes=59))
    assert states(campaign) == ["waiting"]

    tick(campaign, at(hours=1))
    report(assignment, "finished", "failure", "download_failed", at=at(hours=1))
    assert assignment.next_attempt_at == at(hours=3)
    tick(campaign, at(hours=3))
    report(assignment, "finished", "failure", "download_failed", at=at(hours=3))

    assert (assignment.state, assignment.code, assignment.installing_at) == ("lapsed", "download_failed", None)
    assert [a.number for a in Attempt.objects.order_by("number")] == [1, 2, 3]


def test_what_the_server_withdrew_is_no_failed_attempt(campaign, assignment):
    for hour in range(4):
        operations.stop_campaign(campaign, by="eve", at=at(hours=hour), reason="Look.")
        operations.confirm_withdrawal(assignment.vehicle, at=at(hours=hour))
        operations.resume_campaign(campaign, by="eve", at=at(hours=hour), reason="Fine.")
        tick(campaign, at(hours=hour))

    report(assignment, "finished", "failure", "download_failed", at=at(hours=5))

    assert (assignment.state, Attempt.objects.count()) == ("waiting", 5)


@pytest.mark.parametrize("code", ["install_failed", "health_failed", "verification_failed", "new_code"])
def test_other_failures_count_at_once(assignment, code):
    report(assignment, "finished", "failure", code, at=at(minutes=1))

    assert (assignment.state, assignment.code, assignment.installing_at) == ("failed", code, at(minutes=1))
    attempt = Attempt.objects.get()
    assert (attempt.outcome, attempt.code, attempt.closed_at) == ("failure", code, at(minutes=1))
    assert Direction.objects.get().content is None


def test_a_claim_of_success_waits_for_the_proof_and_asks_for_it(assignment):
    report(assignment, "finished", "success")
    assert assignment.state == "installing"
    assert Vehicle.objects.get().is_manifest_wanted

    prove(assignment, assignment.campaign.release, at=at(minutes=1))

    assert (assignment.state, assignment.due_at) == ("soaking", NOON + SOAK)
    assert Direction.objects.get().content is None


def test_a_success_that_is_never_proved_is_a_failure(campaign, assignment):
    report(assignment, "finished", "success")

    tick(campaign, at(hours=4))

    assignment.refresh_from_db()
    assert (assignment.state, assignment.code) == ("failed", "silent")


def test_a_vehicle_that_can_prove_nothing_is_taken_at_its_word(assignment):
    report(assignment, "finished", "success", can_prove=False)

    assert assignment.state == "soaking"


def test_proof_alone_is_enough(assignment):
    prove(assignment, assignment.campaign.release, at=at(minutes=3))

    assert (assignment.state, assignment.installing_at) == ("soaking", at(minutes=3))
    assert Attempt.objects.get().outcome == "success"


def test_half_a_release_proves_nothing(assignment):
    report(assignment, "installing")
    ecu = assignment.vehicle.ecus.get(hardware_id="brake")
    run(ecu, assignment.campaign.release.items.get(package__name="brake").package)

    operations.record_evidence(assignment.vehicle, proved=serials(assignment.vehicle), report=None, at=NOON)

    assignment.refresh_from_db()
    assert assignment.state == "installing"


def test_the_old_software_with_a_report_of_failure_is_a_failure(assignment):
    report(assignment, "installing")
    said = EvidenceReport(attempt_of(assignment).pk, "failure", "health_failed", "No heartbeat.")

    for _ in range(2):
        operations.record_evidence(
            assignment.vehicle, proved=serials(assignment.vehicle), report=said, at=at(minutes=2)
        )

    assignment.refresh_from_db()
    assert (assignment.state, assignment.code, assignment.message) == ("failed", "health_failed", "No heartbeat.")
    assert Report.objects.filter(report_id="manifest:failure").count() == 1


def test_the_new_software_outranks_a_report_of_failure(assignment):
    report(assignment, "finished", "failure", "install_failed")
    assert assignment.state == "failed"

    prove(assignment, assignment.campaign.release, at=at(minutes=1))

    assert (assignment.state, assignment.code, assignment.settled_at) == ("soaking", "", None)
    assert Attempt.objects.get().outcome == "success"


def test_a_report_in_a_manifest_of_an_attempt_that_is_not_the_vehicles_is_left_out(assignment):
    report(assignment, "installing")

    operations.record_evidence(
        assignment.vehicle, proved=serials(assignment.vehicle), report=EvidenceReport(uuid.uuid4(), "failure"), at=NOON
    )

    assignment.refresh_from_db()
    assert assignment.state == "installing"


def test_software_that_is_gone_during_the_soak_was_reverted(campaign, assignment):
    succeed(assignment)

    prove(assignment, campaign.fallback_release, at=at(hours=2))

    assert (assignment.state, assignment.code) == ("failed", "reverted")
    assert Attempt.objects.get().outcome == "failure"


def test_after_the_soak_nothing_undoes_a_success(campaign, assignment):
    succeed(assignment)
    tick(campaign, NOON + SOAK)

    prove(assignment, campaign.fallback_release, at=at(days=1))

    assert assignment.state == "succeeded"


def test_a_manifest_of_a_vehicle_without_orders_moves_nothing():
    vehicle = make_vehicle()

    operations.record_evidence(vehicle, proved=serials(vehicle), report=None, at=NOON)

    assert not Assignment.objects.exists()


def test_an_order_withdrawn_ends_when_the_vehicle_has_heard_so(campaign, assignment):
    operations.stop_campaign(campaign, by="eve", at=NOON, reason="Recall.")
    assert states(campaign) == ["withdrawing"]

    for _ in range(2):
        operations.confirm_withdrawal(assignment.vehicle, at=at(minutes=1))

    assignment.refresh_from_db()
    assert (assignment.state, assignment.settled_at, assignment.due_at) == ("withdrawn", at(minutes=1), None)
    assert Attempt.objects.get().closed_at == at(minutes=1)


def test_confirming_concerns_orders_that_are_being_withdrawn_alone(assignment):
    operations.confirm_withdrawal(assignment.vehicle, at=NOON)

    assignment.refresh_from_db()
    assert assignment.state == "offered"


@pytest.mark.parametrize("has_heard", [True, False])
def test_a_late_finish_of_a_withdrawn_order_counts(campaign, assignment, has_heard):
    operations.stop_campaign(campaign, by="eve", at=NOON, reason="Recall.")
    if has_heard:
        operations.confirm_withdrawal(assignment.vehicle, at=NOON)

    report(assignment, "installing", at=at(minutes=1))
    assert assignment.state == "installing"
    assert Attempt.objects.get().closed_at is None
    prove(assignment, campaign.release, at=at(minutes=2))
    operations.lapse_due(at(hours=8, minutes=1))

    assignment.refresh_from_db()
    assert (assignment.state, assignment.installing_at) == ("succeeded", at(minutes=1))


def test_a_vehicle_given_up_may_still_come_back(campaign, assignment):
    tick(campaign, at(days=14))
    assert states(campaign) == ["lapsed"]

    prove(assignment, campaign.release, at=at(days=15))

    assert assignment.state == "soaking"


def test_a_late_report_after_another_order_is_stored_and_moves_nothing(campaign, assignment):
    operations.cancel_campaign(campaign, by="eve", at=NOON)
    operations.confirm_withdrawal(assignment.vehicle, at=NOON)
    second = make_running(
        tenant=campaign.tenant,
        old=campaign.fallback_release,
        release=make_versions(campaign.tenant, "3.0"),
        group=campaign.group,
        name="second",
    )

    report(assignment, "installing", at=at(minutes=1))
    report(assignment, "finished", "failure", "install_failed", at=at(minutes=1))

    assert (states(campaign), states(second)) == (["withdrawn"], ["offered"])
    assert Report.objects.count() == 2
    assert Direction.objects.get().attempt_id == attempt_of(in_turn(second)[0]).pk


def test_the_software_of_an_earlier_order_does_not_end_the_later_one(campaign, assignment):
    operations.cancel_campaign(campaign, by="eve", at=NOON)
    operations.confirm_withdrawal(assignment.vehicle, at=NOON)
    second = make_running(
        tenant=campaign.tenant,
        old=campaign.fallback_release,
        release=make_versions(campaign.tenant, "3.0"),
        group=campaign.group,
        name="second",
    )

    prove(assignment, campaign.release, at=at(minutes=1))

    assert (states(campaign), states(second)) == (["withdrawn"], ["offered"])


def test_the_end_of_a_log_is_kept(assignment):
    operations.record_log(assignment.vehicle, attempt=1, text="x" + "y\0" * 70_000, at=NOON)

    assert LogTail.objects.get().text == "y" * 65_536


def test_a_report_costs_a_fixed_number_of_statements(assignment, django_assert_max_num_queries):
    vehicle = assignment.vehicle
    with django_assert_max_num_queries(8):
        operations.record_report(vehicle, VehicleReport(1, "1", "downloading"), can_prove=True, at=NOON)
    with django_assert_max_num_queries(5):
        operations.record_report(vehicle, VehicleReport(1, "1", "downloading"), can_prove=True, at=NOON)


def test_proof_of_the_release_before_it_was_offered_moves_nothing():
    campaign = make_running(vehicles=2, waves=(50, 100))
    waiting = in_turn(campaign, "waiting")[0]

    install(waiting.vehicle, campaign.release)
    operations.record_evidence(waiting.vehicle, proved=serials(waiting.vehicle), report=None, at=NOON)

    assert states(campaign) == ["offered", "waiting"]
