"""Four eyes and changes of a plan, as requests."""

import pytest

from otaserver.audit.models import Entry
from otaserver.campaigns import operations
from otaserver.campaigns.models import Campaign
from otaserver.campaigns.records import Approval
from otaserver.tenants.models import Tenant
from tests.campaigns.campaign_factories import at, make_campaign, make_running
from tests.factories import NOON, make_group


@pytest.fixture
def campaign(tenant):
    Tenant.objects.update(required_approvals=1)
    return make_campaign(vehicles=1, tenant=tenant)


def submitted(campaign):
    operations.submit_campaign(campaign, by="alice", at=NOON)
    return campaign


def change(caller, campaign, body, revision):
    return caller("PATCH", f"/campaigns/{campaign.pk}", body, **{"If-Match": f'"{revision}"'})


def test_a_campaign_says_who_has_approved_it_and_who_is_missing(caller, campaign):
    Tenant.objects.update(required_approvals=2)
    submitted(campaign)

    before = caller.get(f"/campaigns/{campaign.pk}").json()["approvals"]
    shown = caller.post(f"/campaigns/{campaign.pk}/approve").json()

    assert before == {"needed": 2, "missing": 2, "authors": ["alice"], "given": []}
    assert shown["state"] == "in_review"
    assert shown["approvals"] == {
        "needed": 2,
        "missing": 1,
        "authors": ["alice"],
        "given": [{"by": "token:a administrator", "at": "2026-06-01T12:00:00Z"}],
    }


def test_not_even_an_administrator_approves_what_they_have_drafted(caller, campaign):
    Campaign.objects.update(created_by="token:a administrator")
    submitted(campaign)

    response = caller.post(f"/campaigns/{campaign.pk}/approve")

    assert (response.status_code, response.json()["code"]) == (403, "campaign.own_approval")
    assert response.json()["authors"] == ["alice", "token:a administrator"]
    assert (Campaign.objects.get().state, Approval.objects.count()) == ("in_review", 0)


def test_an_approval_is_for_the_revision_that_was_read(caller, campaign):
    submitted(campaign)

    response = caller.post(f"/campaigns/{campaign.pk}/approve", {"revision": 1})

    assert (response.status_code, response.json()["code"], response.json()["revision"]) == (409, "campaign.moved", 2)
    assert caller.post(f"/campaigns/{campaign.pk}/approve", {"revision": 2}).json()["state"] == "approved"


@pytest.mark.parametrize(
    ("role", "needs_approval", "expected"),
    [
        ("campaign_manager", False, 200),
        ("campaign_manager", True, 403),
        ("approver", True, 200),
        ("approver", False, 200),
        ("viewer", False, 403),
        ("fleet_manager", False, 403),
    ],
)
def test_a_campaign_manager_approves_a_roll_back_that_needs_nobody_else(
    tenant, as_role, role, needs_approval, expected
):
    Tenant.objects.update(required_approvals=1, rollbacks_need_approval=needs_approval)
    first = make_running(vehicles=1, tenant=tenant)
    operations.stop_campaign(first, by="alice", at=at(hours=1), reason="Bad.")
    back = operations.create_rollback(first, release=first.fallback_release, name="back", by="alice", at=at(hours=1))
    Campaign.objects.filter(pk=back.pk).update(state="in_review")

    response = as_role(role).post(f"/campaigns/{back.pk}/approve")

    assert response.status_code == expected
    assert response.json().get("code") == (None if expected == 200 else "permission.missing")
    assert Campaign.objects.get(pk=back.pk).state == ("approved" if expected == 200 else "in_review")


def test_a_campaign_manager_approves_no_rollout(as_role, campaign):
    submitted(campaign)

    assert as_role("campaign_manager").post(f"/campaigns/{campaign.pk}/approve").status_code == 403
    assert Campaign.objects.get().state == "in_review"


