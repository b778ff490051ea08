"""A stop holds whatever came before it, and no error keeps a halt from a campaign."""

from datetime import timedelta

import pytest
from django.db import OperationalError

from firmware_store.models import Package
from otaserver.campaigns import operations
from otaserver.campaigns.errors import NoWayBackError
from otaserver.campaigns.models import Assignment, Campaign, Decision
from otaserver.campaigns.rules.windows import Window
from otaserver.director.models import Direction
from otaserver.fleet import operations as fleet
from otaserver.fleet.errors import GroupInUseError
from otaserver.fleet.models import Group
from otaserver.statemachine import StaleStateError
from tests.campaigns.campaign_factories import (
    at,
    fail,
    in_turn,
    make_campaign,
    make_running,
    make_started,
    make_versions,
    report,
    states,
    succeed,
    tick,
)
from tests.factories import NOON, make_group, make_tenant

pytestmark = pytest.mark.django_db
BEGIN = {"halt_action": "hold_offers", "max_failed": 0}


def make_holding(**plan):
    """Halted by its limit, and three orders go on; one vehicle has downloaded and waits."""
    campaign = make_running(vehicles=4, **BEGIN | plan)
    fail(in_turn(campaign)[0])
    report(in_turn(campaign)[1], "downloaded")
    tick(campaign, at(minutes=1))
    assert (campaign.state, states(campaign)) == ("halted", ["failed", "downloaded", "offered", "offered"])
    return campaign


def ordered(campaign):
    """Vehicles of the campaign that are directed to install something."""
    return Direction.objects.filter(vehicle__assignments__campaign=campaign, content__isnull=False).count()


def test_the_emergency_stop_withdraws_what_a_halt_let_go_on():
    campaign = make_holding()

    operations.stop_campaign(campaign, by="alice", at=at(minutes=2), reason="Brakes fail.")

    assert (campaign.state, states(campaign)) == ("halted", ["failed", *["withdrawing"] * 3])
    assert ordered(campaign) == 0
    stopped = Decision.objects.get(kind="campaign.stopped")
    assert (stopped.sentence, stopped.inputs["withdrawn"]) == ("Brakes fail.", 3)


def test_a_stopped_tenant_withdraws_it_too_and_lifting_that_brings_nothing_back():
    campaign = make_holding()

    halted = operations.stop_tenant(campaign.tenant, by="alice", at=at(minutes=2), reason="Brakes fail.")
    operations.resume_tenant(campaign.tenant, by="alice", at=at(minutes=3), reason="False alarm.")
    campaign.refresh_from_db()
    tick(campaign, at(minutes=4))

    assert [each.pk for each in halted] == [campaign.pk]
    assert (ordered(campaign), states(campaign)) == (0, ["failed", *["withdrawing"] * 3])


def test_what_was_stopped_already_is_not_stopped_again_with_its_tenant():
    campaign = make_running(vehicles=2, max_failed=0)
    fail(in_turn(campaign)[0])
    tick(campaign, at(minutes=1))

    assert operations.stop_tenant(campaign.tenant, by="alice", at=at(minutes=2), reason="Brakes fail.") == []
    assert not Decision.objects.filter(kind="campaign.stopped").exists()


def test_after_a_resume_the_next_halt_holds_again_as_the_plan_says():
    campaign = make_holding()
    operations.stop_campaign(campaign, by="alice", at=at(minutes=2), reason="Brakes fail.")

    operations.resume_campaign(campaign, by="bob", at=at(minutes=3), reason="One sensor.")

    assert (campaign.state, campaign.keeps_orders) == ("running", False)


def test_a_package_that_is_withdrawn_after_the_halt_ends_what_it_let_go_on():
    campaign = make_holding()
    Package.objects.filter(version="2.0").update(state="withdrawn")

    tick(campaign, at(minutes=2))

    assert (ordered(campaign), states(campaign)[1:]) == (0, ["withdrawing"] * 3)
    found = Decision.objects.filter(kind="limit.halted").order_by("pk").last()
    assert (found.inputs["withdrawn"], len(found.inputs["unpublished"])) == (3, 2)


@pytest.mark.parametrize("code", ["brakes_lost", "verification_failed"])
def test_a_grave_failure_after_the_halt_ends_what_it_let_go_on(code):
    campaign = make_holding(halt_codes=["brakes_lost"])
    fail(in_turn(campaign)[1], code, at=at(minutes=2))

    tick(campaign, at(minutes=3))

    assert (ordered(campaign), states(campaign)[2:]) == (0, ["withdrawing"] * 2)


@pytest.mark.parametrize("code", ["brakes_lost", "verification_failed"])
def test_a_halt_for_a_grave_failure_lets_nothing_go_on_whatever_the_plan_says(code):
    campaign = make_running(vehicles=3, halt_action="hold_offers", halt_codes=["brakes_lost"])
    fail(in_turn(campaign)[0], code)

    tick(campaign, at(minutes=1))

    assert (campaign.state, campaign.keeps_orders, states(campaign)[1:]) == ("halted", False, ["withdrawing"] * 2)


