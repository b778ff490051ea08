"""Who of a group fits a release: at once where it is small, else counted by a worker for whoever asks."""

from datetime import timedelta

import pytest

from otaserver import clock
from otaserver.campaigns import operations, tasks
from otaserver.campaigns.errors import PlanRefusedError
from otaserver.campaigns.fit_models import GroupFit
from otaserver.campaigns.operations import Fit, fits
from otaserver.fleet.errors import FilterRefusedError
from otaserver.fleet.models import Group, Vehicle
from tests.campaigns.campaign_factories import at, make_fleet, make_versions
from tests.campaigns.test_tick_cost import statements
from tests.factories import NOON, make_group, make_tenant

pytestmark = pytest.mark.django_db


@pytest.fixture
def tenant():
    return make_tenant()


@pytest.fixture
def new(tenant):
    """A release that three vehicles fit."""
    fleet = make_fleet(tenant, 3, make_versions(tenant))
    make_group(tenant, *fleet)
    return make_versions(tenant, "2.0")


@pytest.fixture
def group(new):
    return Group.objects.get()


@pytest.fixture
def large(monkeypatch):
    """More than two vehicles are many."""
    monkeypatch.setattr(fits, "AT_ONCE", 2)


def count_all(moment):
    return [operations.count_fit(row.pk, at=moment) for row in list(operations.fits_due(moment))]


def test_a_small_group_is_judged_at_once_and_nothing_is_stored(new, group):
    found = operations.ask_fit(new, group, at=NOON)

    assert (found.fit, found.counted_at, found.is_old) == (Fit({"fits": 3}), NOON, False)
    assert not GroupFit.objects.exists()


def test_a_large_group_is_counted_by_a_worker_once_for_all_who_ask(large, new, group):
    assert [operations.ask_fit(new, group, at=NOON) for _ in range(2)] == [None, None]
    assert count_all(at(seconds=1)) == [True]

    found = operations.ask_fit(new, group, at=at(seconds=3))

    assert (found.fit, found.counted_at, found.is_old) == (Fit({"fits": 3}), at(seconds=1), False)
    assert count_all(at(seconds=3)) == []


def test_who_asks_for_a_large_group_costs_a_handful_of_statements_and_none_looks_at_a_vehicle(large, new, group):
    operations.ask_fit(new, group, at=NOON)

    with statements() as found:
        operations.ask_fit(new, group, at=at(seconds=1))

    assert not [sql for sql in found if Vehicle._meta.db_table in sql]
    assert len(found) <= 6


def test_an_old_count_is_shown_while_it_is_counted_again(large, new, group):
    operations.ask_fit(new, group, at=NOON)
    count_all(NOON)
    Vehicle.objects.filter(pk=group.memberships.first().vehicle_id).update(blocked_at=NOON)

    old = operations.ask_fit(new, group, at=at(minutes=2))
    again = count_all(at(minutes=2))
    fresh = operations.ask_fit(new, group, at=at(minutes=2))

    assert (old.fit, old.is_old, again) == (Fit({"fits": 3}), True, [True])
    assert (fresh.fit, fresh.is_old) == (Fit({"fits": 2, "blocked": 1}), False)


def test_a_filter_that_was_changed_makes_what_was_counted_before_worth_nothing(large, tenant, new):
    group = Group.objects.create(
        tenant=tenant, name="all", kind="dynamic", filter='vehicle_id startswith "VIN"', created_at=NOON
    )
    operations.ask_fit(new, group, at=NOON)
    count_all(NOON)
    Group.objects.filter(pk=group.pk).update(filter='vehicle_id = "nobody"')
    group.refresh_from_db()

    assert operations.ask_fit(new, group, at=at(seconds=1)) is None
    assert count_all(at(seconds=1)) == [True]
    assert operations.ask_fit(new, group, at=at(seconds=1)).fit == Fit({})


def test_of_two_workers_one_counts_and_one_that_died_is_replaced(large, new, group):
    operations.ask_fit(new, group, at=NOON)
    GroupFit.objects.update(begun_at=NOON)

    assert count_all(at(minutes=1)) == []
    operations.ask_fit(new, group, at=at(minutes=5))
    assert count_all(at(minutes=5)) == [True]


def test_what_nobody_asks_for_is_counted_no_more_and_forgotten_after_a_day(large, new, group):
    operations.ask_fit(new, group, at=NOON)

    assert count_all(NOON + fits.WANTED_FOR) == []
    operations.forget_fits(at(hours=23))
    assert GroupFit.objects.count() == 1
    operations.forget_fits(at(hours=24))
    assert GroupFit.objects.count() == 0


def test_a_filter_that_cannot_be_answered_is_refused_to_who_asks_and_dropped_by_the_worker(large, tenant, new, group):
    operations.ask_fit(new, group, at=NOON)
    broken = Group.objects.create(
        tenant=tenant, name="b", kind="dynamic", filter='attribute.gone = "x"', created_at=NOON
    )
    GroupFit.objects.update(group=broken)

    assert count_all(NOON) == [False]
    assert not GroupFit.objects.exists()
    with pytest.raises(FilterRefusedError):
        operations.ask_fit(new, broken, at=NOON)
    assert not GroupFit.objects.exists()


def test_the_tick_hands_on_what_is_due(large, new, group, monkeypatch):
    operations.ask_fit(new, group, at=NOON)
    handed = []
    monkeypatch.setattr(tasks.count_fit, "apply_async", lambda kwargs, expires: handed.append(kwargs))

    with clock.using(lambda: NOON + timedelta(seconds=1)):
        tasks.count_fits()
        tasks.count_fit(**handed[0])
        tasks.count_fits()

    assert handed == [{"fit_id": GroupFit.objects.get().pk}]
    assert GroupFit.objects.get().verdicts == {"fits": 3}


def test_waves_are_suggested_for_what_was_counted(large, new, group):
    suggested = operations.suggest_waves(new, group, failure_budget=5, at=NOON, counted=Fit({"fits": 900}))

    assert suggested.fitting == 900
    assert operations.suggest_waves(new, group, failure_budget=5, at=NOON).fitting == 3
    with pytest.raises(PlanRefusedError):
        operations.suggest_waves(new, group, failure_budget=0, at=NOON, counted=Fit({"fits": 900}))
