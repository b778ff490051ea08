"""What a manifest leaves out proves nothing: neither that the release runs, nor that it does not."""

import pytest

from otaserver.campaigns import errors, operations
from otaserver.campaigns.models import Attempt, LogTail, Report
from otaserver.campaigns.operations import EvidenceReport, VehicleReport
from otaserver.campaigns.operations.reports import MAX_ENDS, MAX_LOGS, MAX_REPORTS
from otaserver.director.models import Direction
from otaserver.fleet.models import Vehicle
from tests.campaigns.campaign_factories import (
    SOAK,
    at,
    attempt_of,
    in_turn,
    install,
    prove,
    report,
    run,
    states,
    succeed,
    tick,
)
from tests.factories import NOON

pytestmark = pytest.mark.django_db


def tell(assignment, *, at=NOON, **releases):
    """Let the vehicle send a manifest that speaks of these ECUs alone, by hardware id, and of what they run."""
    vehicle = Vehicle.objects.get(pk=assignment.vehicle_id)
    told = [vehicle.ecus.get(hardware_id=hardware) for hardware in releases]
    for ecu, release in zip(told, releases.values(), strict=True):
        run(ecu, release.items.get(package__name=ecu.hardware_id).package)
    Vehicle.objects.filter(pk=vehicle.pk).update(confirmed_at=at, is_manifest_wanted=False)
    operations.record_evidence(vehicle, proved={ecu.serial for ecu in told}, report=None, at=at)
    assignment.refresh_from_db()


def test_a_mixture_of_two_manifests_is_no_proof(campaign, assignment):
    new, old = campaign.release, campaign.fallback_release
    report(assignment, "installing")

    tell(assignment, gateway=old, brake=new)
    tell(assignment, gateway=new, at=at(minutes=1))
    assert assignment.state == "installing"
    tell(assignment, gateway=new, brake=new, at=at(minutes=2))

    assert assignment.state == "soaking"


def test_an_ecu_that_stays_silent_through_the_soak_fails_the_update(campaign, assignment):
    succeed(assignment)
    tell(assignment, gateway=campaign.release, at=at(hours=7))
    assert (assignment.state, assignment.is_partly_proved, assignment.due_at) == ("soaking", True, at(hours=11))
    assert Vehicle.objects.get().is_manifest_wanted

    tell(assignment, gateway=campaign.release, at=at(hours=8))
    tick(campaign, at(hours=9))
    assert states(campaign) == ["soaking"]
    tick(campaign, at(hours=11))

    assignment.refresh_from_db()
    assert (assignment.state, assignment.code) == ("failed", "unproved")
    attempt = Attempt.objects.get()
    assert (attempt.outcome, attempt.code) == ("failure", "unproved")


def test_an_ecu_that_is_heard_of_again_before_the_soak_ends_harms_nothing(campaign, assignment):
    succeed(assignment)
    tell(assignment, gateway=campaign.release, at=at(hours=1))

    prove(assignment, campaign.release, at=at(hours=2))
    assert (assignment.is_partly_proved, assignment.due_at) == (False, NOON + SOAK)
    tick(campaign, NOON + SOAK)

    assert states(campaign) == ["succeeded"]


def test_whole_proof_after_all_outranks_that_it_was_missing(campaign, assignment):
    succeed(assignment)
    tell(assignment, gateway=campaign.release, at=at(hours=7))
    operations.lapse_due(at(hours=11))

    prove(assignment, campaign.release, at=at(hours=12))
    operations.lapse_due(at(hours=12))

    assignment.refresh_from_db()
    assert (assignment.state, assignment.code) == ("succeeded", "")


def test_the_old_software_on_one_ecu_is_a_revert_though_another_is_left_out(campaign, assignment):
    succeed(assignment)

    tell(assignment, brake=campaign.fallback_release, at=at(hours=1))

    assert (assignment.state, assignment.code) == ("failed", "reverted")


def test_giving_up_a_soak_leaves_another_campaigns_order_alone(campaign, assignment):
    succeed(assignment)
    tell(assignment, gateway=campaign.release, at=at(hours=1))
    operations.stop_campaign(campaign, by="eve", at=at(hours=1), reason="Bad.")
    back = operations.create_rollback(
        campaign, release=campaign.fallback_release, name="back", by="eve", at=at(hours=1)
    )
    operations.submit_campaign(back, by="eve", at=at(hours=1))
    operations.approve_campaign(back, by="bob", at=at(hours=1))
    operations.start_campaign(back, by="eve", at=at(hours=1))
    tick(back, at(hours=1))

    operations.lapse_due(at(hours=8))

    assignment.refresh_from_db()
    assert (assignment.state, states(back)) == ("failed", ["offered"])
    assert Direction.objects.get().attempt_id == attempt_of(in_turn(back)[0]).pk


def test_a_vehicle_whose_protocol_proves_is_never_believed_unproved(campaign, assignment):
    Vehicle.objects.update(confirmed_at=None)

    report(assignment, "finished", "success")

    assert assignment.state == "installing"
    assert Vehicle.objects.get().is_manifest_wanted


def say(assignment, number, phase="downloading", outcome="none"):
    said = VehicleReport(1, f"{phase}:{number}", phase, outcome, code="internal")
    operations.record_report(assignment.vehicle, said, can_prove=True, at=NOON)


def stored(attempt, count, phase):
    rows = [Report(attempt=attempt, report_id=f"{phase}:{n}", phase=phase, received_at=NOON) for n in range(count)]
    Report.objects.bulk_create(rows)


def test_progress_beyond_the_limit_is_refused_and_the_end_is_not(assignment):
    stored(attempt_of(assignment), MAX_REPORTS, "downloading")

    with pytest.raises(errors.TooManyReportsError):
        say(assignment, MAX_REPORTS)
    say(assignment, 0)  # a repeated one is no news
    assert (assignment.state, Report.objects.count()) == ("offered", MAX_REPORTS)
    say(assignment, 0, "finished", "refused")

    assignment.refresh_from_db()
    assert (assignment.state, Report.objects.count()) == ("refused", MAX_REPORTS + 1)


def test_ends_are_limited_too_and_a_manifest_proves_all_the_same(campaign, assignment):
    stored(attempt_of(assignment), MAX_ENDS, "finished")
    with pytest.raises(errors.TooManyReportsError):
        say(assignment, MAX_ENDS, "finished", "failure")

    install(assignment.vehicle, campaign.release)
    said = EvidenceReport(attempt_of(assignment).pk, "success")
    proved = set(assignment.vehicle.ecus.values_list("serial", flat=True))
    operations.record_evidence(assignment.vehicle, proved=proved, report=said, at=NOON)

    assignment.refresh_from_db()
    assert (assignment.state, Report.objects.count()) == ("soaking", MAX_ENDS)


def test_logs_beyond_the_limit_are_refused(assignment):
    for _ in range(MAX_LOGS):
        operations.record_log(assignment.vehicle, attempt=1, text="x", at=NOON)

    with pytest.raises(errors.TooManyLogsError):
        operations.record_log(assignment.vehicle, attempt=1, text="x", at=NOON)

    assert LogTail.objects.count() == MAX_LOGS
