"""A query that is made into SQL once gives what Django gives each time."""

from functools import partial
from uuid import uuid4

import pytest
from django.db import connection
from django.db.models import Count
from django.test.utils import CaptureQueriesContext

from otaserver.campaigns.models import Attempt
from otaserver.fleet.models import Vehicle
from otaserver.prepared import Prepared
from tests.campaigns.campaign_factories import attempt_of, in_turn, make_running
from tests.factories import NOON, make_vehicle

pytestmark = pytest.mark.django_db


def attempts(vehicle, **conditions):
    rows = Attempt.objects.filter(vehicle=vehicle, **conditions).annotate(reported=Count("reports"))
    return rows.select_related("assignment__campaign", "vehicle__tenant", "stone").order_by("pk")


def facts(rows):
    """All that was read of rows, and of those that came with them."""
    found = []
    for row in rows:
        parts = [row, row.assignment, row.assignment.campaign, row.vehicle, row.vehicle.tenant]
        found.append([vars(part) | {"_state": None} for part in parts] + [row.stone, row.reported])
    return found


def test_rows_are_those_of_the_query_itself():
    first, second = (in_turn(make_running(vehicles=1, name=name))[0] for name in ("a", "b"))
    by_number = Prepared(attempts, numbers=("vehicle", "number"))
    by_id = Prepared(lambda vehicle, attempt: attempts(vehicle, pk=attempt), numbers=("vehicle",), ids=("attempt",))
    for each in (first, second):
        attempt = attempt_of(each)
        expected = facts(attempts(each.vehicle_id))

        assert len(expected) == 1
        assert facts(by_number.rows(vehicle=each.vehicle_id, number=attempt.number)) == expected
        assert facts(by_id.rows(vehicle=each.vehicle_id, attempt=attempt.pk)) == expected
    assert by_number.rows(vehicle=first.vehicle_id, number=99) == []
    assert by_id.rows(vehicle=first.vehicle_id, attempt=uuid4()) == []
    assert by_id.rows(vehicle=second.vehicle_id, attempt=attempt_of(first).pk) == []


def test_what_came_with_a_row_is_not_read_again():
    assignment = in_turn(make_running(vehicles=1))[0]
    prepared = Prepared(partial(attempts, closed_at=None), numbers=("vehicle",))
    with CaptureQueriesContext(connection) as captured:
        (found,) = prepared.rows(vehicle=assignment.vehicle_id)
        assert found.vehicle.tenant.name and found.assignment.campaign.name

    assert len(captured) == 1


def test_several_rows_come_in_their_order():
    tenant = make_vehicle().tenant
    for _ in range(2):
        make_vehicle(tenant)
    prepared = Prepared(lambda tenant: Vehicle.objects.filter(tenant=tenant).order_by("-pk"), numbers=("tenant",))

    assert prepared.rows(tenant=tenant.pk) == list(Vehicle.objects.filter(tenant=tenant).order_by("-pk"))


def test_columns_come_as_the_database_has_them():
    vehicle = make_vehicle(last_contact_at=NOON)
    rows = Prepared(
        lambda vehicle: Vehicle.objects.filter(pk=vehicle).values_list("pk", "vehicle_id"), numbers=("vehicle",)
    )

    assert rows.stored(vehicle=vehicle.pk) == [(vehicle.pk, vehicle.vehicle_id)]
    assert rows.stored(vehicle=vehicle.pk + 1) == []


def test_a_query_that_does_not_look_at_its_value_is_refused():
    with pytest.raises(ValueError, match="vehicle"):
        Prepared(lambda vehicle: Vehicle.objects.all(), numbers=("vehicle",)).rows(vehicle=1)


def test_many_threads_may_ask_at_once(at_once):
    vehicles = [make_vehicle() for _ in range(4)]
    prepared = Prepared(lambda vehicle: Vehicle.objects.filter(pk=vehicle), numbers=("vehicle",))

    found = at_once(*[partial(prepared.rows, vehicle=vehicle.pk) for vehicle in vehicles])

    assert found == [[vehicle] for vehicle in vehicles]
