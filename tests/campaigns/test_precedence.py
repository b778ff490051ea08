"""Several campaigns that want the same vehicles: one order at a time, the higher class first, nobody starved."""

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otaserver.campaigns import operations, queries
from otaserver.campaigns.errors import PlanRefusedError
from otaserver.campaigns.models import Assignment, Campaign, CampaignRequirement, Decision
from otaserver.campaigns.operations import CampaignPlan, WavePlan
from otaserver.campaigns.rules.windows import EVERY_DAY, Window
from otaserver.campaigns.states import ACTIVE_STATES, SETTLED_STATES, CampaignPriority
from otaserver.fleet.models import Vehicle
from tests.campaigns.campaign_factories import (
    at,
    fail,
    in_turn,
    install,
    make_fleet,
    make_versions,
    report,
    states,
    succeed,
    tick,
)
from tests.factories import NOON, make_group, make_tenant

pytestmark = pytest.mark.django_db
RECALL, SECURITY, QUALITY, FEATURE = CampaignPriority


class Garage:
    """One tenant's vehicles with gateway and brake on 1.0, and campaigns for all of them."""

    def __init__(self, vehicles=1):
        self.tenant = make_tenant()
        self.old = make_versions(self.tenant)
        self.vehicles = make_fleet(self.tenant, vehicles, self.old)
        self.group = make_group(self.tenant, *self.vehicles)
        self.count = 1

    def release(self, hardware=("brake",), **fields):
        self.count += 1
        return make_versions(self.tenant, f"{self.count}.0", hardware, **fields)

    def draft(self, *, release=None, hardware=("brake",), waves=(100,), **plan):
        release = release or self.release(hardware)
        values = {"name": f"campaign {self.count}", "no_way_back_reason": "A test.", "soak_seconds": 3600} | plan
        return operations.create_campaign(
            self.tenant,
            CampaignPlan(
                release=release,
                group=self.group,
                waves=[WavePlan(Decimal(str(percent)), 100) for percent in waves],
                **values,
            ),
            by="alice",
            at=NOON,
        )

    def start(self, when=NOON, **plan):
        campaign = self.draft(**plan)
        operations.submit_campaign(campaign, by="alice", at=when)
        operations.approve_campaign(campaign, by="bob", at=when)
        operations.start_campaign(campaign, by="alice", at=when)
        return campaign


def tick_all(*campaigns, when=NOON):
    for campaign in campaigns:
        tick(campaign, when)


def confirm(campaign, when=NOON):
    """Let the vehicles hear that their orders are withdrawn."""
    for vehicle in Vehicle.objects.filter(assignments__campaign=campaign):
        operations.confirm_withdrawal(vehicle, at=when)


@pytest.fixture
def garage():
    return Garage()


@pytest.mark.parametrize("recall_ticks_first", [True, False])
def test_the_higher_class_goes_first_whoever_was_started_or_ticked_first(garage, recall_ticks_first):
    feature = garage.start(priority=FEATURE, hardware=("gateway",))
    recall = garage.start(at(minutes=5), priority=RECALL)
    order = [recall, feature] if recall_ticks_first else [feature, recall]
    # Both waves must be open before anyone has a turn.
    for campaign in order:
        tick(campaign, at(minutes=5))
    confirm(feature)
    tick_all(*order, when=at(minutes=6))

    assert (states(recall), states(feature)) == (["offered"], ["waiting"])
    succeed(in_turn(recall)[0], at=at(minutes=7))
    operations.lapse_due(at(hours=2))
    tick(feature, at(hours=2))
    assert states(feature) == ["offered"]


def test_inside_a_class_the_earlier_started_goes_first_though_the_other_is_ticked_first(garage):
    first, second = garage.start(hardware=("gateway",)), garage.start(at(minutes=1))
    tick_all(first, second)
    assert (states(first), states(second)) == (["offered"], ["waiting"])
    report(in_turn(first)[0], "finished", "failure", "download_failed")

    tick_all(second, first, when=at(hours=1))

    assert (states(first), states(second)) == (["offered"], ["waiting"])


