"""Nothing is ever stuck: every state, with every thing that a vehicle may prove or be silent about, leads somewhere."""

import uuid
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction

from otaserver.audit.models import Entry
from otaserver.campaigns import operations
from otaserver.campaigns.models import Assignment, Attempt, Campaign, Decision
from otaserver.campaigns.states import IN_FLIGHT_STATES, SETTLED_STATES, AssignmentState
from otaserver.director.models import Direction
from otaserver.fleet.models import Vehicle
from tests.campaigns.campaign_factories import (
    at,
    attempt_of,
    in_turn,
    make_running,
    prove,
    report,
    serials,
    succeed,
    tick,
    undone,
)
from tests.factories import NOON

pytestmark = pytest.mark.django_db

A_YEAR = at(days=366)


def withdraw(campaign):
    operations.pause_campaign(campaign, by="alice", at=NOON)
    operations.stop_campaign(campaign, by="alice", at=NOON, reason="Bad.")


def heard(campaign):
    operations.confirm_withdrawal(Vehicle.objects.get(), at=NOON)


REACH = {
    AssignmentState.WAITING: lambda c, a: report(a, "finished", "failure", "download_failed"),
    AssignmentState.OFFERED: lambda c, a: None,
    AssignmentState.DOWNLOADING: lambda c, a: report(a, "downloading"),
    AssignmentState.DOWNLOADED: lambda c, a: report(a, "downloaded"),
    AssignmentState.HELD: lambda c, a: report(a, "held", code="consent"),
    AssignmentState.INSTALLING: lambda c, a: report(a, "installing"),
    AssignmentState.SOAKING: lambda c, a: succeed(a),
    AssignmentState.SUCCEEDED: lambda c, a: (succeed(a), operations.lapse_due(at(hours=8))),
    AssignmentState.FAILED: lambda c, a: (
        report(a, "installing"),
        report(a, "finished", "failure", "install_failed"),
    ),
    AssignmentState.REFUSED: lambda c, a: report(a, "finished", "refused", "consent_refused"),
    AssignmentState.LAPSED: lambda c, a: operations.lapse_due(at(days=14)),
    AssignmentState.WITHDRAWING: lambda c, a: withdraw(c),
    AssignmentState.WITHDRAWN: lambda c, a: (withdraw(c), heard(c)),
    AssignmentState.SUPERSEDED: lambda c, a: Assignment.objects.update(
        state=AssignmentState.SUPERSEDED, settled_at=NOON, due_at=None
    ),
}
# What a whole manifest that proves the release, and one that proves the old software, make of each state at once.
LEADS = {
    AssignmentState.WAITING: ("soaking", "waiting"),
    AssignmentState.OFFERED: ("soaking", "offered"),
    AssignmentState.DOWNLOADING: ("soaking", "downloading"),
    AssignmentState.DOWNLOADED: ("soaking", "downloaded"),
    AssignmentState.HELD: ("soaking", "held"),
    AssignmentState.INSTALLING: ("soaking", "installing"),
    AssignmentState.SOAKING: ("soaking", "failed"),
    AssignmentState.SUCCEEDED: ("succeeded", "succeeded"),
    AssignmentState.FAILED: ("soaking", "failed"),
    AssignmentState.REFUSED: ("soaking", "refused"),
    AssignmentState.LAPSED: ("soaking", "lapsed"),
    AssignmentState.WITHDRAWING: ("soaking", "withdrawing"),
    AssignmentState.WITHDRAWN: ("soaking", "withdrawn"),
    # An order was overtaken: what it asked for is not asked any more, and is settled.
    AssignmentState.SUPERSEDED: ("superseded", "superseded"),
}
PROOFS = ("the release", "the old", "part of it", "nothing")


def tell(campaign, assignment, proof, when):
    if proof == "the release":
        prove(assignment, campaign.release, at=when)
    elif proof == "the old":
        prove(assignment, campaign.fallback_release, at=when)
    elif proof == "part of it":
        vehicle = assignment.vehicle
        ecu = vehicle.ecus.get(hardware_id="gateway")
        operations.record_evidence(vehicle, proved={ecu.serial}, report=None, at=when)


def test_the_table_has_every_state_of_a_vehicle_that_takes_part():
    assert set(REACH) == set(LEADS) == set(AssignmentState) - {AssignmentState.EXCLUDED}


@pytest.mark.parametrize("state", REACH)
def test_every_state_leads_somewhere_in_bounded_time_whatever_is_proved(state):
    campaign = make_running(vehicles=1, wave_failures=1)
    (assignment,) = in_turn(campaign)
    REACH[state](campaign, assignment)
    assignment.refresh_from_db()
    assert assignment.state == state
    if state in IN_FLIGHT_STATES:
        assert assignment.due_at is not None

    for proof in PROOFS:
        with undone():
            assert_leads_somewhere(Campaign.objects.get(), Assignment.objects.get(), proof)


def assert_leads_somewhere(campaign, assignment, proof):
    state = assignment.state
    tell(campaign, assignment, proof, NOON)
    if proof in PROOFS[:2]:
        assignment.refresh_from_db()
        assert assignment.state == LEADS[state][PROOFS.index(proof)]
    # From here on the vehicle is silent: four ticks, each long after every timeout.
    for days in (30, 90, 180, 366):
        tick(campaign, at(days=days))
        operations.lapse_due(at(days=days))
        operations.sweep(at(days=days))

    assignment.refresh_from_db()
    assert assignment.state in SETTLED_STATES
    assert assignment.due_at is None
    assert not Attempt.objects.filter(closed_at=None).exists()
    assert not Direction.objects.filter(content__isnull=False).exists()


