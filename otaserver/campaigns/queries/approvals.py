"""Who approved a campaign, who must not, and how many are missing."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db.models import Q, Subquery

from otaserver.campaigns.models import Campaign
from otaserver.campaigns.records import Approval
from otaserver.campaigns.rules import approvals as rules
from otaserver.campaigns.states import CampaignKind, CampaignState
from otaserver.people.queries import persons_behind
from otaserver.tenants.models import Tenant

# A change of a live campaign makes nobody its author: it was approved before, and is answered for with a reason.
_AUTHORING = Q(kind="campaign.created") | Q(kind="campaign.changed", inputs__state=CampaignState.DRAFT)


@dataclass(frozen=True)
class ApprovalView:
    """The approvals of a campaign's present round; authors cannot give one where any are required."""

    required: int
    authors: Sequence[str]
    given: Sequence[Approval]

    @property
    def missing(self) -> int:
        """Return how many are still needed."""
        return rules.missing(required=self.required, given=len(self.given))


def approval_view(campaign: Campaign) -> ApprovalView:
    """Return who has approved a campaign as it now stands, in three queries; of a draft nobody has."""
    return ApprovalView(required_approvals(campaign), authors(campaign), list(_given(campaign)))


def required_approvals(campaign: Campaign) -> int:
    """Return how many people other than its authors must approve a campaign, by what its tenant demands now."""
    tenant = Tenant.objects.only("required_approvals", "rollbacks_need_approval").get(pk=campaign.tenant_id)
    return rules.required(
        is_way_back=_is_way_back(campaign),
        by_tenant=tenant.required_approvals,
        rollbacks_need_approval=tenant.rollbacks_need_approval,
    )


def _is_way_back(campaign: Campaign) -> bool:
    first = campaign.rolls_back
    return campaign.kind == CampaignKind.ROLLBACK and first is not None and _approved_back(first) == campaign.release_id


def _approved_back(first: Campaign) -> int | None:
    # Cancelled before anybody had approved it, it speaks for nothing.
    return first.fallback_release_id if first.approved_by else None


def authors(campaign: Campaign) -> list[str]:
    """Return everybody who has drafted a campaign or changed its draft, in the order of their names."""
    edited = campaign.decisions.filter(_AUTHORING).order_by().values_list("actor", flat=True)
    return sorted({campaign.created_by, *edited})


def same_person(campaign: Campaign, by: str, others: Iterable[str]) -> list[str]:
    """Return those of `others` behind whom stands the same person as behind `by`: people count, not their tokens."""
    listed = list(others)
    persons = persons_behind(campaign.tenant, [by, *listed])
    return [other for other in listed if persons[other] == persons[by]]


def _given(campaign: Campaign) -> Sequence[Approval]:
    if campaign.state == CampaignState.DRAFT:
        return []
    if campaign.state == CampaignState.IN_REVIEW:
        return list(campaign.approvals.filter(revision=campaign.revision).order_by("at", "pk"))
    # It has moved since, and may have been changed; what stands are the approvals that let it go.
    last = campaign.approvals.order_by("-revision").values("revision")[:1]
    return list(campaign.approvals.filter(revision=Subquery(last)).order_by("at", "pk"))
