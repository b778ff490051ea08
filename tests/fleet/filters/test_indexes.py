"""Every form of condition is answered from an index: nothing reads a large fleet from end to end."""

import json

import pytest
from django.db import connection

from otaserver.fleet import queries
from tests.factories import make_tenant
from tests.fleet.filters.large_fleet import FORMS, make_large_fleet

pytestmark = [pytest.mark.django_db, pytest.mark.postgresql]

VEHICLES = 30_000


def plan_of(rows):
    sql, parameters = rows.query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}", parameters)
        (found,) = cursor.fetchone()
    return (json.loads(found) if isinstance(found, str) else found)[0]["Plan"]


def nodes(plan):
    yield plan
    for part in plan.get("Plans", ()):
        yield from nodes(part)


def scanned(plan):
    return sorted({node["Relation Name"] for node in nodes(plan) if node["Node Type"] == "Seq Scan"})


def test_no_form_of_filter_reads_a_large_table_from_end_to_end():
    tenant = make_tenant()
    make_large_fleet(tenant, VEHICLES)

    found = {}
    for form, text in FORMS.items():
        matching = queries.vehicles_matching(tenant, text).order_by().values_list("vehicle_id", flat=True)
        found[form] = scanned(plan_of(matching[: queries.PREVIEW_CAP + 1]))
        assert 0 < queries.preview(tenant, text).count <= VEHICLES / 100, form

    assert found == {form: [] for form in FORMS}
