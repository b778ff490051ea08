"""A group that people read, or approved, a campaign for keeps its filter."""

from decimal import Decimal

import pytest

from otaserver.audit.models import Entry
from otaserver.campaigns import operations
from otaserver.campaigns.models import Campaign
from otaserver.campaigns.operations import CampaignPlan, WavePlan
from otaserver.fleet import operations as fleet
from otaserver.fleet.errors import GroupInUseError
from otaserver.fleet.models import Group
from tests.campaigns.campaign_factories import make_fleet, make_versions, undone
from tests.factories import NOON, make_tenant

pytestmark = pytest.mark.django_db
ONE, ALL = 'vehicle_id = "CAR1"', 'vehicle_id startswith "C"'


def make_draft(**plan):
    """A draft for a dynamic group of all cars; its first wave is for another one."""
    tenant = make_tenant()
    old, new = make_versions(tenant), make_versions(tenant, "2.0")
    make_fleet(tenant, 2, old)
    everyone, first = (
        fleet.create_group(tenant, name=name, filter='vehicle_id != "CAR1"', by="test", at=NOON)
        for name in ("everyone", "first")
    )
    waves = [WavePlan(group=first), WavePlan(percent=Decimal(100))]
    made = CampaignPlan("spring", new, everyone, waves, fallback_release=old, **plan)
    return operations.create_campaign(tenant, made, by="alice", at=NOON)


def change(group, filter=ALL, name=None):
    operations.change_group(Group.objects.get(name=group), name=name, filter=filter, by="fiona", at=NOON)


def is_refused(name):
    before = list(Group.objects.values()), Entry.objects.count()
    try:
        change(name)
    except GroupInUseError as error:
        assert error.details["campaigns"] == ["spring"]
        assert (list(Group.objects.values()), Entry.objects.count()) == before
        return True
    return False


STEPS = {
    "in_review": lambda campaign: operations.submit_campaign(campaign, by="alice", at=NOON),
    "approved": lambda campaign: operations.approve_campaign(campaign, by="bob", at=NOON),
    "scheduled": lambda campaign: operations.schedule_campaign(campaign, starts_at=NOON, by="alice", at=NOON),
    "running": lambda campaign: operations.start_campaign(campaign, by="alice", at=NOON),
}


@pytest.mark.parametrize("is_dynamic", [False, True])
def test_its_filter_stays_from_the_review_to_the_start_and_while_vehicles_are_taken_in_by_it(is_dynamic):
    campaign = make_draft(is_dynamic=is_dynamic)
    found = {}
    for state, step in {"draft": lambda _: None, **STEPS}.items():
        step(campaign)
        for name in ("everyone", "first"):
            with undone():
                found[state, name] = is_refused(name)

    waits = {(state, name): True for state in ("in_review", "approved", "scheduled") for name in ("everyone", "first")}
    free = {("draft", "everyone"): False, ("draft", "first"): False, ("running", "first"): False}
    assert found == waits | free | {("running", "everyone"): is_dynamic}


def test_a_dynamic_campaign_that_is_closed_lets_its_group_go():
    campaign = make_draft(is_dynamic=True)
    for step in STEPS.values():
        step(campaign)
    operations.close_campaign(campaign, by="alice", at=NOON, reason="Enough.")

    assert not is_refused("everyone")


def test_a_name_and_the_same_filter_are_no_change_of_who_is_in_it():
    campaign = make_draft()
    STEPS["in_review"](campaign)

    change("everyone", filter='vehicle_id != "CAR1"', name="all")

    assert Campaign.objects.get().group.name == "all"
