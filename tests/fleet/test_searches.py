"""Vehicles are found by how their ids begin or end, from an index however many there are."""

import re
from contextlib import contextmanager

import pytest
from django.db import connection

from otaserver.fleet import naming, queries
from otaserver.fleet.models import Ecu, Vehicle
from otaserver.fleet.naming_models import Spelling
from tests.factories import NOON, make_tenant, make_vehicle

pytestmark = pytest.mark.django_db
LONG = "X" * 40 + "-1234567890-abcdef-4711"


@pytest.fixture
def tenant():
    return make_tenant()


@pytest.fixture
def large(monkeypatch):
    """A fleet of one is large."""
    monkeypatch.setattr(queries, "SEARCHED_THROUGH", 1)


@pytest.fixture
def others(tenant):
    """So many other vehicles that the plan does not depend on what the tests before left in the tables."""
    ids = [f"x-{n}2" for n in range(300)]
    Ecu.objects.bulk_create(Ecu(vehicle=each, serial=f"t-{each.vehicle_id}") for each in add(tenant, *ids))
    # SQLite's plans follow no statistics, as nobody makes any.
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            for model in (Vehicle, Ecu, Spelling):
                cursor.execute(f"ANALYZE {model._meta.db_table}")
    return ids


def add(tenant, *ids):
    rows = [Vehicle(tenant=tenant, vehicle_id=each, created_at=NOON) for each in ids]
    return Vehicle.objects.bulk_create(rows)


def called(text, *tenants):
    return sorted(queries.vehicles_called(tenants, text).values_list("vehicle_id", flat=True))


@contextmanager
def plans():
    """How the database would answer what is asked inside, if it had reason to use an index."""
    found = []

    def explain(execute, sql, params, many, context):
        if sql.startswith("SELECT"):
            prefix = "EXPLAIN QUERY PLAN" if connection.vendor == "sqlite" else "EXPLAIN (COSTS OFF)"
            execute(f"{prefix} {sql}", params, many, context)
            found.append([str(row[-1]) for row in context["cursor"].fetchall()])
        return execute(sql, params, many, context)

    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL enable_seqscan = off")
    with connection.execute_wrapper(explain):
        yield found


def walks(plan):
    """The steps of a plan that go through a table or an index without knowing where to begin."""
    tables = {model._meta.db_table for model in (Vehicle, Ecu, Spelling)}
    if connection.vendor == "sqlite":
        # All of a tenant is as good as all.
        of_tenant = re.compile(r"SEARCH \w+ USING .*INDEX \w+ \(tenant_id=\?\)$")
        return [step for step in plan if step.startswith("SCAN fleet") or of_tenant.match(step)]
    return [step for step in plan if "Seq Scan" in step and any(table in step for table in tables)]


def ranges(plan, index):
    """The steps that look up a part of the index."""
    if connection.vendor == "sqlite":
        return [step for step in plan if index in step and ">?" in step and "<?" in step]
    return [step for n, step in enumerate(plan) if index in step and ">=" in " ".join(plan[n : n + 3])]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("WVWZZZ1KZAW004711", ["WVWZZZ1KZAW004711"]),
        ("wvwzzz", ["WVWZZZ1KZAW004711", "WVWZZZ1KZAW004712"]),
        ("4711", ["WVWZZZ1KZAW004711", LONG, "truck-4711"]),
        ("RUCK-4711", ["truck-4711"]),
        ("truck", ["truck-4711"]),
        ("wvw 4712", ["WVWZZZ1KZAW004712"]),
        (LONG[-30:], [LONG]),
        ("Y" + LONG[-30:], []),
        ("1KZ", []),
        ("é", []),
    ],
)
def test_a_large_fleets_vehicles_are_found_by_their_beginnings_and_ends(large, tenant, text, found):
    add(tenant, "WVWZZZ1KZAW004711", "WVWZZZ1KZAW004712", "truck-4711", LONG)
    add(make_tenant("south"), "WVWZZZ1KZAW994711")

    assert called(text, tenant) == found


def test_in_a_small_fleet_a_word_is_looked_for_anywhere_where_no_id_begins_or_ends_with_it(tenant):
    add(tenant, "WVW-1KZ-1", "1KZ-2")

    assert called("1kz", tenant) == ["1KZ-2"]
    assert called("KZ-", tenant) == ["1KZ-2", "WVW-1KZ-1"]
    assert called("wvw kz", tenant) == ["WVW-1KZ-1"]


def test_the_spelling_follows_whatever_becomes_of_a_vehicle(tenant):
    (vehicle,) = add(tenant, "old-1")
    south = make_tenant("south")

    Vehicle.objects.filter(pk=vehicle.pk).update(vehicle_id="new-22", tenant=south)

    assert Spelling.objects.values_list("vehicle", "tenant", "forwards", "backwards").get() == (
        *(vehicle.pk, south.pk),
        *("NEW-22", "22-WEN"),
    )
    vehicle.delete()
    assert not Spelling.objects.exists()


def test_of_a_long_id_the_end_is_kept(tenant):
    add(tenant, LONG)

    assert Spelling.objects.get().backwards == LONG.upper()[::-1][: naming.TAIL]


def test_a_large_fleets_ecus_are_found_by_the_beginnings_of_their_serials(large, tenant):
    first, second = make_vehicle(tenant), make_vehicle(tenant)
    for vehicle, serial in ((first, "ab-1"), (second, "AB-2")):
        vehicle.ecus.update(serial=serial)

    def serials(text):
        return sorted(queries.ecus_called([tenant], text).values_list("serial", flat=True))

    assert (serials("ab"), serials("Ab-"), serials("b-1")) == (["AB-2", "ab-1"], ["AB-2", "ab-1"], [])
    assert serials("AB-2") == ["AB-2"]


@pytest.mark.parametrize("filter", ['vehicle_id startswith "W"', 'vehicle_id endswith "11"'])
def test_a_filter_asks_for_the_beginning_and_the_end_of_an_id_by_the_same_indexes(tenant, others, filter):
    add(tenant, "w-11")
    index = "spelling_forwards" if "starts" in filter else "spelling_backwards"

    with plans() as found:
        matching = list(queries.vehicles_matching(tenant, filter).values_list("vehicle_id", flat=True))

    assert matching == ["w-11"]
    assert [bool(ranges(plan, index)) for plan in found] == [True]
    negated = queries.vehicles_matching(tenant, filter.replace("starts", "not starts").replace("ends", "not ends"))
    assert sorted(negated.values_list("vehicle_id", flat=True)) == sorted(others)


def test_no_search_goes_through_all_vehicles_or_ecus_of_a_large_fleet(large, tenant, others):
    add(tenant, "w-11", "11-w")

    with plans() as found:
        first, second = queries.spellings_called([tenant], "w")
        assert [rows.values_list("forwards", flat=True)[:11].get() for rows in (first, second)] == ["W-11", "11-W"]
        assert called("w", tenant) == ["11-w", "w-11"]
        list(queries.ecus_called([tenant], "s").order_by("serial", "vehicle").values_list("pk", flat=True)[:11])

    assert len(found) == 9
    # One counts vehicles, but not beyond a limit.
    assert [step for plan in found if not any("ROUTINE" in step for step in plan) for step in walks(plan)] == []
    assert any(ranges(plan, "spelling_forwards") for plan in found)
    assert any(ranges(plan, "spelling_backwards") for plan in found)
    assert ranges(found[-1], "ecu_serial")