def test_an_order_of_a_lower_class_is_taken_away_and_waits_again(garage):
    feature = garage.start(priority=FEATURE, hardware=("gateway",))
    tick(feature)
    report(in_turn(feature)[0], "downloaded")
    security = garage.start(priority=SECURITY)

    tick(security)

    assert (states(feature), states(security)) == (["withdrawing"], ["waiting"])
    assert in_turn(feature)[0].code == "outranked"
    confirm(feature)
    tick_all(feature, security)
    assert (states(feature), states(security)) == (["waiting"], ["offered"])
    decided = Decision.objects.get(campaign=security, kind="campaign.overrode")
    assert (decided.inputs["campaigns"], decided.inputs["vehicles"]) == ([feature.name], 1)
    assert security.name in queries.explain(in_turn(feature)[0])


def test_neither_an_installation_nor_an_order_of_the_same_class_is_taken_away(garage):
    quality = garage.start(hardware=("gateway",))
    tick(quality)
    other = garage.start()
    tick(other)
    assert states(quality) == ["offered"]
    report(in_turn(quality)[0], "installing")
    recall = garage.start(priority=RECALL)

    tick(recall)

    assert (states(quality), states(other), states(recall)) == (["installing"], ["waiting"], ["waiting"])


def test_no_more_is_taken_away_than_there_is_room_for():
    garage = Garage(vehicles=4)
    feature = garage.start(priority=FEATURE, hardware=("gateway",))
    tick(feature)
    recall = garage.start(priority=RECALL, max_in_flight=1)

    # The second time the vehicle has not heard yet of the first.
    tick(recall)
    tick(recall)

    assert sorted(states(feature)) == ["offered"] * 3 + ["withdrawing"]


@pytest.mark.parametrize("pace", [{"offers_per_minute": 1}, {"bytes_per_hour": 3000}])
def test_no_more_is_taken_away_than_the_pace_lets_out(pace):
    garage = Garage(vehicles=4)
    feature = garage.start(priority=FEATURE, hardware=("gateway",))
    tick(feature)
    security = garage.start(priority=SECURITY, release=garage.release(length=2000), **pace)

    for seconds in (0, 5, 65, 70):
        tick(security, at(seconds=seconds))

    # The first has not heard yet that it is free.
    assert states(feature).count("withdrawing") == 1
    confirm(feature)
    tick(security, at(seconds=75))
    assert (states(security).count("offered"), states(feature).count("withdrawing")) == (1, 0)


@pytest.mark.parametrize(
    ("plan", "code"),
    [
        ({"windows": [Window(EVERY_DAY, 22 * 60, 60)]}, "withheld_window"),
        ({"consent": "ask"}, "withheld_consent"),
        ({"preconditions": [{"name": "parked", "operator": "==", "value": True}]}, "withheld_precondition"),
    ],
)
def test_what_the_server_keeps_back_itself_takes_no_order_away(garage, plan, code):
    Vehicle.objects.update(protocol="aktualizr")
    feature = garage.start(priority=FEATURE, hardware=("gateway",))
    tick(feature)
    security = garage.start(priority=SECURITY, **plan)

    for minutes in range(0, 60, 10):
        tick_all(security, feature, when=at(minutes=minutes))
        confirm(feature, at(minutes=minutes))

    # Else the vehicle would lose its order every few minutes, and have neither for as long as it lasts.
    assert (states(feature), feature.assignments.get().attempts.count()) == (["offered"], 1)
    assert (states(security), in_turn(security)[0].code) == (["waiting"], code)


def test_it_takes_the_order_away_once_its_own_may_be_given_out(garage):
    Vehicle.objects.update(protocol="aktualizr")
    feature = garage.start(priority=FEATURE, hardware=("gateway",))
    tick(feature)
    security = garage.start(priority=SECURITY, windows=[Window(EVERY_DAY, 22 * 60, 60)])
    tick(security)

    tick(security, at(hours=10))
    confirm(feature, at(hours=10))
    tick_all(feature, security, when=at(hours=10))

    assert (states(feature), states(security)) == (["waiting"], ["offered"])


