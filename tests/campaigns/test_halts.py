"""The graded halt: what each grade does to vehicles, and that each is on record."""

import pytest
from django.db import IntegrityError, transaction

from otaserver.campaigns import operations
from otaserver.campaigns.errors import PlanRefusedError
from otaserver.campaigns.models import Campaign, Decision
from otaserver.campaigns.rules.halts import grades
from otaserver.director.models import Direction
from tests.campaigns.campaign_factories import (
    at,
    fail,
    in_turn,
    make_campaign,
    make_running,
    report,
    states,
    succeed,
    tick,
)
from tests.factories import NOON

pytestmark = pytest.mark.django_db


def halted(**plan):
    """A campaign of four vehicles that a limit halts: one failed, one runs the release, one downloaded, one offered."""
    campaign = make_running(vehicles=4, max_failed=0, **plan)
    first, second, third, _ = in_turn(campaign)
    succeed(second)
    report(third, "downloaded")
    fail(first)
    tick(campaign)
    assert campaign.state == "halted"
    return campaign


def decided(campaign):
    return list(Decision.objects.filter(campaign=campaign, at=NOON).order_by("pk").values_list("kind", flat=True))


def test_as_a_rule_what_is_not_being_installed_is_withdrawn_and_somebody_told():
    campaign = halted()

    assert states(campaign) == ["failed", "soaking", "withdrawing", "withdrawing"]
    # What was downloaded is held by that: fresh metadata no longer orders it.
    assert not Direction.objects.filter(content__isnull=False).exists()
    halt = Decision.objects.get(kind="limit.halted")
    assert halt.inputs["grades"] == ["offers_stopped", "withdrawn", "held", "notified"]
    assert halt.inputs["withdrawn"] == 2
    assert Decision.objects.get(kind="campaign.notify").inputs == {"about": "limit.halted"}


def test_a_halt_may_leave_standing_orders_alone():
    campaign = halted(halt_action="hold_offers")

    assert states(campaign) == ["failed", "soaking", "downloaded", "offered"]
    halt = Decision.objects.get(kind="limit.halted")
    assert (halt.inputs["grades"], halt.inputs["withdrawn"]) == (["offers_stopped", "notified"], 0)
    # And nothing more is offered, while the orders end by themselves.
    operations.lapse_due(at(days=30))
    assert states(campaign) == ["failed", "succeeded", "lapsed", "lapsed"]


def test_a_persons_stop_withdraws_whatever_the_plan_says():
    campaign = make_running(vehicles=1, halt_action="hold_offers")

    operations.stop_campaign(campaign, by="alice", at=NOON, reason="Bad.")

    assert states(campaign) == ["withdrawing"]


def test_a_package_that_was_withdrawn_is_taken_back_whatever_the_plan_says():
    campaign = make_running(vehicles=1, halt_action="hold_offers")
    campaign.release.items.first().package.move_to("withdrawn")

    tick(campaign)

    assert states(campaign) == ["withdrawing"]


def test_a_halt_that_rolls_back_starts_the_roll_back_by_itself():
    campaign = halted(halt_action="roll_back")

    rollback = Campaign.objects.get(kind="rollback")
    assert (rollback.name, rollback.state, rollback.approved_by) == ("spring back 1", "scheduled", "bob")
    assert rollback.release == campaign.fallback_release
    assert decided(campaign)[-3:] == ["limit.halted", "campaign.rolling_back", "campaign.notify"]
    tick(rollback)
    tick(rollback)
    assert rollback.state == "running"
    assert rollback.assignments.get(state="offered").vehicle == in_turn(campaign)[1].vehicle


def test_a_roll_back_with_nobody_to_bring_back_yet_waits_for_the_last_installation():
    campaign = make_running(vehicles=2, max_failed=0, halt_action="roll_back")
    first, second = in_turn(campaign)
    report(second, "installing")
    fail(first)

    tick(campaign)
    rollback = Campaign.objects.get(kind="rollback")
    assert rollback.starts_at == at(hours=4)
    succeed(second, at=at(hours=3))
    tick(rollback, at(hours=4))

    assert rollback.state == "running"
    assert rollback.assignments.get().vehicle == second.vehicle


def test_a_tenant_that_is_stopped_starts_no_roll_back():
    campaign = make_running(vehicles=1, halt_action="roll_back")
    campaign.tenant.__class__.objects.update(stopped_at=NOON, stopped_reason="Recall.")

    tick(campaign)

    assert campaign.state == "halted"
    assert not Campaign.objects.filter(kind="rollback").exists()


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        ({"halt_action": "roll_back", "fallback_release": None, "no_way_back_reason": "None."}, "names none"),
        ({"halt_action": "explode"}, "'explode' is not"),
        ({"foreign_software": "burn"}, "'burn' is none of them"),
    ],
)
def test_a_plan_that_cannot_be_carried_out_is_refused(plan, message):
    with pytest.raises(PlanRefusedError, match=message):
        make_campaign(vehicles=1, **plan)

    assert not Campaign.objects.exists()


def test_the_database_too_knows_no_automatic_roll_back_to_nowhere():
    campaign = make_campaign(vehicles=1, fallback_release=None, no_way_back_reason="None.")

    with pytest.raises(IntegrityError, match="campaign_rolls_back_to_a_fallback"), transaction.atomic():
        Campaign.objects.filter(pk=campaign.pk).update(halt_action="roll_back")


def test_grace_is_not_called_held():
    assert grades("withdraw", grace_hours=2) == ["offers_stopped", "withdrawn", "notified"]
    assert grades("roll_back", grace_hours=None) == ["offers_stopped", "withdrawn", "held", "rolled_back", "notified"]
