"""Four eyes: who may approve, what an approval is for, and that no role gets around it."""

from dataclasses import replace

import pytest

from otaserver.audit.models import Entry
from otaserver.campaigns import operations, queries
from otaserver.campaigns.errors import (
    AlreadyApprovedError,
    CampaignGrownError,
    CampaignMovedError,
    OwnApprovalError,
)
from otaserver.campaigns.models import Assignment, Campaign, Decision
from otaserver.campaigns.records import Approval
from otaserver.errors import OtaError
from otaserver.fleet import operations as groups
from otaserver.statemachine import InvalidTransitionError
from otaserver.tenants.models import Tenant
from tests.campaigns.campaign_factories import (
    at,
    in_turn,
    make_campaign,
    make_fleet,
    make_running,
    make_versions,
    succeed,
    tick,
)
from tests.factories import NOON, make_tenant


def make_in_review(required=1, **plan):
    campaign = make_campaign(vehicles=1, tenant=make_tenant(required_approvals=required), **plan)
    operations.submit_campaign(campaign, by="alice", at=NOON)
    return campaign


def approve(campaign, by, **more):
    operations.approve_campaign(campaign, by=by, at=NOON, **more)


def edit(campaign, by, **changes):
    plan = replace(operations.plan_of(campaign), **changes)
    operations.change_campaign(campaign, plan, revision=campaign.revision, by=by, at=NOON)


@pytest.mark.django_db
def test_the_author_cannot_approve_alone():
    campaign = make_in_review()

    with pytest.raises(OwnApprovalError, match="alice has drafted") as refused:
        approve(campaign, "alice")

    assert (refused.value.status, refused.value.code) == (403, "campaign.own_approval")
    assert refused.value.details == {"authors": ["alice"], "required_approvals": 1}
    campaign.refresh_from_db()
    assert campaign.state == "in_review"
    assert not Approval.objects.exists()
    assert not Decision.objects.filter(kind__startswith="campaign.appro").exists()


@pytest.mark.django_db
def test_another_person_approves():
    campaign = make_in_review()

    approve(campaign, "bob")

    assert (campaign.state, campaign.approved_by) == ("approved", "bob")
    assert [approval.by for approval in queries.approval_view(campaign).given] == ["bob"]


@pytest.mark.django_db
def test_where_nobody_else_is_required_the_author_approves_alone():
    campaign = make_in_review(required=0)

    approve(campaign, "alice")

    assert campaign.state == "approved"


@pytest.mark.django_db
def test_whoever_changed_the_draft_is_an_author_too():
    campaign = make_campaign(vehicles=1, tenant=make_tenant(required_approvals=1))
    edit(campaign, "carol", max_in_flight=5)
    operations.submit_campaign(campaign, by="dora", at=NOON)

    for author in ("alice", "carol"):
        with pytest.raises(OwnApprovalError):
            approve(campaign, author)
    approve(campaign, "dora")

    assert campaign.state == "approved"
    assert queries.approval_view(campaign).authors == ["alice", "carol"]


@pytest.mark.django_db
def test_of_two_required_the_first_is_recorded_and_the_second_lets_it_go():
    campaign = make_in_review(required=2)

    approve(campaign, "bob")
    states = [campaign.state]
    missing = queries.approval_view(campaign).missing
    approve(campaign, "carol")

    assert [*states, campaign.state] == ["in_review", "approved"]
    assert missing == 1
    assert [approval.by for approval in queries.approval_view(campaign).given] == ["bob", "carol"]
    kinds = list(Decision.objects.filter(actor__in=["bob", "carol"]).order_by("pk").values_list("kind", "sentence"))
    assert kinds == [
        ("campaign.approval_given", "Approved; 1 more must approve."),
        ("campaign.approved", "Approved."),
    ]


@pytest.mark.django_db
def test_one_person_counts_once():
    campaign = make_in_review(required=2)
    approve(campaign, "bob")
    entries = Entry.objects.count()

    with pytest.raises(AlreadyApprovedError, match="bob has approved spring already; 1 more must"):
        approve(campaign, "bob")

    assert (campaign.state, Approval.objects.count(), Entry.objects.count()) == ("in_review", 1, entries)


