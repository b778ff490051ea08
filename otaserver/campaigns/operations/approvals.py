"""Giving an approval: one person, one revision, under the campaign's lock."""

from datetime import datetime

from otaserver.campaigns.errors import AlreadyApprovedError, CampaignMovedError, OwnApprovalError
from otaserver.campaigns.models import Campaign
from otaserver.campaigns.queries import approvals as queries
from otaserver.campaigns.records import Approval
from otaserver.campaigns.rules import approvals as rules


def give_approval(campaign: Campaign, *, by: str, at: datetime, revision: int | None) -> queries.ApprovalView:
    """Store one person's approval of a campaign in review, and return where that leaves it.

    The campaign's row stays locked to the end of the transaction, so that of several people at once each counts and
    one of them is the last. `revision` is what the person has read; None: the one that the caller holds.

    Raises:
        CampaignMovedError: the campaign is another by now.
        OwnApprovalError: the person is one of its authors, and others must approve it.
        AlreadyApprovedError: they have approved it before, and others are still missing.
    """
    locked = Campaign.objects.select_for_update(of=("self",), no_key=True).get(pk=campaign.pk)
    wanted = campaign.revision if revision is None else revision
    if (locked.revision, locked.state) != (wanted, campaign.state):
        raise CampaignMovedError(
            f"{campaign} has revision {locked.revision} by now and is {locked.state}; read it again, it was {wanted}.",
            revision=locked.revision,
            state=locked.state,
        )
    required, authors = queries.required_approvals(campaign), queries.authors(campaign)
    is_author = bool(queries.same_person(campaign, by, authors))
    problem = rules.own_approval_problem(by, is_author=is_author, required=required)
    if problem is not None:
        raise OwnApprovalError(problem, authors=authors, required_approvals=required)
    given = Approval.objects.filter(campaign=campaign, revision=wanted).values_list("by", flat=True)
    has_approved = bool(queries.same_person(campaign, by, given))
    if not has_approved:
        Approval.objects.create(campaign=campaign, revision=wanted, by=by, at=at)
    view = queries.approval_view(campaign)
    # Where the tenant demands fewer by now, whoever has approved before may let it go.
    if has_approved and view.missing:
        raise AlreadyApprovedError(f"{by} has approved {campaign} already; {view.missing} more must.", by=by)
    return view


def note_vehicles(campaign: Campaign, *, fitting: int) -> None:
    """Store how many vehicles a campaign was approved for; of several approvers who saw the fewest bounds its start."""
    known = campaign.approved_vehicles
    campaign.approved_vehicles = fitting if known is None else min(known, fitting)
    Campaign.objects.filter(pk=campaign.pk).update(approved_vehicles=campaign.approved_vehicles)