def test_another_ordinary_failure_leaves_what_goes_on():
    campaign = make_holding()
    fail(in_turn(campaign)[1], at=at(minutes=2))

    tick(campaign, at(minutes=3))

    assert (ordered(campaign), states(campaign)[2:]) == (2, ["offered"] * 2)


def test_a_freeze_reaches_orders_that_a_halt_let_go_on():
    campaign = make_holding()
    operations.declare_blackout(
        campaign.tenant, name="fair", reason="A fair.", starts_at=NOON, by="eve", at=at(hours=1)
    )

    tick(campaign, at(hours=1))

    windows = [each.content["custom"]["order"]["windows"] for each in Direction.objects.filter(content__isnull=False)]
    assert windows == [[]] * 3


def test_a_block_list_reaches_orders_that_a_halt_let_go_on():
    campaign = make_holding()
    press = make_group(campaign.tenant, in_turn(campaign)[2].vehicle, name="press")
    Group.objects.filter(pk=press.pk).update(blocks_updates_reason="Press fleet")

    tick(campaign, at(minutes=2))

    assert states(campaign)[1:] == ["downloaded", "withdrawing", "offered"]


def make_begun():
    """One of two vehicles begins to install in its window, with another window to come."""
    campaign = make_running(vehicles=2, windows=(Window(127, 12 * 60, 60), Window(127, 14 * 60, 30)))
    (first, _) = in_turn(campaign)
    report(first, "downloaded")
    report(first, "installing", at=at(minutes=50))
    return campaign, first


@pytest.mark.parametrize("stop", ["stop", "cancel", "tenant"])
def test_a_vehicle_that_begins_anew_after_a_stop_loses_its_order(stop):
    campaign, first = make_begun()
    if stop == "stop":
        operations.stop_campaign(campaign, by="alice", at=at(minutes=52), reason="Brakes fail.")
    elif stop == "cancel":
        operations.cancel_campaign(campaign, by="alice", at=at(minutes=52), reason="Brakes fail.")
    else:
        operations.stop_tenant(campaign.tenant, by="alice", at=at(minutes=52), reason="Brakes fail.")

    report(first, "held", "none", "window", at=at(minutes=61))

    assert (first.state, ordered(campaign)) == ("withdrawing", 0)
    operations.lapse_due(first.due_at)
    first.refresh_from_db()
    assert first.state == "withdrawn"


def test_an_order_that_is_left_standing_in_a_stopped_campaign_is_withdrawn_by_the_next_tick():
    campaign, first = make_begun()
    report(first, "held", "none", "window", at=at(minutes=61))
    # In the very moment in which the report was taken.
    Campaign.objects.filter(pk=campaign.pk).update(state="halted")
    assert Campaign.objects.due(at(minutes=62)).filter(pk=campaign.pk).exists()

    tick(campaign, at(minutes=62))

    assert (states(campaign), ordered(campaign)) == (["withdrawing"] * 2, 0)
    assert Decision.objects.get(kind="campaign.reconciled").inputs == {"found": "order_left", "withdrawn": 2}
    assert not Campaign.objects.due(at(minutes=63)).filter(pk=campaign.pk).exists()


def test_what_was_declared_while_a_vehicle_installed_reaches_its_order_once_it_has_not():
    campaign, first = make_begun()
    freeze = {"name": "fair", "reason": "A fair.", "starts_at": at(minutes=55)}
    operations.declare_blackout(campaign.tenant, **freeze, by="eve", at=at(minutes=55))
    report(first, "held", "none", "window", at=at(minutes=61))

    tick(campaign, at(minutes=62))

    content = Direction.objects.get(vehicle=first.vehicle_id).content
    assert content["custom"]["order"]["windows"] == []


def test_a_way_back_to_the_very_release_is_refused():
    tenant = make_tenant()
    release = make_versions(tenant, "2.0")

    with pytest.raises(NoWayBackError, match="it brings nothing back"):
        make_campaign(tenant=tenant, release=release, fallback_release=release)

    assert not Campaign.objects.exists()


ROLLS_BACK = {"halt_action": "roll_back", "max_failed": 0}


def test_a_roll_back_finds_another_name_where_its_own_is_taken():
    campaign = make_running(vehicles=2, **ROLLS_BACK)
    make_campaign(
        tenant=campaign.tenant,
        old=campaign.fallback_release,
        group=campaign.group,
        name="spring back 1",
        release=campaign.release,
    )
    fail(in_turn(campaign)[0])

    tick(campaign, at(minutes=1))

    assert (campaign.state, campaign.rollbacks.get().name) == ("halted", "spring back 2")