def test_a_campaign_without_room_keeps_nobody_from_others():
    garage = Garage(vehicles=3)
    recall = garage.start(priority=RECALL, max_in_flight=1)
    tick(recall)
    feature = garage.start(priority=FEATURE, hardware=("gateway",))

    tick(feature)

    assert (sorted(states(recall)), sorted(states(feature))) == (
        ["offered", "waiting", "waiting"],
        ["offered", "offered", "waiting"],
    )


@pytest.mark.parametrize("stop", ["pause_campaign", "stop_campaign"])
def test_a_campaign_that_is_paused_or_halted_keeps_nobody_from_others(garage, stop):
    recall = garage.start(priority=RECALL)
    feature = garage.start(priority=FEATURE, hardware=("gateway",))
    getattr(operations, stop)(recall, by="alice", at=NOON, reason="Not yet.")

    tick(feature)

    assert states(feature) == ["offered"]


def test_a_soak_is_left_alone_on_the_whole_vehicle_and_only_a_recall_ends_it(garage):
    quality = garage.start(hardware=("gateway",))
    tick(quality)
    succeed(in_turn(quality)[0])
    security, recall = garage.start(priority=SECURITY), garage.draft(priority=RECALL)

    tick(security)
    assert (states(quality), states(security)) == (["soaking"], ["waiting"])
    assert quality.name in queries.explain(in_turn(security)[0])
    operations.submit_campaign(recall, by="alice", at=NOON)
    operations.approve_campaign(recall, by="bob", at=NOON)
    operations.start_campaign(recall, by="alice", at=NOON)
    tick(recall)

    assert (states(quality), states(recall)) == (["superseded"], ["offered"])
    assert in_turn(quality)[0].code == "overtaken"
    assert in_turn(quality)[0].due_at is None


def test_of_two_releases_of_the_same_packages_only_the_newer_is_installed():
    garage = Garage(vehicles=2)
    older = garage.start(waves=(50, 100))
    tick(older)
    newer = garage.start(at(minutes=1), waves=(100,))
    tick(newer, at(minutes=1))
    assert states(newer).count("waiting") == 1

    tick(older, at(minutes=2))

    assert sorted(states(older)) == ["offered", "superseded"]
    left = older.assignments.get(state="superseded")
    assert (left.code, left.settled_at) == ("newer_release", at(minutes=2))
    assert Decision.objects.get(campaign=older, kind="campaign.overtaken").inputs == {
        "vehicles": 1,
        "other": newer.name,
    }


def make_half_taken():
    """Two vehicles wait, all looked through at noon; a newer campaign takes the one whose turn is next, then gives way.

    Whether the newer one has succeeded there is all that keeps the older one from it.
    """
    garage = Garage(vehicles=2)
    older = garage.start(max_in_flight=1)
    tick(older)
    first, second = in_turn(older)
    newer = garage.start(at(seconds=1), waves=(100,))
    tick(newer, at(seconds=1))
    taken = newer.assignments.get(vehicle=second.vehicle)
    succeed(taken, at=at(seconds=2))
    return older, newer, first, second


def test_between_two_looks_a_tick_goes_through_no_more_than_what_it_would_offer():
    older, *_ = make_half_taken()

    tick(older, at(seconds=30))
    assert [each.state for each in in_turn(older)] == ["offered", "waiting"]

    tick(older, at(minutes=1))
    assert [each.state for each in in_turn(older)] == ["offered", "superseded"]


def test_between_two_looks_nothing_is_offered_that_a_newer_release_took():
    older, newer, first, second = make_half_taken()
    Assignment.objects.filter(pk=newer.assignments.get(vehicle=second.vehicle).pk).update(state="succeeded")
    fail(first, at=at(seconds=20))

    tick(older, at(seconds=30))

    assert [each.state for each in in_turn(older)] == ["failed", "superseded"]
    assert Decision.objects.get(campaign=older, kind="campaign.overtaken").inputs["vehicles"] == 1


