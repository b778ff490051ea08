"""Who is given up when: silence ends an order, and neither waiting for a condition nor a blackout is silence."""

import pytest

from otaserver.campaigns import operations, queries
from otaserver.campaigns.models import Assignment, Attempt
from otaserver.campaigns.rules.windows import EVERY_DAY, Window
from otaserver.fleet.models import Membership, Vehicle
from tests.campaigns.campaign_factories import (
    at,
    in_turn,
    make_fleet,
    make_running,
    make_started,
    report,
    states,
    succeed,
    tick,
)
from tests.factories import NOON

pytestmark = pytest.mark.django_db
A_DAY = {"download_timeout_seconds": 86400, "offer_timeout_seconds": 86400}


def call(moment):
    Vehicle.objects.update(last_contact_at=moment)


def given_up_on(campaign, *, calls=True):
    """Let days pass, with a call on each, and return on which the vehicle was given up."""
    for day in range(1, 40):
        if calls:
            call(at(days=day))
        tick(campaign, at(days=day))
        if states(campaign) == ["lapsed"]:
            return day
    return None


def explain(campaign, moment):
    (row,) = campaign.assignments.select_related("campaign__tenant", "vehicle")
    return queries.explain(row, at=moment)


def declare(campaign, starts_at, ends_at):
    operations.declare_blackout(
        campaign.tenant, name="freeze", reason="Holidays.", starts_at=starts_at, ends_at=ends_at, by="alice", at=NOON
    )


def test_a_vehicle_that_holds_and_calls_is_not_silent_and_what_held_it_is_told():
    campaign = make_running(vehicles=1)
    (assignment,) = in_turn(campaign)
    # It reports what holds it when that changes; what it asks about in between is no report.
    report(assignment, "held", code="precondition", at=at(hours=1))
    report(assignment, "held", code="window", at=at(hours=2))

    # As long as one that keeps reporting: 14 days for the offer, and 7 for the download.
    assert given_up_on(campaign) == 21

    assignment.refresh_from_db()
    assert (assignment.code, Attempt.objects.get().code) == ("precondition", "precondition")
    assert "until then the vehicle held (precondition)" in explain(campaign, at(days=22))


def test_one_that_holds_and_falls_silent_is_given_up_after_its_time_from_its_last_call():
    campaign = make_running(vehicles=1)
    (assignment,) = in_turn(campaign)
    report(assignment, "held", code="precondition", at=at(hours=1))
    call(at(days=3))

    assert given_up_on(campaign, calls=False) == 10


def test_an_offer_that_is_not_taken_up_ends_whoever_calls():
    campaign = make_running(vehicles=1)

    assert given_up_on(campaign) == 14
    assert in_turn(campaign)[0].code == "silent"


def test_a_report_during_a_freeze_takes_no_time_from_the_vehicle():
    campaign = make_running(vehicles=1, **A_DAY)
    (assignment,) = in_turn(campaign)
    report(assignment, "downloaded")
    declare(campaign, NOON, at(days=30))
    tick(campaign)
    report(assignment, "held", code="window", at=at(hours=1))

    assert given_up_on(campaign, calls=False) == 31


def test_a_freeze_that_was_declared_ahead_gives_its_time_back_too():
    campaign = make_running(vehicles=1, **A_DAY)
    report(in_turn(campaign)[0], "downloaded")
    declare(campaign, at(hours=12), at(days=20))
    tick(campaign)

    assert given_up_on(campaign, calls=False) == 21


@pytest.mark.parametrize(("is_answered", "code"), [(False, "consent"), (True, "consent_refused")])
def test_an_owner_who_did_not_agree_is_no_silent_vehicle(is_answered, code):
    campaign = make_started(vehicles=1, consent="ask")
    Vehicle.objects.update(protocol="ddi")
    tick(campaign)
    (assignment,) = in_turn(campaign)
    order = operations.order_to_carry_out(assignment.vehicle, at=NOON)
    if is_answered:
        operations.confirm_order(assignment.vehicle, attempt=order.number, is_agreed=False, by="owner", at=NOON)

    assert given_up_on(campaign) == 14

    assignment.refresh_from_db()
    assert assignment.code == code
    assert f"({code}: The owner was asked" in explain(campaign, at(days=15))


def test_an_order_stands_until_the_owners_deadline_has_come():
    campaign = make_started(vehicles=1, consent="ask_with_deadline", consent_deadline_seconds=10 * 86400)
    Vehicle.objects.update(protocol="ddi")
    tick(campaign)
    (assignment,) = in_turn(campaign)
    # It hears of it on the last day of the offer.
    for day in range(1, 13):
        tick(campaign, at(days=day))
    operations.order_to_carry_out(assignment.vehicle, at=at(days=13))

    tick(campaign, at(days=22))
    assert states(campaign) == ["offered"]
    assert operations.order_to_carry_out(assignment.vehicle, at=at(days=23)).is_urgent
    tick(campaign, at(days=30))
    assert states(campaign) == ["lapsed"]


def test_what_is_given_more_time_keeps_nobody_else_from_being_given_up():
    campaign = make_running(vehicles=2)
    holding, silent = in_turn(campaign)
    report(holding, "held", code="precondition")
    report(silent, "held", code="precondition")
    Vehicle.objects.filter(pk=holding.vehicle_id).update(last_contact_at=at(days=6))

    tick(campaign, at(days=7))

    assert states(campaign) == ["held", "lapsed"]


NIGHT = Window(EVERY_DAY, 22 * 60, 8 * 60)


def test_who_comes_into_a_wave_long_after_it_opened_has_its_window_all_the_same():
    campaign = make_running(vehicles=1, is_dynamic=True, windows=[NIGHT])
    succeed(in_turn(campaign)[0])
    (late,) = make_fleet(campaign.tenant, 1, campaign.fallback_release)
    Vehicle.objects.filter(pk=late.pk).update(protocol="aktualizr")
    Membership.objects.create(group=campaign.group, vehicle=late)

    tick(campaign, at(days=15))
    row = campaign.assignments.get(vehicle=late)
    assert (row.state, row.code) == ("waiting", "withheld_window")
    tick(campaign, at(days=15, hours=10))

    row.refresh_from_db()
    assert row.state == "offered"


def test_the_time_of_a_freeze_or_a_pause_is_not_the_time_of_an_order_that_is_kept_back():
    campaign = make_started(vehicles=1, consent="ask", offer_timeout_seconds=2 * 86400)
    Vehicle.objects.update(protocol="aktualizr")
    tick(campaign)
    operations.pause_campaign(campaign, by="alice", at=NOON)
    operations.resume_campaign(campaign, by="alice", at=at(days=9))
    declare(campaign, at(days=9), at(days=20))

    # Looked at every five minutes, it has its two days after all that; four looks show the beginning and the end.
    tick(campaign, at(days=20))
    assert states(campaign) == ["waiting"]
    Assignment.objects.update(next_attempt_at=at(days=21, hours=23))
    tick(campaign, at(days=21, hours=23))
    assert states(campaign) == ["waiting"]
    tick(campaign, at(days=22, minutes=5))
    assert states(campaign) == ["lapsed"]
