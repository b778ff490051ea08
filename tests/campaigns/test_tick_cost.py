"""A tick costs what changed, not the size of the fleet: the same statements, each answered from an index."""

import re
from contextlib import contextmanager

import pytest
from django.db import connection

from otaserver.campaigns.states import CampaignPriority
from tests.campaigns.campaign_factories import (
    SOAK,
    at,
    fail,
    in_turn,
    make_started,
    make_versions,
    states,
    succeed,
    tick,
)
from tests.factories import NOON, make_tenant

pytestmark = pytest.mark.django_db

TABLE = "campaigns_assignment"


@contextmanager
def statements():
    """What is asked of the database inside."""
    found = []

    def keep(execute, sql, params, many, context):
        found.append(sql)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(keep):
        yield found


@contextmanager
def plans():
    """How the database would answer what is asked of assignments inside, in the moment in which each is asked."""
    found = []

    def explain(execute, sql, params, many, context):
        if TABLE in sql and not many and sql.startswith(("SELECT", "UPDATE", "DELETE")):
            prefix = "EXPLAIN QUERY PLAN" if connection.vendor == "sqlite" else "EXPLAIN (COSTS OFF)"
            execute(f"{prefix} {sql}", params, many, context)
            found.append((sql, [str(row[-1]) for row in context["cursor"].fetchall()]))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(explain):
        yield found


def scans(sql, plan):
    """The steps of a plan that go through all assignments there are, be it by way of an index."""
    if connection.vendor == "sqlite":
        names = {TABLE, *re.findall(rf'"{TABLE}" (\w\d+)', sql)}
        return [step for step in plan if step.startswith("SCAN") and step.split()[1] in names]
    return [step for step in plan if f"Seq Scan on {TABLE}" in step]


def shape(sql):
    """A statement, whatever it names and however many."""
    return re.sub(r'"s\d+_x\d+"', "savepoint", re.sub(r"(%s, )+%s", "%s", sql))


def shapes_of_a_tick(vehicles):
    """What a tick asks that reads two outcomes and offers two vehicles more."""
    campaign = make_started(vehicles=vehicles, max_in_flight=2, tenant=make_tenant(f"of-{vehicles}"))
    tick(campaign)
    for assignment in in_turn(campaign, "offered"):
        succeed(assignment)
    with statements() as found:
        tick(campaign, NOON + SOAK)
    assert states(campaign)[:5] == ["succeeded", "succeeded", "offered", "offered", "waiting"]
    return [shape(sql) for sql in found]


def test_a_tick_asks_the_same_whatever_the_size_of_the_fleet():
    assert shapes_of_a_tick(15) == shapes_of_a_tick(5)


def test_no_tick_goes_through_all_assignments():
    tenant = make_tenant()
    old = make_versions(tenant)
    campaign = make_started(vehicles=4, waves=(50, 100), tenant=tenant, old=old, max_in_flight=1, max_failed=3)
    recall = make_started(
        tenant=tenant,
        old=old,
        release=make_versions(tenant, "1.1", role="body"),
        group=campaign.group,
        name="recall",
        priority=CampaignPriority.SAFETY_RECALL,
        max_in_flight=1,
    )

    with plans() as found:
        for each in (recall, campaign):
            tick(each)
        fail(in_turn(recall, "offered")[0])
        succeed(in_turn(campaign, "offered")[0])
        made_by_reports = len(found)
        for each in (recall, campaign):
            tick(each, at(hours=1))
            tick(each, NOON + SOAK)

    assert len(found) > made_by_reports > 50
    assert {sql: read for sql, plan in found if (read := scans(sql, plan))} == {}
