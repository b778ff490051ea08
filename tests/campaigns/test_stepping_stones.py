"""Releases that must run first: taken within the same assignment, hop by hop, with one result at the end."""

from decimal import Decimal

import pytest

from otaserver.campaigns import operations, queries
from otaserver.campaigns.errors import NoWayBackError
from otaserver.campaigns.models import Attempt, Campaign
from otaserver.campaigns.operations import CampaignPlan, EvidenceReport, WavePlan
from otaserver.campaigns.rules.matching import Bundle, Candidate, Computer, Condition, Item, Software
from otaserver.campaigns.rules.stepping import is_behind, route
from otaserver.director.models import Direction
from otaserver.fleet.models import Vehicle
from tests.campaigns.campaign_factories import (
    SOAK,
    at,
    attempt_of,
    fail,
    in_turn,
    install,
    make_fleet,
    make_versions,
    prove,
    report,
    serials,
    states,
    tick,
)
from tests.factories import NOON, make_group, make_tenant

pytestmark = pytest.mark.django_db


def make_chained(vehicles=1, *, on="1.0", **fields):
    """A running campaign for 3.0, whose stone is 2.0, for vehicles that run 1.0."""
    tenant = make_tenant()
    releases = {version: make_versions(tenant, version) for version in ("1.0", "2.0", "3.0")}
    releases["3.0"].stepping_stone = releases["2.0"]
    releases["3.0"].save()
    group = make_group(tenant, *make_fleet(tenant, vehicles, releases[on]))
    plan = CampaignPlan(
        name="chained",
        release=releases["3.0"],
        group=group,
        waves=[WavePlan(Decimal(100), 5)],
        fallback_release=releases["1.0"],
        **fields,
    )
    campaign = operations.create_campaign(tenant, plan, by="alice", at=NOON)
    operations.submit_campaign(campaign, by="alice", at=NOON)
    operations.approve_campaign(campaign, by="bob", at=NOON)
    operations.start_campaign(campaign, by="alice", at=NOON)
    tick(campaign)
    return campaign, releases


def ordered():
    return {target.split("-")[-1] for target in Direction.objects.get().content["targets"]}


def prove_with_report(assignment, release, when):
    """As the reference client does: its manifest says too how the attempt ended."""
    vehicle = Vehicle.objects.get(pk=assignment.vehicle_id)
    install(vehicle, release)
    said = EvidenceReport(attempt_of(assignment).pk, "success")
    operations.record_evidence(vehicle, proved=serials(vehicle), report=said, at=when)
    assignment.refresh_from_db()


def test_a_vehicle_behind_the_stone_is_taken_there_first_and_counts_once_at_the_end():
    campaign, releases = make_chained()
    (assignment,) = in_turn(campaign)
    assert ordered() == {"2.0"}
    assert queries.order_for(assignment.vehicle).release == "car 2.0"

    report(assignment, "installing")
    prove_with_report(assignment, releases["2.0"], at(hours=1))
    assert (assignment.state, assignment.installing_at) == ("waiting", None)
    tick(campaign, at(hours=1))
    assert ordered() == {"3.0"}
    assert campaign.gate_states.get().successes == 0
    report(assignment, "installing", at=at(hours=2))
    prove_with_report(assignment, releases["3.0"], at(hours=2))
    tick(campaign, at(hours=2) + SOAK)

    assert (campaign.state, states(campaign)) == ("completed", ["succeeded"])
    assert campaign.gate_states.get().successes == 1
    tries = Attempt.objects.order_by("number").values_list("stone__version", "outcome")
    assert list(tries) == [("2.0", "success"), (None, "success")]


def test_a_vehicle_on_the_stone_is_taken_straight_to_the_release():
    make_chained(on="2.0")

    assert ordered() == {"3.0"}


def test_a_stone_that_fails_is_the_one_failure_of_the_vehicle():
    campaign, _ = make_chained()
    (assignment,) = in_turn(campaign)

    fail(assignment, "install_failed")
    tick(campaign, NOON + SOAK)

    assert states(campaign) == ["failed"]
    assert campaign.gate_states.get().failures == 1


def test_a_stone_that_turns_out_unhealthy_after_it_was_proved_is_a_failure():
    campaign, releases = make_chained()
    (assignment,) = in_turn(campaign)
    report(assignment, "installing")
    prove_with_report(assignment, releases["2.0"], at(minutes=5))

    report(assignment, "finished", "failure", "health_failed", at=at(minutes=6))

    assert (assignment.state, assignment.code) == ("failed", "health_failed")


