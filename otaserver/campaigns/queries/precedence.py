"""Which of several campaigns a vehicle belongs to now, as conditions on assignments: nothing is loaded.

Written for each campaign's own assignments and for those of every campaign beside it, so that a campaign that cannot
take a vehicle (it has no room, or the vehicle waits there for another campaign first) does not keep it from others.
"""

from datetime import datetime
from functools import reduce
from operator import or_

from django.db.models import Exists, OuterRef, Q, QuerySet

from firmware_store.models import Release
from otaserver.campaigns.models import Assignment, Campaign
from otaserver.campaigns.queries import schedules
from otaserver.campaigns.queries.bundles import release_view
from otaserver.campaigns.rules import precedence
from otaserver.campaigns.states import (
    ACTIVE_STATES,
    IN_FLIGHT_STATES,
    AssignmentState,
    CampaignState,
)
from otaserver.fleet.models import Ecu


def turn(campaign: Campaign, *, at: datetime | None) -> Q:
    """Return the condition under which it is this campaign's turn to give a waiting vehicle its order."""
    return Q(*waits_for_nothing_else(campaign, at=at), ~Exists(_busy(campaign)), ~_claimed(campaign, at=at))


def waits_for_nothing_else(campaign: Campaign, *, at: datetime | None) -> list[Q]:
    """Return the conditions under which a vehicle of the campaign waits for nothing but its order.

    Without `at`, none that waits for its next attempt is among them.
    """
    is_due = Q(next_attempt_at=None) if at is None else Q(next_attempt_at=None) | Q(next_attempt_at__lte=at)
    return [Q(is_due, state=AssignmentState.WAITING, wave__isnull=False), *requirements_met(campaign)]


def requirements_met(campaign: Campaign) -> list[Q]:
    """Return the condition for each required campaign: it succeeded on the vehicle, or the vehicle runs its release."""
    return [meets(required) for required in campaign.requires.select_related("release").order_by("pk")]


def meets(required: Campaign) -> Q:
    """Return the condition under which a vehicle has what a required campaign brings."""
    succeeded = Assignment.objects.filter(
        campaign=required, vehicle=OuterRef("vehicle"), state=AssignmentState.SUCCEEDED
    )
    return Q(Exists(succeeded)) | _runs(required.release)


def _runs(release: Release) -> Q:
    items = release_view(release).bundle.items
    own = Ecu.objects.filter(vehicle=OuterRef("vehicle"))
    fitting = reduce(or_, (Q(hardware_id__in=sorted(item.hardware_ids)) for item in items))
    lacking = reduce(
        or_, (Q(hardware_id__in=sorted(item.hardware_ids)) & ~Q(installed_sha256=item.sha256) for item in items)
    )
    return Q(Exists(own.filter(fitting)), ~Exists(own.filter(lacking)))


def running_beside(campaign: Campaign) -> list[Campaign]:
    """Return the tenant's other running campaigns, in the order in which they started."""
    rows = Campaign.objects.filter(tenant=campaign.tenant_id, state=CampaignState.RUNNING, started_at__isnull=False)
    return list(rows.exclude(pk=campaign.pk).select_related("release").order_by("started_at", "pk"))


def ahead_of(campaign: Campaign, *, at: datetime | None) -> list[Campaign]:
    """Return the running campaigns that go before this one, those left out that have no room in flight.

    Given the time, those too whose pace is used up then, or which offer nothing then (`schedules.may_be_offered`).
    """
    own = contender(campaign)
    before = [other for other in running_beside(campaign) if precedence.goes_before(contender(other), own)]
    return [other for other in before if has_room(other, at=at)]


def contender(campaign: Campaign) -> precedence.Contender:
    """Return a campaign in the form that the rules judge; one that has not started counts as drafted."""
    started_at = campaign.started_at or campaign.created_at
    return precedence.Contender(campaign.priority, campaign.kind, started_at, campaign.pk)


def has_room(campaign: Campaign, *, at: datetime | None) -> bool:
    """Return whether a campaign could offer its release to one vehicle more; given the time, by its pace too."""
    if at is not None and schedules.allowance(campaign, at=at).is_used_up:
        return False
    if campaign.max_in_flight is None:
        return True
    return campaign.assignments.filter(state__in=IN_FLIGHT_STATES).count() < campaign.max_in_flight


def soaking_elsewhere(campaign: Campaign) -> Q:
    """Return the condition under which another campaign's software soaks on a vehicle that this one must leave be."""
    if precedence.disturbs_soaks(priority=campaign.priority, kind=campaign.kind):
        return Q(pk__in=[])
    soaks = Assignment.objects.filter(vehicle=OuterRef("vehicle"), state=AssignmentState.SOAKING)
    return Q(Exists(soaks.exclude(campaign=campaign)))


def _busy(campaign: Campaign) -> QuerySet[Assignment]:
    disturbs = precedence.disturbs_soaks(priority=campaign.priority, kind=campaign.kind)
    states = ACTIVE_STATES if disturbs else IN_FLIGHT_STATES
    return Assignment.objects.filter(vehicle=OuterRef("vehicle"), state__in=states)


def _claimed(campaign: Campaign, *, at: datetime | None) -> Q:
    """Return the condition that a campaign which goes before this one could give the vehicle its order now."""
    claims = Q(pk__in=[])
    for other in ahead_of(campaign, at=at):
        claims |= Q(Exists(ready(other, at=at).filter(vehicle=OuterRef("vehicle"))))
    return claims


def ready(campaign: Campaign, *, at: datetime | None) -> QuerySet[Assignment]:
    """Return the campaign's assignments that wait for their order, and that no soak keeps from it."""
    rows = Assignment.objects.filter(
        *waits_for_nothing_else(campaign, at=at), ~soaking_elsewhere(campaign), campaign=campaign
    )
    # What its windows or a blackout keep from it now, it keeps from nobody else.
    offered = Q() if at is None else schedules.may_be_offered(campaign, at=at)
    return rows.none() if offered is None else rows.filter(offered)
