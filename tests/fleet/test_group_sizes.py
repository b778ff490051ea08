"""How many vehicles groups have: counted by a worker for whoever looks at their list."""

import pytest

from otaserver import clock
from otaserver.fleet import operations, tasks
from otaserver.fleet.counting_models import GroupSize
from otaserver.fleet.models import Group, Vehicle
from otaserver.fleet.operations import Size, group_sizes
from tests.campaigns.campaign_factories import at
from tests.campaigns.test_tick_cost import statements
from tests.factories import NOON, make_group, make_tenant, make_vehicle

pytestmark = pytest.mark.django_db


@pytest.fixture
def groups():
    """One by hand, one by a filter, and one whose filter nobody can answer."""
    tenant = make_tenant()
    by_hand = make_group(tenant, make_vehicle(tenant, vehicle_id="A-1"), make_vehicle(tenant, vehicle_id="B-2"))
    filters = {"some": 'vehicle_id startswith "a"', "broken": 'attribute.gone = "x"'}
    made = [
        Group.objects.create(tenant=tenant, name=name, kind="dynamic", filter=text, created_at=NOON)
        for name, text in filters.items()
    ]
    return [by_hand, *made]


def count_all(moment):
    return [operations.count_group(row.pk, at=moment) for row in list(operations.sizes_due(moment))]


def sizes(groups, moment):
    found = operations.ask_sizes(groups, at=moment)
    return [found[group.pk].vehicles if group.pk in found else "unknown" for group in groups]


def test_who_asks_is_answered_once_a_worker_has_counted(groups):
    assert (sizes(groups, NOON), sizes(groups, NOON)) == (["unknown"] * 3, ["unknown"] * 3)
    assert count_all(at(seconds=1)) == [True] * 3

    assert operations.ask_sizes(groups, at=at(seconds=2))[groups[0].pk] == Size(2, at(seconds=1))
    assert sizes(groups, at(seconds=2)) == [2, 1, None]
    assert count_all(at(seconds=2)) == []


def test_many_groups_are_asked_for_in_three_statements_and_none_looks_at_a_vehicle(groups):
    with statements() as first:
        operations.ask_sizes(groups, at=NOON)
    with statements() as second:
        operations.ask_sizes(groups, at=NOON)

    asked = [sql for sql in (*first, *second) if not sql.startswith(("SAVEPOINT", "RELEASE"))]
    assert len(asked) == 4
    assert [sql for sql in asked if "fleet_vehicle" in sql] == []


def test_an_old_number_is_shown_until_there_is_another_and_one_of_another_filter_is_not(groups):
    operations.ask_sizes(groups, at=NOON)
    count_all(NOON)
    Vehicle.objects.filter(vehicle_id="B-2").update(vehicle_id="A-2")
    Group.objects.filter(pk=groups[2].pk).update(filter='vehicle_id endswith "2"')
    groups[2].refresh_from_db()

    assert sizes(groups, at(minutes=5)) == [2, 1, "unknown"]
    assert count_all(at(minutes=5)) == [True] * 3
    assert sizes(groups, at(minutes=5)) == [2, 2, 1]


def test_what_nobody_asks_for_is_not_counted_and_of_two_workers_one_counts(groups):
    operations.ask_sizes(groups, at=NOON)

    assert count_all(NOON + group_sizes.WANTED_FOR) == []
    GroupSize.objects.update(begun_at=NOON)
    assert count_all(at(minutes=1)) == []
    operations.ask_sizes(groups, at=at(minutes=5))
    assert count_all(at(minutes=5)) == [True] * 3


def test_the_tick_hands_on_what_is_due(groups, monkeypatch):
    operations.ask_sizes(groups, at=NOON)
    handed = []
    monkeypatch.setattr(tasks.count_group, "apply_async", lambda kwargs, expires: handed.append(kwargs))

    with clock.using(lambda: at(seconds=1)):
        tasks.count_groups()
        for each in handed[:1]:
            tasks.count_group(**each)

    assert sorted(each["group_id"] for each in handed) == sorted(group.pk for group in groups)
    assert GroupSize.objects.filter(counted_at=at(seconds=1)).count() == 1