def test_fewer_approvals_need_a_reason_and_are_recorded_with_what_was_before(tenant, caller):
    Tenant.objects.update(required_approvals=2)

    response = caller("PATCH", "/tenant", {"required_approvals": 1})

    assert (response.status_code, response.json()["code"]) == (422, "tenant.reason_missing")
    assert (Tenant.objects.get().required_approvals, Entry.objects.count()) == (2, 0)
    changed = caller("PATCH", "/tenant", {"required_approvals": 1, "reason": "Bob has left."}).json()
    assert changed["required_approvals"] == 1
    assert Entry.objects.get().details == {
        "required_approvals": 1,
        "before": {"required_approvals": 2},
        "reason": "Bob has left.",
    }


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"required_approvals": 3}, 200),
        ({"rollbacks_need_approval": True}, 422),
        ({"rollbacks_need_approval": False}, 422),
        ({"required_approvals": 3, "rollbacks_need_approval": False}, 422),
        ({"required_approvals": 11}, 422),
        ({"required_approvals": -1}, 422),
    ],
)
def test_only_lowering_needs_a_reason(tenant, caller, body, status):
    Tenant.objects.update(required_approvals=2, rollbacks_need_approval=True)
    if body == {"rollbacks_need_approval": True}:
        status = 200

    assert caller("PATCH", "/tenant", body).status_code == status


def test_a_draft_is_changed_from_the_revision_that_is_its_etag(caller, campaign):
    read = caller.get(f"/campaigns/{campaign.pk}")
    group = make_group(campaign.tenant)

    changed = change(
        caller,
        campaign,
        {"group": group.pk, "waves": [{"percent": 5}, {"percent": 100, "max_failed": 2}], "max_in_flight": 9},
        read.json()["revision"],
    )

    assert read["ETag"] == '"1"'
    assert (changed.status_code, changed["ETag"], changed.json()["revision"]) == (200, '"2"', 2)
    assert changed.json()["group"]["id"] == group.pk
    assert [(wave["percent"], wave["max_failed"]) for wave in changed.json()["waves"]] == [("5.000", 0), ("100.000", 2)]
    assert changed.json()["max_in_flight"] == 9
    assert changed.json()["approvals"]["authors"] == ["alice", "token:a administrator"]


def test_a_change_names_the_revision_that_it_starts_from(caller, campaign):
    missing = caller("PATCH", f"/campaigns/{campaign.pk}", {"max_in_flight": 9})
    stale = change(caller, campaign, {"max_in_flight": 9}, 7)

    assert (missing.status_code, missing.json()["code"]) == (428, "precondition.required")
    assert (stale.status_code, stale.json()["code"], stale.json()["revision"]) == (412, "precondition.failed", 1)
    assert Campaign.objects.get().max_in_flight is None


@pytest.mark.parametrize(
    "body",
    [{"max_inflight": 5}, {"state": "running"}, {"group": None}],
)
def test_a_field_that_there_is_not_is_named(caller, campaign, body):
    before = list(Campaign.objects.values())

    response = change(caller, campaign, body, 1)

    assert (response.status_code, response.json()["code"]) == (422, "request.fields_invalid")
    assert any(next(iter(body)) in field for field in response.json()["fields"])
    assert list(Campaign.objects.values()) == before


@pytest.mark.parametrize("wave", [{}, {"max_failed": 1}])
def test_a_wave_that_says_no_size_is_refused(caller, campaign, wave):
    before = list(Campaign.objects.values())

    response = change(caller, campaign, {"waves": [wave]}, 1)

    assert (response.status_code, response.json()["code"]) == (422, "campaign.plan_refused")
    assert list(Campaign.objects.values()) == before


def test_a_live_change_is_refused_with_field_value_and_rule_or_taken_with_a_reason(tenant, caller):
    campaign = make_running(vehicles=1, tenant=tenant)

    refused = change(caller, campaign, {"alpha": 0.2, "reason": "Because."}, campaign.revision)
    silent = change(caller, campaign, {"max_in_flight": 2}, campaign.revision)
    taken = change(caller, campaign, {"max_in_flight": 2, "reason": "Slower."}, campaign.revision)

    assert (refused.status_code, refused.json()["code"]) == (422, "campaign.change_refused")
    assert {name: refused.json()[name] for name in ("field", "value", "rule")} == {
        "field": "alpha",
        "value": 0.2,
        "rule": "alpha stays as it was approved",
    }
    assert (silent.status_code, silent.json()["code"]) == (422, "campaign.reason_missing")
    assert (taken.status_code, taken.json()["max_in_flight"]) == (200, 2)


def test_a_group_of_another_tenant_is_not_found(caller, stranger, campaign):
    foreign = make_group(stranger.tenant)

    response = change(caller, campaign, {"group": foreign.pk}, 1)

    assert response.status_code == 404
    assert Campaign.objects.get().group == campaign.group