def test_a_vehicle_that_proves_the_release_itself_has_skipped_the_stone():
    campaign, releases = make_chained()
    (assignment,) = in_turn(campaign)

    prove(assignment, releases["3.0"])

    assert assignment.state == "soaking"


@pytest.mark.parametrize("end", ["stop_campaign", "cancel_campaign"])
def test_a_hop_that_is_proved_after_the_campaign_ended_leads_no_further(end):
    campaign, releases = make_chained()
    (assignment,) = in_turn(campaign)
    report(assignment, "installing")
    getattr(operations, end)(campaign, by="alice", at=NOON, reason="Bad.")

    prove_with_report(assignment, releases["2.0"], at(hours=1))
    campaign.refresh_from_db()
    tick(campaign, at(hours=1))

    expected = {"stop_campaign": "waiting", "cancel_campaign": "withdrawn"}[end]
    assert assignment.state == expected
    assert Direction.objects.get().content is None
    assert Attempt.objects.count() == 1


def test_every_hop_needs_its_way_back():
    tenant = make_tenant()
    old, stone = make_versions(tenant), make_versions(tenant, "2.0", release_counter=1)
    target = make_versions(tenant, "3.0")
    target.stepping_stone = stone
    target.save()
    plan = CampaignPlan(
        name="a",
        release=target,
        group=make_group(tenant, *make_fleet(tenant, 1, old)),
        waves=[WavePlan(Decimal(100))],
        fallback_release=old,
    )

    # The stone commits a higher counter than the release to return to has.
    with pytest.raises(NoWayBackError, match="commits counter 1"):
        operations.create_campaign(tenant, plan, by="alice", at=NOON)

    assert not Campaign.objects.exists()


def item(version, package_id, counter=0):
    return Item(package_id, "a", version, f"r/a-{version}", f"sha-{version}", frozenset({"hw"}), counter)


def candidate(version="1", package_id=1, counter=0):
    return Candidate([Computer("s", "hw", f"sha-{version}", Software("a", version, counter, package_id))])


CHAIN = [Bundle([item("2", 2)]), Bundle([item("3", 3)]), Bundle([item("4", 4)])]


@pytest.mark.parametrize(
    ("vehicle", "hop"),
    [
        (candidate("1", 1), 0),
        (candidate("2", 2), 1),
        (candidate("2b", 2), 1),
        (candidate("3", 3), 2),
        (candidate("3.5", 3, counter=0), 2),
        (Candidate([Computer("s", "hw", "unknown")]), 0),
    ],
)
def test_the_next_hop_is_the_first_stone_that_the_vehicle_is_behind(vehicle, hop):
    found = route(CHAIN, vehicle)

    assert (found.hop, found.match.verdict) == (hop, "fits")


def test_a_way_whose_end_cannot_be_reached_is_not_begun():
    barred = [*CHAIN[:2], Bundle([item("4", 4)], [Condition("requires", "b")])]

    assert route(barred, candidate()).match.verdict == "unmet_dependency"


def test_each_hop_is_judged_as_if_the_ones_before_it_ran():
    needs_stone = Bundle(
        [Item(9, "b", "1", "r/b-1", "sha-b", frozenset({"other"}), 0)], [Condition("requires", "a", frozenset({"2"}))]
    )
    vehicle = Candidate([*candidate().computers, Computer("t", "other")])

    found = route([CHAIN[0], needs_stone], vehicle)

    assert (found.hop, found.match.verdict, [s for s, _ in found.match.packages]) == (0, "fits", ["s"])


def test_a_counter_says_more_than_when_a_package_was_declared():
    stone = Bundle([item("2", 2, counter=1)])

    assert is_behind(stone, candidate("9", 9, counter=0).computers)
    assert not is_behind(stone, candidate("1", 1, counter=2).computers)
    assert not is_behind(stone, candidate("2", 2).computers)


@pytest.mark.parametrize(("enrolled", "blocked", "verdict"), [(False, False, "not_enrolled"), (True, True, "blocked")])
def test_a_vehicle_that_can_take_no_part_has_no_way(enrolled, blocked, verdict):
    vehicle = Candidate(candidate().computers, is_enrolled=enrolled, is_blocked=blocked)

    assert route(CHAIN, vehicle).match.verdict == verdict