@pytest.mark.django_db
def test_approvals_of_a_rejected_draft_do_not_count_for_the_next_round():
    campaign = make_in_review(required=2)
    approve(campaign, "bob")
    operations.reject_campaign(campaign, by="carol", at=NOON, reason="Too fast.")
    assert queries.approval_view(campaign).missing == 2
    edit(campaign, "alice", max_in_flight=5)
    operations.submit_campaign(campaign, by="alice", at=NOON)

    approve(campaign, "carol")
    assert (campaign.state, queries.approval_view(campaign).missing) == ("in_review", 1)
    approve(campaign, "bob")

    assert campaign.state == "approved"
    assert Approval.objects.filter(by="bob").count() == 2


@pytest.mark.django_db
def test_what_is_approved_is_the_revision_that_was_read():
    campaign = make_in_review()
    read = campaign.revision
    operations.reject_campaign(campaign, by="carol", at=NOON, reason="No.")
    operations.submit_campaign(campaign, by="alice", at=NOON)

    with pytest.raises(CampaignMovedError, match=f"has revision {campaign.revision} by now") as refused:
        approve(campaign, "bob", revision=read)

    assert refused.value.details == {"revision": campaign.revision, "state": "in_review"}
    assert not Approval.objects.exists()
    approve(campaign, "bob", revision=campaign.revision)
    assert campaign.state == "approved"


@pytest.mark.django_db
def test_fewer_required_by_now_lets_an_earlier_approver_go_on():
    campaign = make_in_review(required=2)
    approve(campaign, "bob")
    Tenant.objects.update(required_approvals=1)

    approve(campaign, "bob")

    assert campaign.state == "approved"


@pytest.mark.django_db
def test_more_required_by_now_are_waited_for():
    campaign = make_in_review(required=1)
    Tenant.objects.update(required_approvals=2)

    approve(campaign, "bob")

    assert (campaign.state, queries.approval_view(campaign).missing) == ("in_review", 1)


@pytest.mark.django_db
def test_a_change_while_it_runs_takes_no_approval_away():
    campaign = make_running(vehicles=1, tenant=make_tenant(required_approvals=1))
    plan = replace(operations.plan_of(campaign), max_in_flight=1)
    operations.change_campaign(campaign, plan, revision=campaign.revision, by="dora", at=NOON, reason="Slower.")

    view = queries.approval_view(campaign)
    assert ([approval.by for approval in view.given], view.missing, view.authors) == (["bob"], 0, ["alice"])


@pytest.mark.django_db
@pytest.mark.parametrize(("needs_approval", "is_refused"), [(False, False), (True, True)])
def test_a_roll_back_needs_one_person_unless_the_tenant_says_otherwise(needs_approval, is_refused):
    tenant = make_tenant(required_approvals=1, rollbacks_need_approval=needs_approval)
    first = make_running(vehicles=1, tenant=tenant)
    operations.stop_campaign(first, by="alice", at=at(hours=1), reason="Bad.")
    campaign = operations.create_rollback(
        first, release=first.fallback_release, name="back", by="alice", at=at(hours=1)
    )
    view = queries.approval_view(campaign)
    Campaign.objects.filter(pk=campaign.pk).update(state="in_review")
    campaign.refresh_from_db()

    refused = None
    try:
        # Nobody runs the release yet, and one vehicle may install it before it hears of the stop.
        operations.approve_campaign(campaign, by="alice", at=at(hours=1))
    except OtaError as error:
        refused = error.code

    assert view.required == int(needs_approval)
    assert refused == ("campaign.own_approval" if is_refused else None)


@pytest.mark.django_db
def test_a_roll_back_to_what_nobody_approved_for_these_vehicles_needs_as_many_people_as_any_campaign():
    tenant = make_tenant(required_approvals=1)
    first = make_running(vehicles=1, tenant=tenant, old=make_versions(tenant))
    succeed(in_turn(first)[0])
    operations.stop_campaign(first, by="alice", at=at(hours=1), reason="Bad.")
    other = make_versions(tenant, "3.0")
    rollback = operations.create_rollback(first, release=other, name="sneak", by="mallory", at=at(hours=1))
    operations.submit_campaign(rollback, by="mallory", at=at(hours=1))

    with pytest.raises(OwnApprovalError, match="mallory has drafted"):
        operations.approve_campaign(rollback, by="mallory", at=at(hours=1))
    operations.approve_campaign(rollback, by="bob", at=at(hours=1))

    assert (rollback.state, rollback.approved_by) == ("approved", "bob")


