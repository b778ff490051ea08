import pytest

from otaserver.audit.models import Entry
from otaserver.campaigns import queries
from otaserver.campaigns.models import Decision
from otaserver.director.models import Direction
from otaserver.fleet import errors as fleet_errors
from otaserver.fleet import operations as fleet
from otaserver.fleet.models import Group
from tests.campaigns.campaign_factories import at, in_turn, make_running, make_started, report, states, tick
from tests.factories import NOON, make_group

pytestmark = pytest.mark.django_db


def block(campaign, *assignments):
    group = make_group(campaign.tenant, *[assignment.vehicle for assignment in assignments], name="press")
    fleet.make_block_list(group, reason="Test drives.", by="pr", at=NOON)
    return group


def test_orders_are_withdrawn_from_vehicles_that_come_onto_a_list_unless_they_install():
    campaign = make_running(vehicles=3)
    waiting, installing, other = in_turn(campaign)
    report(installing, "installing")
    block(campaign, waiting, installing)

    tick(campaign, at(minutes=1))

    assert states(campaign) == ["withdrawing", "installing", "offered"]
    assert Direction.objects.get(vehicle=waiting.vehicle).content is None
    assert Direction.objects.get(vehicle=other.vehicle).content is not None
    said = Decision.objects.get(kind="campaign.excluded")
    assert (said.sentence, said.inputs) == (
        "Orders were withdrawn from 1 vehicle on the block list 'press' (Test drives).",
        {"group": "press", "vehicles": 1},
    )
    tick(campaign, at(minutes=2))
    assert Decision.objects.filter(kind="campaign.excluded").count() == 1


def test_a_vehicle_on_a_list_is_offered_nothing_and_is_told_why():
    campaign = make_started(vehicles=2)
    listed, free = in_turn(campaign)
    block(campaign, listed)

    tick(campaign)

    assert states(campaign) == ["superseded", "offered"]
    listed.refresh_from_db()
    assert queries.explain(listed) == (
        "The vehicle could take no part when its turn came (on_block_list: The vehicle is on the block list 'press' "
        "(Test drives)). It counts neither way."
    )
    assert free.vehicle != listed.vehicle


def test_what_is_withdrawn_from_a_listed_vehicle_does_not_come_back_while_it_is_listed():
    campaign = make_running(vehicles=1)
    (listed,) = in_turn(campaign)
    block(campaign, listed)
    tick(campaign, at(minutes=1))

    tick(campaign, at(days=1))
    tick(campaign, at(days=1, minutes=1))

    assert states(campaign) == ["superseded"]
    assert listed.attempts.count() == 1


def test_a_list_needs_a_reason_is_audited_and_ends_once():
    campaign = make_started(vehicles=1)
    group = make_group(campaign.tenant, name="police")

    with pytest.raises(fleet_errors.ReasonMissingError):
        fleet.make_block_list(group, reason=" ", by="pr", at=NOON)
    assert Group.objects.get(pk=group.pk).blocks_updates_reason == ""
    fleet.make_block_list(group, reason="Sealed.", by="pr", at=NOON)
    fleet.lift_block_list(group, reason="Released.", by="pr", at=NOON)
    with pytest.raises(fleet_errors.GroupNotBlockListError):
        fleet.lift_block_list(group, reason="Again.", by="pr", at=NOON)

    assert Group.objects.get(pk=group.pk).blocks_updates_reason == ""
    actions = Entry.objects.filter(action__startswith="group.block").order_by("pk").values_list("action", flat=True)
    assert list(actions) == ["group.block_list_made", "group.block_list_lifted"]
