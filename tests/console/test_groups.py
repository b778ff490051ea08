"""The list of groups: how many vehicles each has, and the way to them."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from otaserver import clock
from otaserver.console.pages import groups
from otaserver.fleet import operations
from otaserver.fleet.models import Group, Vehicle
from otaserver.tenants.states import Role
from tests.console.conftest import make_member, signed_in
from tests.factories import NOON, make_group, make_tenant, make_vehicle

pytestmark = pytest.mark.any_database
LIVE = {"X-Requested-With": "fragment"}


@pytest.fixture
def reader(tenant):
    return signed_in(make_member(tenant, Role.VIEWER))


def make_filtered(tenant, name="red", text='vehicle_id startswith "RED"'):
    return Group.objects.create(tenant=tenant, name=name, kind="dynamic", filter=text, created_at=NOON)


def count_all():
    for row in list(operations.sizes_due(clock.now())):
        operations.count_group(row.pk, at=clock.now())


def listed(client, group):
    answer = client.get("/console/fleet/vehicle/", {"group": group})
    return [row.vehicle_id for row in answer.context["cl"].result_list]


def test_each_group_shows_how_many_vehicles_it_has_as_soon_as_they_are_counted(tenant, reader):
    make_group(tenant, make_vehicle(tenant), make_vehicle(tenant), name="pilots")
    make_filtered(tenant)

    before = reader.get("/console/groups/")
    asked = {**LIVE, "If-None-Match": before["ETag"]}
    same = reader.get("/console/groups/", headers=asked)
    count_all()
    live = reader.get("/console/groups/", headers=asked)
    after = reader.get("/console/groups/")

    assert ("data-live" in before.content.decode(), before.content.decode().count("being counted")) == (True, 2)
    assert (same.status_code, live.status_code, "<html" in live.content.decode()) == (304, 200, False)
    assert [(group.name, size.vehicles) for group, size in after.context["groups"]] == [("pilots", 2), ("red", 0)]
    assert "data-live" not in after.content.decode()


def test_where_groups_are_left_out_the_list_says_so(tenant, reader, monkeypatch):
    for name in ("red", "blue"):
        make_filtered(tenant, name=name)

    for shown, names, is_told in ((2, ["blue", "red"], False), (1, ["blue"], True)):
        monkeypatch.setattr(groups, "MAX_SHOWN", shown)
        page = reader.get("/console/groups/")
        assert [group.name for group, _ in page.context["groups"]] == names
        assert (f"These are the first {shown} by name;" in page.content.decode()) is is_told


def test_the_list_takes_as_many_queries_for_four_groups_as_for_one(tenant, reader):
    def queries():
        with CaptureQueriesContext(connection) as captured:
            assert reader.get("/console/groups/").status_code == 200
        return len(captured)

    make_filtered(tenant)
    queries()
    count_all()
    with_one = queries()
    for name in ("a", "b", "c"):
        make_filtered(tenant, name)
    queries()
    count_all()

    assert queries() == with_one


def test_a_number_leads_to_the_vehicles_behind_it(tenant, reader):
    cars = [make_vehicle(tenant, vehicle_id=each) for each in ("RED-1", "RED-2", "BLUE-1")]
    by_hand, filtered = make_group(tenant, cars[2], name="pilots"), make_filtered(tenant)

    page = reader.get("/console/groups/").content.decode()

    assert f"/console/fleet/vehicle/?group={by_hand.pk}" in page
    assert (listed(reader, by_hand.pk), listed(reader, filtered.pk)) == (["BLUE-1"], ["RED-1", "RED-2"])


def test_a_group_of_another_tenant_or_of_nobody_or_that_cannot_be_answered_has_no_vehicles(tenant, reader):
    make_vehicle(tenant)
    south = make_tenant("south")
    theirs = make_group(south, make_vehicle(south))
    broken = make_filtered(tenant, "broken", 'attribute.gone = "x"')

    assert [listed(reader, each) for each in (theirs.pk, 10**30, "x", broken.pk)] == [[]] * 4
    assert Vehicle.objects.count() == 2


def test_the_title_of_a_list_begins_with_a_capital_letter(tenant, reader):
    answer = reader.get("/console/fleet/vehicle/")

    assert answer.context["title"] == "Vehicles"
    assert ">Vehicles</a>" in answer.content.decode()