@pytest.mark.parametrize("stop", ["halt", "cancel", "fail"])
def test_what_was_left_to_a_newer_campaign_that_does_not_bring_it_comes_back(stop):
    garage = Garage(vehicles=2)
    older = garage.start(waves=(50, 100))
    tick(older)
    newer = garage.start(at(minutes=1), waves=(100,))
    tick(newer, at(minutes=1))
    tick(older, at(minutes=2))
    first, second = in_turn(older)
    succeed(first, at=at(minutes=3))
    tick(older, at(hours=2))
    assert (older.state, states(older)) == ("running", ["succeeded", "superseded"])

    if stop == "halt":
        operations.stop_campaign(newer, by="alice", at=at(hours=2), reason="It rattles.")
    elif stop == "cancel":
        operations.cancel_campaign(newer, by="alice", at=at(hours=2), reason="It rattles.")
    else:
        fail(newer.assignments.get(vehicle=second.vehicle), at=at(hours=2))
    confirm(newer, at(hours=2))
    tick(older, at(hours=2, minutes=1))

    assert states(older) == ["succeeded", "offered"]


def test_nothing_is_left_to_a_newer_campaign_that_waits_for_this_very_one(garage):
    older = garage.start()
    newer = garage.start(at(minutes=1), requires=[older])
    tick_all(newer, older, when=at(minutes=1))
    assert (states(older), states(newer)) == (["offered"], ["waiting"])

    succeed(in_turn(older)[0], at=at(minutes=2))
    operations.lapse_due(at(hours=2))
    tick_all(older, newer, when=at(hours=2))

    assert (older.state, states(newer)) == ("completed", ["offered"])


def test_what_a_newer_campaign_has_brought_does_not_come_back(garage):
    older = garage.start()
    newer = garage.start(at(minutes=1))
    tick(newer, at(minutes=1))
    tick(older, at(minutes=2))
    (theirs,) = in_turn(newer)
    succeed(theirs, at=at(minutes=3))
    operations.lapse_due(at(hours=2))
    operations.stop_campaign(newer, by="alice", at=at(hours=2), reason="It rattles.")

    tick(older, at(hours=2))

    assert (older.state, states(older), in_turn(older)[0].code) == ("completed", ["superseded"], "newer_release")


def test_a_release_counter_outranks_the_later_start(garage):
    newer = garage.start(release=garage.release(release_counter=5))
    older = garage.start(at(minutes=1), release=garage.release(release_counter=4))
    tick(newer)

    tick(older, at(minutes=1))
    assert states(older) == ["superseded"]
    tick(newer, at(minutes=2))
    assert states(newer) == ["offered"]


@pytest.mark.parametrize(
    "change",
    [
        {"hardware": ("brake", "gateway")},  # other packages
        {"priority": FEATURE},  # of a lower class: what is urgent does not wait for it
        {"is_ticked": False},  # the vehicle has no turn there yet
    ],
)
def test_what_is_not_about_to_be_replaced_is_not_superseded(change):
    change = dict(change)
    garage = Garage(vehicles=2)
    older = garage.start(max_in_flight=1)
    tick(older)
    is_ticked = change.pop("is_ticked", True)
    newer = garage.start(at(minutes=1), **change)
    if is_ticked:
        tick(newer, at(minutes=1))

    tick(older, at(minutes=2))

    assert sorted(states(older)) == ["offered", "waiting"]


def test_a_vehicle_waits_until_what_is_required_has_succeeded_on_it():
    garage = Garage(vehicles=2)
    first = garage.start(hardware=("gateway",))
    second = garage.start(requires=[first])
    tick_all(first, second)
    assert states(second) == ["waiting", "waiting"]
    assert first.name in queries.explain(in_turn(second)[0])

    done = in_turn(first)[0]
    succeed(done)
    operations.lapse_due(at(hours=1))
    tick(second, at(hours=1))

    assert second.assignments.get(state="offered").vehicle_id == done.vehicle_id


