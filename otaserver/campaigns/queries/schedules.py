"""When vehicles may install, and which may be offered a release now, by windows, blackouts, end and pace."""

from collections.abc import Collection, Sequence
from datetime import datetime

from django.db.models import Count, Q, Sum

from otaserver.campaigns.models import Attempt, Blackout, Campaign
from otaserver.campaigns.queries import blackouts
from otaserver.campaigns.rules import pace, windows
from otaserver.campaigns.rules.windows import Listing, Window
from otaserver.fleet.models import Vehicle
from otaserver.fleet.rules import time_zones, zone_of


def windows_of(campaign: Campaign) -> list[Window]:
    """Return a campaign's windows in the form that the rules judge."""
    rows = campaign.windows.all() if campaign.pk else []
    return [Window(row.weekdays, row.start_minute, row.length_minutes) for row in rows]


class Schedules:
    """When the vehicles of one campaign may install, as of one moment. Vehicles in one situation share one answer."""

    def __init__(self, campaign: Campaign, *, at: datetime) -> None:
        self._campaign = campaign
        self._at = at
        self._windows = windows_of(campaign)
        self._blackouts = list(blackouts.standing(campaign.tenant, at=at))
        self._made: dict[tuple[str, tuple[int, ...]], Listing] = {}

    def of(self, vehicles: Collection[int]) -> dict[int, Listing]:
        """Return for each of these vehicles, by its row's id, what its order says of when."""
        if not self._windows and not self._blackouts:
            same = windows.listing([], None, barred=[], ends_at=self._campaign.ends_at, at=self._at)
            return dict.fromkeys(vehicles, same)
        zones = dict(Vehicle.objects.filter(pk__in=vehicles).values_list("pk", "time_zone"))
        barred = blackouts.by_vehicle(self._blackouts, vehicles)
        return {vehicle: self._listing(zones[vehicle], barred[vehicle]) for vehicle in vehicles}

    def _listing(self, zone: str, barred: Sequence[Blackout]) -> Listing:
        key = zone, tuple(blackout.pk for blackout in barred)
        if key not in self._made:
            self._made[key] = windows.listing(
                self._windows,
                zone_of(zone),
                barred=[blackouts.interval(blackout) for blackout in barred],
                ends_at=self._campaign.ends_at,
                at=self._at,
            )
        return self._made[key]


def may_be_offered(campaign: Campaign, *, at: datetime) -> Q | None:
    """Return the condition on assignments to be offered now by windows, blackouts and end; None: none may be."""
    if campaign.ends_at is not None and campaign.ends_at <= at:
        return None
    allowed = Q()
    for blackout in blackouts.in_force(campaign.tenant, at=at):
        members = blackouts.members(blackout)
        if not members:
            return None
        allowed &= ~members
    listed = [] if campaign.downloads_early else windows_of(campaign)
    if listed:
        allowed &= Q(vehicle__time_zone__in=open_zones(listed, at))
    return allowed


def open_zones(listed: Sequence[Window], at: datetime) -> list[str]:
    """Return the time zones in which one of these windows is open."""
    zones = ((name, zone_of(name)) for name in sorted(time_zones()))
    return [name for name, zone in zones if zone is not None and windows.is_open(listed, zone, at)]


def allowance(campaign: Campaign, *, at: datetime) -> pace.Allowance:
    """Return what a campaign's pace leaves now, counted over the attempts of the last minute and the last hour."""
    if campaign.offers_per_minute is None and campaign.bytes_per_hour is None:
        return pace.Allowance(None, None)
    made = Attempt.objects.filter(assignment__campaign=campaign, opened_at__gt=at - pace.BYTES_SPAN)
    used = made.aggregate(
        offers=Count("pk", filter=Q(opened_at__gt=at - pace.OFFERS_SPAN)), length=Sum("length", default=0)
    )
    return pace.allowance(offers_per_minute=campaign.offers_per_minute, bytes_per_hour=campaign.bytes_per_hour, **used)