@pytest.mark.parametrize("state", sorted(IN_FLIGHT_STATES))
def test_nothing_can_be_under_way_without_a_due_time(state):
    campaign = make_running(vehicles=1)

    with pytest.raises(IntegrityError, match="assignment_active_has_due_time"), transaction.atomic():
        campaign.assignments.update(state=state, due_at=None)

    assert campaign.assignments.get().state == "offered"


def test_a_vehicle_that_went_back_without_a_word_fails_by_what_it_proves_and_not_by_silence():
    campaign = make_running(vehicles=2)
    back, silent = in_turn(campaign)
    report(back, "installing")
    report(silent, "installing")
    prove(back, campaign.fallback_release, at=at(hours=1))
    assert back.state == "installing"

    operations.lapse_due(at(hours=4))

    back.refresh_from_db()
    silent.refresh_from_db()
    assert [(a.state, a.code, attempt_of(a).code) for a in (back, silent)] == [
        ("failed", "not_switched", "not_switched"),
        ("failed", "silent", "silent"),
    ]
    assert Vehicle.objects.filter(is_manifest_wanted=True).count() == 2


def lose_direction():
    Direction.objects.update(content=None, attempt_id=None)


def redirect():
    Direction.objects.update(attempt_id=uuid.uuid4())


def lose_attempt():
    Attempt.objects.update(closed_at=NOON)


def sweep(campaign):
    return operations.sweep(at(hours=1))


def contact(campaign):
    vehicle = Vehicle.objects.get()
    operations.record_evidence(vehicle, proved=serials(vehicle), report=None, at=at(hours=1))


@pytest.mark.parametrize("occasion", [sweep, contact])
@pytest.mark.parametrize("damage", [lose_direction, redirect, lose_attempt])
def test_an_order_that_the_vehicle_cannot_see_is_given_again(damage, occasion):
    campaign = make_running(vehicles=1)
    damage()

    occasion(campaign)

    assert in_turn(campaign)[0].state == "waiting"
    assert Direction.objects.get().content is None
    found = Decision.objects.filter(kind="campaign.reconciled").values_list("inputs__found", "inputs__vehicles")
    assert ("order_lost", 1) in list(found)
    tick(campaign, at(hours=1))
    assignment = in_turn(campaign)[0]
    assert (assignment.state, attempt_of(assignment).number) == ("offered", 2)
    assert Direction.objects.get().attempt_id == attempt_of(assignment).pk
    assert operations.sweep(at(hours=2)) == 0


def test_an_installation_is_left_alone_whatever_is_lost():
    campaign = make_running(vehicles=1)
    report(in_turn(campaign)[0], "installing")
    lose_direction()

    assert operations.sweep(at(hours=1)) == 0

    assert in_turn(campaign)[0].state == "installing"


def test_an_attempt_left_open_is_closed_and_the_vehicle_no_longer_directed_to_it():
    campaign = make_running(vehicles=1)
    content = Direction.objects.get().content
    assignment = in_turn(campaign)[0]
    attempt = attempt_of(assignment)
    operations.lapse_due(at(days=14))
    Attempt.objects.update(closed_at=None)
    Direction.objects.update(content=content, attempt_id=attempt.pk)

    assert operations.sweep(at(days=15)) == 2

    assert Attempt.objects.get().closed_at == at(days=15)
    assert Direction.objects.get().content is None
    assert {d.inputs["found"] for d in Decision.objects.filter(kind="campaign.reconciled")} == {
        "attempt_left_open",
        "direction_left",
    }


def test_a_direction_to_an_attempt_that_nobody_knows_is_cleared_and_audited():
    make_running(vehicles=1)
    content = Direction.objects.get().content
    operations.lapse_due(at(days=14))
    Direction.objects.update(content=content, attempt_id=uuid.uuid4())

    assert operations.sweep(at(days=15)) == 1

    assert Direction.objects.get().content is None
    assert (
        Entry.objects.get(action="order.unknown_cleared").subject
        == f"vehicle:{Vehicle.objects.get().pk} {Vehicle.objects.get()}"
    )


def test_nobody_waits_in_a_campaign_that_is_over():
    campaign = make_running(vehicles=1)
    operations.cancel_campaign(campaign, by="alice", at=NOON)
    campaign.assignments.update(state="waiting", due_at=None)

    operations.sweep(at(hours=1))

    assert in_turn(campaign)[0].state == "withdrawn"
    assert Decision.objects.get(kind="campaign.reconciled", inputs__found="waiting_in_vain").inputs["vehicles"] == 1


def test_where_all_agree_a_sweep_changes_nothing():
    campaign = make_running(vehicles=4, waves=(50, 100))
    first, second = in_turn(campaign, "offered")
    succeed(first)
    report(second, "downloading")
    before = [list(m.objects.order_by("pk").values()) for m in (Assignment, Attempt, Direction, Decision)]

    assert operations.sweep(NOON + timedelta(minutes=1)) == 0

    assert [list(m.objects.order_by("pk").values()) for m in (Assignment, Attempt, Direction, Decision)] == before