def test_a_halt_stands_though_its_roll_back_cannot_be_made():
    campaign = make_running(vehicles=2, **ROLLS_BACK)
    Campaign.objects.filter(pk=campaign.pk).update(fallback_release=campaign.release)
    fail(in_turn(campaign)[0])

    tick(campaign, at(minutes=1))

    assert (campaign.state, states(campaign), campaign.rollbacks.count()) == ("halted", ["failed", "withdrawing"], 0)
    said = Decision.objects.get(kind="campaign.not_rolled_back")
    assert said.inputs["error"] == "campaign.plan_refused"
    assert said.sentence.endswith("spring cannot be rolled back to car 2.0.")
    assert Decision.objects.filter(kind="campaign.notify").exists()


def make_blocked_by_filter():
    campaign = make_running(vehicles=2, max_failed=0)
    vip = make_group(campaign.tenant, name="vip")
    press = fleet.create_group(campaign.tenant, name="press", filter='group = "vip"', by="eve", at=NOON)
    Group.objects.filter(pk=press.pk).update(blocks_updates_reason="Press fleet")
    return campaign, vip


@pytest.mark.parametrize("change", ["rename", "delete"])
def test_a_group_that_a_filter_names_keeps_its_name(change):
    _, vip = make_blocked_by_filter()

    with pytest.raises(GroupInUseError, match="those of press"):
        if change == "rename":
            fleet.change_group(vip, name="vip cars", by="eve", at=NOON)
        else:
            fleet.delete_group(vip, reason="Tidying up.", by="eve", at=NOON)

    assert Group.objects.get(pk=vip.pk).name == "vip"


def test_a_campaign_that_cannot_be_judged_is_halted():
    campaign, vip = make_blocked_by_filter()
    Group.objects.filter(pk=vip.pk).update(name="vip cars")

    tick(campaign, at(minutes=1))

    assert (campaign.state, states(campaign)) == ("halted", ["withdrawing"] * 2)
    halted = Decision.objects.get(kind="engine.halted")
    assert halted.sentence == "The campaign cannot be judged. Line 1, column 9: There is no group 'vip'."
    assert halted.inputs["error"] == "filter.unknown_group"
    assert campaign.waves.get().state == "failed"


@pytest.mark.parametrize("error", [RuntimeError("no idea"), KeyError("x")])
def test_a_fault_of_the_engine_itself_halts_too(monkeypatch, error):
    campaign = make_running(vehicles=2)

    def break_down(*_args, **_kwargs):
        raise error

    monkeypatch.setattr("otaserver.campaigns.operations.engine.gates.reason_to_halt", break_down)
    tick(campaign, at(minutes=1))

    assert (campaign.state, states(campaign)) == ("halted", ["withdrawing"] * 2)


@pytest.mark.parametrize("error", [OperationalError("gone"), ConnectionResetError(), StaleStateError("It moved.")])
def test_what_passes_by_itself_is_left_to_the_next_tick(monkeypatch, error):
    campaign = make_running(vehicles=2)

    def break_down(*_args, **_kwargs):
        raise error

    monkeypatch.setattr("otaserver.campaigns.operations.engine.gates.reason_to_halt", break_down)
    with pytest.raises(type(error)):
        operations.advance_campaign(campaign.pk, at=at(minutes=1))

    campaign.refresh_from_db()
    assert (campaign.state, states(campaign)) == ("running", ["offered"] * 2)


def test_the_failed_wave_of_a_person_halts_as_the_plan_says():
    campaign = make_started(vehicles=4, waves=(50, 100), wave_rule="ask", halt_action="roll_back")
    tick(campaign)
    for assignment in in_turn(campaign, "offered"):
        succeed(assignment)
    tick(campaign, NOON + timedelta(hours=8))
    wave = campaign.waves.get(number=1)
    assert wave.state == "undecided"

    operations.decide_wave(wave, passed=False, reason="It rattles.", by="bob", at=at(hours=9))

    campaign.refresh_from_db()
    failed = Decision.objects.get(kind="wave.failed")
    assert (campaign.state, campaign.rollbacks.get().state) == ("halted", "scheduled")
    assert (failed.wave_id, failed.actor, failed.sentence) == (wave.pk, "bob", "It rattles.")
    assert Decision.objects.get(kind="campaign.notify").sentence == "spring was halted: It rattles."
    wave.refresh_from_db()
    assert wave.state == "failed"


def test_a_roll_back_stays_open_for_a_vehicle_that_is_silent_since_it_began():
    campaign = make_running(vehicles=2, **ROLLS_BACK)
    first, second = in_turn(campaign)
    fail(first)
    report(second, "installing")
    tick(campaign, at(minutes=1))
    rollback = campaign.rollbacks.get()
    operations.lapse_due(rollback.starts_at)

    tick(rollback, rollback.starts_at)
    assert (rollback.state, states(rollback)) == ("running", [])

    late = at(days=2)
    Assignment.objects.get(pk=second.pk)
    second.refresh_from_db()
    succeed(second, at=late)
    tick(rollback, late + timedelta(minutes=1))

    assert (rollback.state, states(rollback)) == ("running", ["offered"])
