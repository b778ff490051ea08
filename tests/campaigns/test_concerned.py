"""What a proof concerns: asked once, locked only where something may move, and then in one order."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from otaserver.campaigns import operations
from otaserver.campaigns.operations import EvidenceReport, VehicleReport, concerned
from otaserver.campaigns.queries import bundles
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
    serials,
    succeed,
    tick,
)
from tests.campaigns.test_rollback_ends import stopped
from tests.campaigns.test_rollbacks import start_rollback
from tests.factories import NOON

pytestmark = pytest.mark.django_db


def prove_again(vehicle, *, when=NOON, ecus=None):
    ecus = list(vehicle.ecus.all()) if ecus is None else ecus
    operations.record_evidence(vehicle, proved={ecu.serial for ecu in ecus}, report=None, ecus=ecus, at=when)


def asked(vehicle):
    """Return how many statements one more manifest costs that says what the last one said."""
    ecus = list(vehicle.ecus.all())
    with CaptureQueriesContext(connection) as statements:
        prove_again(vehicle, ecus=ecus)
    return len(statements)


@pytest.mark.parametrize("state", ["offered", "downloading", "held", "installing", "soaking", "succeeded", "failed"])
def test_a_manifest_that_says_nothing_new_asks_one_question(campaign, assignment, state):
    if state in ("soaking", "succeeded"):
        succeed(assignment)
        tick(campaign, at(hours=1) if state == "soaking" else NOON + SOAK)
    elif state == "failed":
        report(assignment, "installing")
        report(assignment, "finished", "failure", "install_failed")
    elif state != "offered":
        report(assignment, state)
    assignment.refresh_from_db()

    assert (assignment.state, asked(assignment.vehicle)) == (state, 1)


def test_of_a_vehicle_that_a_roll_back_has_brought_back_nothing_more_is_asked():
    rollback = start_rollback(stopped(vehicles=1), NOON)
    (assignment,) = in_turn(rollback)
    succeed(assignment)
    tick(rollback, NOON + SOAK)
    assert rollback.state == "completed"

    assert asked(assignment.vehicle) == 1


def test_a_hop_that_was_taken_is_not_compared_for_ever(campaign, assignment):
    stone = make_versions(campaign.tenant, "1.5")
    attempt_of(assignment).__class__.objects.update(stone=stone)
    prove(assignment, stone)
    assert assignment.state == "waiting"

    assert asked(assignment.vehicle) == 1


def test_the_outlook_has_the_release_as_the_rules_judge_it(campaign, assignment):
    release = bundles.release_view(campaign.release)

    (concern,) = concerned.outlook(assignment.vehicle).concerns

    assert (concern.assignment_id, concern.state, concern.is_partly_proved) == (assignment.pk, "offered", False)
    assert {item.package_id: item for item in concern.items} == {item.package_id: item for item in release.bundle.items}


def test_what_has_ended_and_what_others_have_ordered_since_is_no_concern(campaign, assignment):
    operations.stop_campaign(campaign, by="eve", at=NOON, reason="Bad.")
    operations.confirm_withdrawal(assignment.vehicle, at=NOON)
    new = make_versions(campaign.tenant, "3.0")
    later = make_running(
        tenant=campaign.tenant, old=campaign.fallback_release, release=new, group=campaign.group, name="later"
    )

    concerns = concerned.outlook(assignment.vehicle).concerns

    assert [concern.assignment_id for concern in concerns] == [in_turn(later)[0].pk]


def test_of_a_vehicle_that_is_gone_nothing_is_concerned(assignment):
    vehicle = Vehicle(pk=assignment.vehicle_id + 1)

    assert concerned.outlook(vehicle) == concerned.Outlook([], None, concerned.Due())


# Of two manifests each is stored, and then looked at: the later one may have its turn first.
def test_a_manifest_whose_turn_comes_late_is_compared_with_what_runs_by_now(campaign, assignment):
    report(assignment, "installing")
    before = list(assignment.vehicle.ecus.all())
    prove(assignment, campaign.release)
    assert assignment.state == "soaking"

    prove_again(assignment.vehicle, ecus=before)

    assignment.refresh_from_db()
    assert assignment.state == "soaking"


def test_a_proof_that_no_longer_holds_when_its_turn_comes_moves_nothing(campaign, assignment):
    report(assignment, "installing")
    install(assignment.vehicle, campaign.release)
    then = list(assignment.vehicle.ecus.all())
    install(assignment.vehicle, campaign.fallback_release)

    prove_again(assignment.vehicle, ecus=then)

    assignment.refresh_from_db()
    assert assignment.state == "installing"


def test_what_is_concerned_is_locked_in_the_order_in_which_offers_lock(campaign, assignment):
    succeed(assignment)
    reported = attempt_of(assignment).pk
    tick(campaign, NOON + SOAK)
    new = make_versions(campaign.tenant, "3.0")
    later = make_running(tenant=campaign.tenant, old=campaign.release, release=new, group=campaign.group, name="later")
    vehicle, said = assignment.vehicle, EvidenceReport(reported, "success")
    proved = serials(vehicle)

    with CaptureQueriesContext(connection) as statements:
        operations.record_evidence(vehicle, proved=proved, report=said, at=at(hours=9))

    _, first, second, *_ = (one["sql"] for one in statements)
    assert 'FROM "campaigns_assignment"' in first
    assert 'FROM "fleet_vehicle"' in second
    if connection.vendor == "postgresql":
        assert first.endswith('FOR NO KEY UPDATE OF "campaigns_assignment"')
        assert second.endswith('FOR NO KEY UPDATE OF "fleet_vehicle"')
    locked = concerned.lock(vehicle, reported=reported)
    assert [one.pk for one in locked.assignments] == [assignment.pk, in_turn(later)[0].pk]


def test_a_word_that_may_move_a_soak_too_locks_it_before_its_own_order(campaign, assignment):
    succeed(assignment)
    new = make_versions(campaign.tenant, "3.0")
    make_running(tenant=campaign.tenant, old=campaign.release, release=new, group=campaign.group, name="later")
    vehicle = Vehicle.objects.get(pk=assignment.vehicle_id)
    said = VehicleReport(vehicle.last_attempt_number, "end", "finished", "success")

    with CaptureQueriesContext(connection) as statements:
        operations.record_word(vehicle, said, at=at(hours=9))

    locking = [one["sql"] for one in statements if not one["sql"].startswith(("SAVEPOINT", "BEGIN"))]
    assert 'FROM "campaigns_assignment"' in locking[0]
    assert "'soaking'" in locking[0]
    if connection.vendor == "postgresql":
        assert locking[0].endswith("FOR NO KEY UPDATE")
