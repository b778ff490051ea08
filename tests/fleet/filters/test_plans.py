"""Filters are answered from indexes: what the database says it would do."""

import pytest
from django.db import connection

from otaserver.fleet import operations, queries
from tests.factories import NOON, make_group, make_tenant


@pytest.mark.django_db
@pytest.mark.parametrize(
    "text",
    [
        'vehicle_id = "A"',
        'vehicle_id startswith "A"',
        'last_contact > "2026-01-01"',
        "blocked = True",
        'attribute.region = "EU"',
        'attribute.region != "EU"',
        'attribute.region in ("EU", "US")',
        'attribute.region ~ "U"',
        "attribute.region = None",
        "attribute.mileage > 10",
        'attribute.mileage > 10 and attribute.region = "EU"',
        'ecu.serial = "A-1"',
        'ecu.hardware_id = "engine"',
        'ecu.installed != "s/engine-1.0"',
        'ecu(hardware_id = "engine" and installed = "s/engine-1.0")',
        'not ecu(hardware_id ~ "eng")',
        'group = "pilot"',
    ],
)
def test_no_filter_scans_a_whole_table(text):
    if connection.vendor != "sqlite":
        return  # PostgreSQL scans small tables whatever their indexes are.
    tenant = make_tenant()
    operations.declare_attribute(tenant, name="region", type="text", by="alice", at=NOON)
    operations.declare_attribute(tenant, name="mileage", type="number", by="alice", at=NOON)
    make_group(tenant, name="pilot")

    plan = queries.vehicles_matching(tenant, text).explain().splitlines()

    steps = [line.split(" ", 3)[3] for line in plan]
    assert [step for step in steps if step.startswith("SCAN")] == []
    searches = [step for step in steps if step.startswith("SEARCH")]
    assert searches[0].startswith("SEARCH fleet_vehicle USING INDEX")
    assert "tenant_id=?" in searches[0]
    # The rows of one vehicle at a time, each found through an index; or those of ids that begin so, all at once.
    assert all("vehicle_id=?" in step or "forwards>? AND forwards<?" in step for step in searches[1:])
    assert all("INDEX" in step for step in searches)
    conditions = text.count("attribute.") + text.count("ecu") + text.count("group") + text.count("startswith")
    assert len(searches) == 1 + conditions


@pytest.mark.django_db
def test_each_part_of_an_or_is_answered_from_indexes_of_its_own():
    if connection.vendor != "sqlite":
        return
    tenant = make_tenant()
    operations.declare_attribute(tenant, name="region", type="text", by="alice", at=NOON)
    text = 'vehicle_id = "A" or attribute.region = "EU" or not ecu.hardware_id = "engine"'

    plan = queries.vehicles_matching(tenant, text).explain().splitlines()

    steps = [line.split(" ", 3)[3] for line in plan]
    assert [step for step in steps if step.startswith("SCAN fleet")] == []
    searches = [step for step in steps if step.startswith("SEARCH")]
    assert [step for step in searches if "INDEX" not in step and "PRIMARY KEY" not in step] == []