def test_running_the_release_of_what_is_required_is_enough():
    garage = Garage(vehicles=2)
    first = garage.draft(hardware=("gateway",))
    second = garage.start(requires=[first])
    there = garage.vehicles[0]
    install(there, first.release)

    tick(second)

    assert second.assignments.get(state="offered").vehicle_id == there.pk


def test_what_waits_for_a_campaign_that_ended_without_it_is_superseded(garage):
    first = garage.start(hardware=("gateway",))
    second = garage.start(requires=[first])
    tick_all(first, second)
    fail(in_turn(first)[0], "install_failed")
    tick(second)
    assert states(second) == ["waiting"]
    operations.cancel_campaign(first, by="alice", at=at(hours=2))

    tick(second, at(hours=2))

    assert (states(second), in_turn(second)[0].code) == (["superseded"], "unmet_dependency")
    assert first.name in queries.explain(in_turn(second)[0])


def test_a_campaign_that_waits_for_another_keeps_nobody_from_that_one(garage):
    first = garage.draft(hardware=("gateway",), priority=FEATURE)
    recall = garage.start(requires=[first], priority=RECALL)
    tick(recall)
    operations.submit_campaign(first, by="alice", at=NOON)
    operations.approve_campaign(first, by="bob", at=NOON)
    operations.start_campaign(first, by="alice", at=NOON)

    tick_all(recall, first)

    assert (states(first), states(recall)) == (["offered"], ["waiting"])


def test_a_plan_that_requires_what_it_cannot_is_refused(garage):
    elsewhere = Garage().draft()

    with pytest.raises(PlanRefusedError, match="own tenant"):
        garage.draft(requires=[elsewhere])
    with pytest.raises(PlanRefusedError, match=r"The priority is one of 0 .*; 7 is not"):
        garage.draft(priority=7)

    assert not Campaign.objects.filter(tenant=garage.tenant).exists()
    assert not CampaignRequirement.objects.exists()


CAMPAIGNS = st.lists(
    st.tuples(
        st.sampled_from(list(CampaignPriority)),
        st.sampled_from([("brake",), ("gateway",), ("gateway", "brake")]),
        st.sampled_from([None, 1]),
        st.booleans(),  # requires the one before it
        st.sampled_from([(100,), (50, 100)]),
    ),
    min_size=1,
    max_size=4,
)


@pytest.mark.any_database
@settings(deadline=None, database=None, max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(plans=CAMPAIGNS, seed=st.randoms(use_true_random=False))
def test_no_set_of_campaigns_starves_a_vehicle_or_gives_it_two_orders(plans, seed):
    garage = Garage(vehicles=2)
    campaigns = []
    for number, (priority, hardware, room, chained, waves) in enumerate(plans):
        campaigns.append(
            garage.start(
                at(minutes=number),
                priority=priority,
                hardware=hardware,
                max_in_flight=room,
                requires=campaigns[-1:] if chained else [],
                waves=waves,
            )
        )

    when = at(hours=1)
    for _ in range(12 * len(campaigns) + 12):
        seed.shuffle(campaigns)
        tick_all(*[c for c in campaigns if c.state == "running"], when=when)
        active = Assignment.objects.filter(state__in=ACTIVE_STATES, vehicle__in=garage.vehicles)
        assert len(set(active.values_list("vehicle", flat=True))) == active.count()
        for assignment in active.select_related("campaign", "vehicle"):
            if assignment.state == "withdrawing":
                operations.confirm_withdrawal(assignment.vehicle, at=when)
            elif seed.random() < 0.8:
                succeed(assignment, at=when)
        when += timedelta(hours=2)
        operations.lapse_due(when)

    for campaign in campaigns:
        campaign.refresh_from_db()
        assert campaign.state == "completed", (campaign, states(campaign))
        assert {a.state for a in in_turn(campaign)} - {"excluded"} <= SETTLED_STATES
