"""A vehicle that enrols again in the middle of a campaign, with other ECUs."""

import pytest

from otaserver.campaigns import operations
from otaserver.campaigns.models import Attempt
from otaserver.director.models import Direction
from otaserver.fleet.models import Vehicle
from tests.campaigns.campaign_factories import at, attempt_of, in_turn, report, states, succeed, tick
from tests.factories import NOON
from tests.fleet.enrolments import enrol, make_ecu

pytestmark = pytest.mark.django_db


def enrol_again(campaign, *hardware, at):
    vehicle = in_turn(campaign)[0].vehicle
    ecus = [make_ecu(f"new-{hw}", hw, is_primary=hw == hardware[0]) for hw in hardware]
    enrol(vehicle.tenant, vehicle.vehicle_id, *ecus, at=at)


def ordered(campaign):
    content = Direction.objects.get(vehicle=in_turn(campaign)[0].vehicle).content
    targets = content["targets"].values() if content else []
    return {serial for target in targets for serial in target["custom"]["ecuIdentifiers"]}


@pytest.mark.parametrize("phase", [None, "downloading", "downloaded", "held"])
def test_an_order_for_ecus_that_are_gone_is_made_anew_at_once(campaign, phase):
    (assignment,) = in_turn(campaign)
    if phase:
        report(assignment, phase)

    enrol_again(campaign, "gateway", "brake", at=at(minutes=5))
    tick(campaign, at(minutes=6))

    assert states(campaign) == ["offered"]
    assert ordered(campaign) == {"new-gateway", "new-brake"}
    closed, current = Attempt.objects.order_by("number")
    assert (closed.closed_at, closed.outcome, closed.code) == (at(minutes=6), "none", "enrolled_again")
    assert set(current.packages) == {"new-gateway", "new-brake"}
    tick(campaign, at(minutes=7))
    assert Attempt.objects.count() == 2
    succeed(in_turn(campaign)[0], at=at(minutes=8))
    assert states(campaign) == ["soaking"]


def test_a_vehicle_that_does_not_fit_any_more_is_superseded_and_directed_to_nothing(campaign):
    enrol_again(campaign, "radio", at=at(minutes=5))

    tick(campaign, at(minutes=6))

    assert (states(campaign), in_turn(campaign)[0].code) == (["superseded"], "wrong_hardware")
    assert Direction.objects.get().content is None


def test_in_a_paused_campaign_the_order_is_taken_back_too(campaign):
    operations.pause_campaign(campaign, by="eve", at=NOON)
    enrol_again(campaign, "gateway", "brake", at=at(minutes=5))

    tick(campaign, at(minutes=6))

    assert (states(campaign), ordered(campaign)) == (["waiting"], set())


def test_an_installation_is_left_to_end(campaign):
    (assignment,) = in_turn(campaign)
    report(assignment, "installing")
    enrol_again(campaign, "gateway", "brake", at=at(minutes=5))

    tick(campaign, at(minutes=6))

    assert states(campaign) == ["installing"]
    assert attempt_of(assignment).closed_at is None


def test_the_enrolment_before_the_offer_changes_nothing(campaign):
    Vehicle.objects.update(enrolled_at=NOON)

    tick(campaign, at(minutes=6))

    assert (states(campaign), Attempt.objects.count()) == (["offered"], 1)


def test_one_that_enrolled_again_while_it_installed_and_holds_hours_later_gets_another_order(campaign):
    (assignment,) = in_turn(campaign)
    report(assignment, "installing", at=at(minutes=1))
    enrol_again(campaign, "gateway", "brake", at=at(minutes=5))
    for hours in (1, 2, 3):
        tick(campaign, at(hours=hours))
    report(assignment, "held", code="window", at=at(hours=3))

    tick(campaign, at(hours=3, minutes=1))

    assert ordered(campaign) == {"new-gateway", "new-brake"}


def test_a_clock_that_was_set_back_hides_nobody_who_enrols_again(campaign):
    tick(campaign, at(days=3))

    enrol_again(campaign, "gateway", "brake", at=at(hours=1))
    tick(campaign, at(hours=1, minutes=1))

    assert ordered(campaign) == {"new-gateway", "new-brake"}