@pytest.mark.django_db
def test_the_way_back_of_a_campaign_that_nobody_approved_speaks_for_no_roll_back():
    draft = make_campaign(vehicles=1, tenant=make_tenant(required_approvals=1))
    operations.cancel_campaign(draft, by="alice", at=NOON, reason="Not this one.")

    rollback = operations.create_rollback(draft, release=draft.fallback_release, name="back", by="alice", at=NOON)

    assert queries.approval_view(rollback).required == 1


def grow(campaign, count):
    fleet = make_fleet(campaign.tenant, count, campaign.fallback_release)
    groups.add_to_group(campaign.group, fleet, by="fiona", at=NOON)


@pytest.mark.django_db
def test_a_campaign_that_was_approved_for_one_vehicle_does_not_start_on_many():
    campaign = make_in_review()
    approve(campaign, "bob")
    operations.schedule_campaign(campaign, starts_at=at(hours=1), by="alice", at=NOON)
    grow(campaign, 3)
    sentence = (
        "Of its vehicles 1 fitted at the approval, and 4 do now; only a tenth more may have come. "
        "Reject it, and submit it again."
    )

    with pytest.raises(CampaignGrownError) as refused:
        operations.start_campaign(Campaign.objects.get(), by="alice", at=NOON)
    tick(campaign, at(hours=1))

    assert (refused.value.message, refused.value.details) == (sentence, {"approved": 1, "fitting": 4})
    assert (campaign.state, campaign.reason) == ("approved", sentence)
    assert not Assignment.objects.exists()
    operations.reject_campaign(campaign, by="alice", at=at(hours=1), reason="Three more came.")
    operations.submit_campaign(campaign, by="alice", at=at(hours=1))
    approve(campaign, "bob")
    operations.start_campaign(campaign, by="alice", at=at(hours=1))
    assert (campaign.state, Assignment.objects.count()) == ("running", 4)


@pytest.mark.django_db
def test_of_two_approvers_the_one_who_saw_the_fewest_vehicles_bounds_the_start():
    campaign = make_in_review(required=2)
    approve(campaign, "bob")
    grow(campaign, 1)
    approve(campaign, "carol")

    assert Campaign.objects.get().approved_vehicles == 1


@pytest.mark.django_db
def test_where_nobody_else_must_approve_a_fleet_may_grow_as_it_likes():
    campaign = make_in_review(required=0)
    approve(campaign, "alice")
    grow(campaign, 3)

    operations.start_campaign(campaign, by="alice", at=NOON)

    assert (campaign.state, campaign.approved_vehicles) == ("running", None)


@pytest.mark.django_db
def test_an_approval_of_a_draft_is_refused():
    campaign = make_campaign(vehicles=1)

    with pytest.raises(InvalidTransitionError):
        approve(campaign, "bob")

    assert not Approval.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_of_two_approvers_at_once_both_count_and_it_is_approved_once(at_once):
    campaign = make_in_review(required=2)
    one, two = (Campaign.objects.get(pk=campaign.pk) for _ in range(2))

    results = at_once(lambda: approve(one, "bob"), lambda: approve(two, "carol"))

    campaign.refresh_from_db()
    assert results == [None, None]
    assert campaign.state == "approved"
    assert sorted(Approval.objects.values_list("by", flat=True)) == ["bob", "carol"]
    assert Decision.objects.filter(kind="campaign.approved").count() == 1
    assert Decision.objects.filter(kind="campaign.approval_given").count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_two_approvers_at_once_where_one_is_enough_one_is_told_that_it_has_moved(at_once):
    campaign = make_in_review(required=1)
    one, two = (Campaign.objects.get(pk=campaign.pk) for _ in range(2))

    results = at_once(lambda: approve(one, "bob"), lambda: approve(two, "carol"))

    assert sorted(type(result).__name__ for result in results) == ["CampaignMovedError", "NoneType"]
    assert Decision.objects.filter(kind="campaign.approved").count() == 1
    assert Approval.objects.count() == 1
