import pytest
from django.db import IntegrityError, transaction

from otaserver.audit.models import Entry
from otaserver.campaigns import operations
from otaserver.campaigns.errors import ReasonMissingError, WorkshopCaseClosedError
from otaserver.campaigns.models import Decision, WorkshopCase
from tests.campaigns.campaign_factories import at, fail, in_turn, make_running, prove, report, tick
from tests.factories import NOON

pytestmark = pytest.mark.django_db


def make_silent(vehicles=1):
    campaign = make_running(vehicles=vehicles, wave_failures=vehicles)
    for assignment in in_turn(campaign):
        report(assignment, "installing")
    operations.lapse_due(at(hours=4))
    return campaign


def test_a_vehicle_that_fell_silent_while_it_installed_needs_hands():
    campaign = make_silent(vehicles=2)

    assert operations.open_failed_cases(at(hours=4)) == 2
    assert operations.open_failed_cases(at(hours=4)) == 0

    case = WorkshopCase.objects.first()
    assert (case.code, case.assignment.campaign, case.closed_at) == ("silent", campaign, None)
    assert case.reason.endswith("Find the vehicle.")
    assert Decision.objects.get(kind="campaign.workshop").inputs == {"vehicles": 2}


@pytest.mark.parametrize("code", ["health_failed", "install_failed", "never_heard_of"])
def test_a_vehicle_that_runs_what_it_ran_before_needs_none(code):
    campaign = make_running(vehicles=1)
    fail(in_turn(campaign)[0], code)

    assert operations.open_failed_cases(NOON) == 0
    assert not WorkshopCase.objects.exists()


def test_a_revert_that_failed_needs_hands():
    campaign = make_running(vehicles=1)
    fail(in_turn(campaign)[0], "revert_failed")

    operations.open_failed_cases(NOON)

    assert WorkshopCase.objects.get().code == "revert_failed"


def make_rollback():
    campaign = make_running(vehicles=1)
    prove(in_turn(campaign)[0], campaign.release)
    operations.stop_campaign(campaign, by="alice", at=NOON, reason="Bad.")
    rollback = operations.create_rollback(campaign, release=campaign.fallback_release, name="back", by="alice", at=NOON)
    operations.submit_campaign(rollback, by="alice", at=NOON)
    operations.approve_campaign(rollback, by="bob", at=NOON)
    operations.start_campaign(rollback, by="alice", at=NOON)
    tick(rollback)
    return rollback


def test_a_roll_back_that_failed_on_a_vehicle_needs_hands():
    rollback = make_rollback()
    fail(in_turn(rollback)[0], "install_failed")

    operations.open_failed_cases(NOON)

    case = WorkshopCase.objects.get()
    assert case.code == "rollback_failed"
    assert "install_failed" in case.reason


def test_a_roll_back_that_was_tried_often_enough_needs_hands_once():
    rollback = make_rollback()
    for hours in (0, 2, 26):
        tick(rollback, at(hours=hours))
        report(in_turn(rollback)[0], "finished", "failure", "download_failed", at=at(hours=hours))

    assert operations.open_exhausted_cases(at(hours=26)) == 1
    case = WorkshopCase.objects.get()
    operations.close_case(case, note="Seen to.", by="carol", at=at(hours=27))

    assert case.code == "attempts_exhausted"
    assert operations.open_exhausted_cases(at(hours=28)) == 0


@pytest.mark.parametrize("which", ["release", "fallback_release"])
def test_a_case_is_closed_by_the_proof_of_good_software(which):
    campaign = make_silent()
    operations.open_failed_cases(at(hours=4))

    prove(in_turn(campaign)[0], getattr(campaign, which), at=at(hours=5))

    case = WorkshopCase.objects.get()
    assert (case.closed_at, case.closed_by) == (at(hours=5), "engine")
    assert str(getattr(campaign, which)) in case.note


def test_what_a_stopped_campaign_brought_closes_no_case():
    campaign = make_silent()
    operations.open_failed_cases(at(hours=4))
    operations.stop_campaign(campaign, by="alice", at=at(hours=4), reason="Bad.")

    prove(in_turn(campaign)[0], campaign.release, at=at(hours=5))

    assert WorkshopCase.objects.get().closed_at is None


def test_a_person_closes_a_case_once_and_says_what_was_done():
    make_silent()
    operations.open_failed_cases(at(hours=4))
    case = WorkshopCase.objects.get()
    with pytest.raises(ReasonMissingError):
        operations.close_case(case, note=" ", by="carol", at=at(hours=5))
    assert WorkshopCase.objects.get().closed_at is None

    operations.close_case(case, note="Flashed.", by="carol", at=at(hours=5))
    with pytest.raises(WorkshopCaseClosedError):
        operations.close_case(case, note="Again.", by="dave", at=at(hours=6))

    case.refresh_from_db()
    assert (case.closed_by, case.note) == ("carol", "Flashed.")
    assert Entry.objects.get(action="workshop_case.closed").actor == "carol"
    # The failure that opened it was seen to.
    assert operations.open_failed_cases(at(hours=7)) == 0


def test_a_vehicle_has_one_open_case():
    make_silent()
    operations.open_failed_cases(at(hours=4))
    vehicle = WorkshopCase.objects.get().vehicle

    with pytest.raises(IntegrityError), transaction.atomic():
        WorkshopCase.objects.create(vehicle=vehicle, code="silent", reason="Again.", opened_at=NOON)
