"""What is checked before a campaign changes: where it stands, and what its review, approval and start need."""

from datetime import datetime, timedelta

from django.db.models import Exists, OuterRef, Q

from firmware_store.models import Release, RoleMetadata
from firmware_store.states import Repository
from otaserver.campaigns.errors import MetadataEndsError, NoWayBackError, PlanRefusedError, ReleaseNotPublishedError
from otaserver.campaigns.models import Campaign
from otaserver.campaigns.queries import bundles, schedules
from otaserver.campaigns.rules import matching, timing
from otaserver.campaigns.states import CampaignState
from otaserver.statemachine import InvalidTransitionError

NOT_STARTED = (CampaignState.DRAFT, CampaignState.IN_REVIEW, CampaignState.APPROVED, CampaignState.SCHEDULED)


def require_state(campaign: Campaign, *sources: CampaignState) -> None:
    """Check that an operation begins where it may; two operations may lead to one state from different ones.

    It speaks of the copy that the caller holds; `move_to` refuses a stale one.

    Raises:
        InvalidTransitionError: the campaign is in none of these states.
    """
    if campaign.state not in sources:
        wanted = " or ".join(source.label.lower() for source in sources)
        raise InvalidTransitionError(
            f"Campaign {campaign} is {CampaignState(campaign.state).label.lower()}; it would have to be {wanted}.",
            state=str(campaign.state),
        )


def require_published(release: Release) -> bundles.ReleaseView:
    """Return the release, if vehicles may install all of it.

    Raises:
        ReleaseNotPublishedError: it, or a package of it, is not published; or it has none.
    """
    view = bundles.release_view(release)
    if release.published_at is None or not view.packages or view.unpublished:
        lacking = ", ".join(view.unpublished) or "the release itself"
        raise ReleaseNotPublishedError(f"{view.label} cannot be brought out: not published is {lacking}.")
    return view


def require_way_back(campaign: Campaign, release: bundles.ReleaseView) -> None:
    """Check that a campaign's vehicles could return to its fallback release, unless its plan says why there is no way.

    Raises:
        NoWayBackError: clients would refuse it, or there is neither a fallback nor a reason.
    """
    if campaign.fallback_release is None:
        if not campaign.no_way_back_reason.strip():
            raise NoWayBackError("A campaign names a fallback release, or gives the reason why there is no way back.")
        return
    fallback = require_published(campaign.fallback_release)
    # From each stepping stone too: a vehicle may come no further.
    for hop in release.chain:
        problem = matching.unreachable(hop.bundle.items, fallback.bundle.items)
        if problem is not None:
            raise NoWayBackError(problem)


def require_near(starts_at: datetime, *, at: datetime) -> None:
    """Check that a campaign can be planned to start then.

    Raises:
        PlanRefusedError: no metadata lasts so long.
    """
    problem = timing.start_problem(starts_at, at=at)
    if problem is not None:
        raise PlanRefusedError(problem)


def require_lasting_metadata(campaign: Campaign, release: bundles.ReleaseView, *, starts_at: datetime) -> None:
    """Check that no offline metadata ends while a vehicle of a campaign that starts then may still need it.

    Raises:
        PlanRefusedError: it would end before it starts, or before a window of it opens.
        MetadataEndsError: it must be signed anew first.
    """
    problem = timing.end_problem(campaign.ends_at, schedules.windows_of(campaign), starts_at=starts_at)
    if problem is not None:
        raise PlanRefusedError(problem)
    patience = timedelta(
        seconds=campaign.offer_timeout_seconds + campaign.download_timeout_seconds + campaign.install_timeout_seconds
    )
    needed_until = campaign.ends_at or starts_at + patience
    roles = {package.role for hop in release.chain for package in hop.packages.values()} | {"root", "targets"}
    newer = RoleMetadata.objects.filter(
        tenant=OuterRef("tenant"),
        repository=OuterRef("repository"),
        role=OuterRef("role"),
        profile=OuterRef("profile"),
        version__gt=OuterRef("version"),
    )
    ending = RoleMetadata.objects.filter(
        # The Director's other roles are online: signed anew by the server, as often as need be.
        Q(repository=Repository.IMAGE, role__in=roles) | Q(repository=Repository.DIRECTOR, role="root"),
        ~Exists(newer),
        tenant=campaign.tenant,
        expires_at__lt=needed_until,
    )
    first = ending.order_by("expires_at", "pk").first()
    if first is not None:
        raise MetadataEndsError(
            f"The metadata of role {first.role} ({first.repository}) ends on {first.expires_at:%Y-%m-%d}, and vehicles "
            f"may need it until {needed_until:%Y-%m-%d}; sign it anew first.",
            role=first.role,
        )
