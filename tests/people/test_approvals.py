"""Four eyes are those of people: whoever comes by another way is no second person."""

import pytest

from otaserver import clock
from otaserver.campaigns import operations as campaigns
from otaserver.campaigns.errors import AlreadyApprovedError, OwnApprovalError
from otaserver.campaigns.models import Campaign
from otaserver.campaigns.records import Approval
from otaserver.campaigns.states import CampaignKind
from otaserver.people import operations
from otaserver.tenants.models import Member, Tenant
from otaserver.tenants.states import Role
from tests.campaigns.campaign_factories import make_campaign
from tests.factories import NOON, make_tenant
from tests.operator_api.conftest import Caller
from tests.people.people_factories import grantor, make_member, make_personal_token

pytestmark = [pytest.mark.django_db, pytest.mark.any_database]


@pytest.fixture
def mia():
    return make_member(make_tenant("acme"))


def submitted(tenant, *, by, required=1):
    Tenant.objects.update(required_approvals=required)
    campaign = make_campaign(vehicles=1, tenant=tenant)
    Campaign.objects.update(created_by=by)
    campaign.refresh_from_db()
    campaigns.submit_campaign(campaign, by=by, at=NOON)
    return campaign


def approve(campaign, *, by):
    campaigns.approve_campaign(campaign, by=by, at=NOON)


@pytest.mark.parametrize(
    ("author", "approver"), [("token:ci", "mia"), ("mia", "token:ci"), ("token:ci", "token:night")]
)
def test_nobody_approves_what_their_token_has_drafted_nor_by_their_token_what_they_have(mia, author, approver):
    for name in ("ci", "night"):
        operations.issue_service_token(mia.tenant, name=name, role=Role.ADMINISTRATOR, by=grantor(mia), at=NOON)
    campaign = submitted(mia.tenant, by=author)

    with pytest.raises(OwnApprovalError):
        approve(campaign, by=approver)

    assert not Approval.objects.exists()
    approve(campaign, by="bob")


def test_a_person_approves_once_by_whatever_way(mia):
    operations.issue_service_token(mia.tenant, name="ci", role=Role.APPROVER, by=grantor(mia), at=NOON)
    campaign = submitted(mia.tenant, by="bob", required=2)
    approve(campaign, by="mia")

    with pytest.raises(AlreadyApprovedError):
        approve(campaign, by="token:ci")

    assert Approval.objects.get().by == "mia"


def test_the_author_by_personal_token_is_the_person_in_the_console(mia):
    Tenant.objects.update(required_approvals=1)
    campaign = make_campaign(vehicles=1, tenant=mia.tenant)
    Campaign.objects.update(created_by="someone")
    caller = Caller(mia.tenant, make_personal_token(mia))
    with clock.using(lambda: NOON):
        renamed = caller("PATCH", f"/campaigns/{campaign.pk}", {"name": "other"}, **{"If-Match": '"1"'})
    assert renamed.status_code == 200
    campaign.refresh_from_db()
    campaigns.submit_campaign(campaign, by="someone", at=NOON)

    with pytest.raises(OwnApprovalError):
        approve(campaign, by=mia.user.get_username())
    with clock.using(lambda: NOON):
        refused = caller.post(f"/campaigns/{campaign.pk}/approve")

    assert (refused.status_code, refused.json()["authors"]) == (403, ["alice", "mia", "someone"])


def test_a_token_that_does_not_carry_it_approves_no_roll_back_either(mia):
    campaign = submitted(mia.tenant, by="bob", required=0)
    Campaign.objects.update(kind=CampaignKind.ROLLBACK, rolls_back=campaign)
    Member.objects.update(role=Role.CAMPAIGN_MANAGER)
    mia.refresh_from_db()
    whole = Caller(mia.tenant, make_personal_token(mia))
    few = Caller(mia.tenant, make_personal_token(mia, "few", permissions=["view"]))

    with clock.using(lambda: NOON):
        refused = few.post(f"/campaigns/{campaign.pk}/approve")
        approved = whole.post(f"/campaigns/{campaign.pk}/approve")

    assert (refused.status_code, refused.json()["code"]) == (403, "permission.missing")
    assert approved.status_code == 200, approved.content
