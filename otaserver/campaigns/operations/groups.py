"""Groups of campaigns: what was read in review stays the group that it was."""

from datetime import datetime

from django.db import transaction
from django.db.models import Q

from otaserver.campaigns.models import Campaign
from otaserver.campaigns.states import CampaignState
from otaserver.fleet import operations as fleet
from otaserver.fleet.errors import GroupInUseError
from otaserver.fleet.models import Group

_AWAITS_START = [CampaignState.IN_REVIEW, CampaignState.APPROVED, CampaignState.SCHEDULED]
_UNDER_WAY = [CampaignState.RUNNING, CampaignState.PAUSED, CampaignState.HALTED]
_NAMED = 5


@transaction.atomic
def change_group(group: Group, *, by: str, at: datetime, name: str | None = None, filter: str | None = None) -> None:
    """Change a group as `fleet` does, but no filter of one that people have approved a campaign for.

    Raises:
        GroupInUseError: a campaign with it is in review, approved or scheduled, or takes in whoever matches later.
        GroupNameRefusedError, GroupExistsError, GroupDynamicError, FilterRefusedError: as of `fleet`.
    """
    locked = Group.objects.select_for_update(no_key=True).get(pk=group.pk)
    if filter is not None and filter != locked.filter:
        _refuse_approved(group)
    fleet.change_group(group, by=by, at=at, name=name, filter=filter)


def hold(campaign: Campaign) -> None:
    """Lock the groups of a campaign, to the end of the transaction, against a change that is under way.

    Whoever reads it in review reads the groups as they stay.
    """
    waves = campaign.waves.filter(group__isnull=False).values("group")
    own = Group.objects.filter(Q(pk=campaign.group_id) | Q(pk__in=waves))
    list(own.select_for_update(no_key=True).order_by("pk").values_list("pk", flat=True))


def _refuse_approved(group: Group) -> None:
    awaits_start = Q(state__in=_AWAITS_START) & (Q(group=group) | Q(waves__group=group))
    takes_in = Q(state__in=_UNDER_WAY, group=group, is_dynamic=True, closed_at=None)
    found = Campaign.objects.filter(awaits_start | takes_in).order_by("name").values_list("name", flat=True).distinct()
    names = list(found[:_NAMED])
    if names:
        raise GroupInUseError(
            f"Group {group} is what people read, or approved, {', '.join(names)} for; its filter stays until each is "
            "rejected, or cancelled, or takes in no more vehicles.",
            name=group.name,
            campaigns=names,
        )
