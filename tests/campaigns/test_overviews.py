"""What people look at: how a campaign's results divide, how it went, and what a fleet runs."""

from datetime import timedelta

import pytest

from otaserver.campaigns import operations, queries
from otaserver.campaigns.models import Assignment
from otaserver.campaigns.operations import judge_group
from otaserver.campaigns.states import AssignmentState
from otaserver.statemachine import InvalidTransitionError
from tests.campaigns.campaign_factories import (
    SOAK,
    at,
    fail,
    in_turn,
    make_campaign,
    make_fleet,
    make_started,
    make_versions,
    succeed,
    tick,
)
from tests.factories import NOON, make_group, make_tenant, make_vehicle

pytestmark = [pytest.mark.django_db, pytest.mark.any_database]


@pytest.fixture
def mature():
    """A campaign of four vehicles, of which one has failed and three succeeded, seen a day later."""
    campaign = make_started(vehicles=4, max_failed=3)
    tick(campaign)
    first, *others = in_turn(campaign)
    fail(first)
    for assignment in others:
        succeed(assignment)
    tick(campaign, NOON + SOAK)
    campaign.refresh_from_db()
    return campaign


def test_a_breakdown_counts_failures_by_code_hardware_and_what_ran_before(mature):
    found = queries.breakdown(mature)

    assert [(each.code, each.vehicles) for each in found.failures] == [("health_failed", 1)]
    assert found.neutral == []
    assert [(each.failed, each.results) for each in found.by_hardware] == [(1, 4)]
    assert [(each.failed, each.results) for each in found.by_version] == [(1, 4)]
    assert "1.0" in found.by_version[0].label


def test_a_course_holds_every_end_and_every_byte_once(mature):
    found = queries.course(mature, at=NOON + timedelta(days=1))

    assert sum(bar.succeeded for bar in found.bars) == 3
    assert sum(bar.failed for bar in found.bars) == 1
    assert sum(bar.length for bar in found.bars) == sum(
        attempt.length for assignment in mature.assignments.all() for attempt in assignment.attempts.all()
    )
    assert found.bars[-1].at + found.width >= (mature.finished_at or NOON + timedelta(days=1))


def test_a_campaign_that_has_not_started_has_no_course():
    assert queries.course(make_campaign(), at=NOON) is None


def test_the_way_of_the_evidence_ends_where_the_gate_stands(mature):
    (pool,) = queries.evidence_paths(mature)

    assert pool.points[-1].statistic == pytest.approx(pool.view.statistic)
    assert pool.points[-1].results == pool.view.successes + pool.view.failures


def test_a_fleet_is_counted_by_release_now_and_before_its_campaign(mature):
    old, new = mature.fallback_release, mature.release

    found = queries.fleet_releases([mature.tenant], at=NOON + timedelta(days=1))

    assert found.now == {new.pk: 3, old.pk: 1}
    assert found.moments[0].vehicles == {old.pk: 4}
    assert {release.pk for release in found.releases} == {old.pk, new.pk}


@pytest.mark.parametrize("is_overtaken", [False, True])
def test_what_soaks_or_was_overtaken_in_its_soak_ran_the_release_no_earlier_than_it_came(is_overtaken):
    campaign = make_started(vehicles=4)
    old, new = campaign.fallback_release, campaign.release
    tick(campaign)
    first, second, *_ = in_turn(campaign)
    succeed(first)
    succeed(second)
    Assignment.objects.filter(pk__in=[first.pk, second.pk]).update(installing_at=NOON + timedelta(hours=6))
    if is_overtaken:
        Assignment.objects.filter(pk=second.pk).update(
            state=AssignmentState.SUPERSEDED, settled_at=NOON + timedelta(hours=7), due_at=None
        )

    found = queries.fleet_releases([campaign.tenant], at=NOON + timedelta(days=1))

    assert found.now == {new.pk: 2, old.pk: 2}
    assert found.moments[0].vehicles == {old.pk: 4}


def test_a_group_is_judged_by_verdict_and_nothing_is_stored():
    tenant = make_tenant()
    old, new = make_versions(tenant), make_versions(tenant, "2.0")
    fleet = [*make_fleet(tenant, 2, old), *make_fleet(tenant, 1, new), make_vehicle(tenant, hardware=("radio",))]

    found = judge_group(new, make_group(tenant, *fleet), at=NOON)

    assert (found.fitting, found.total) == (2, 4)
    assert found.verdicts == {"fits": 2, "already_there": 1, "wrong_hardware": 1}
    assert Assignment.objects.count() == 0


def test_vehicles_in_back_off_try_again_at_once_and_the_word_is_recorded():
    campaign = make_started(vehicles=3)
    tick(campaign)
    waiting, *_ = in_turn(campaign)
    Assignment.objects.filter(pk=waiting.pk).update(
        state=AssignmentState.WAITING, next_attempt_at=at(hours=5), due_at=None
    )

    hastened = operations.retry_waiting(campaign, by="bob", at=at(hours=1), reason="The depot has power again.")

    waiting.refresh_from_db()
    assert (hastened, waiting.next_attempt_at) == (1, at(hours=1))
    decided = campaign.decisions.latest("pk")
    assert (decided.kind, decided.sentence) == ("campaign.retried", "The depot has power again.")


def test_with_nobody_waiting_a_retry_records_nothing():
    campaign = make_started(vehicles=1)
    before = campaign.decisions.count()

    assert operations.retry_waiting(campaign, by="bob", at=NOON) == 0
    assert campaign.decisions.count() == before


def test_only_a_running_campaign_is_retried():
    campaign = make_started(vehicles=1)
    operations.pause_campaign(campaign, by="bob", at=NOON)

    with pytest.raises(InvalidTransitionError):
        operations.retry_waiting(campaign, by="bob", at=NOON)
