"""Orders whose list of windows would run out, or no longer holds, are made anew."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from django.db.models import F, Q

from otaserver.campaigns.models import Assignment, Attempt, Campaign
from otaserver.campaigns.queries import build_order, bundles
from otaserver.campaigns.queries.schedules import Schedules
from otaserver.campaigns.rules.windows import Listing
from otaserver.campaigns.states import STOPPABLE_STATES, CampaignState
from otaserver.director import operations as director
from otaserver.fleet.models import Ecu, Vehicle
from otaserver.tenants.models import Tenant

# How many one transaction makes anew; what is left has its turn in the next one.
RENEW_CHUNK = 500
_MAY_OFFER = [
    CampaignState.APPROVED,
    CampaignState.SCHEDULED,
    CampaignState.RUNNING,
    CampaignState.PAUSED,
    CampaignState.HALTED,
]


def mark(tenant: Tenant, condition: Q, *, at: datetime) -> int:
    """Let the next tick make anew the tenant's orders that are not being installed, and return how many those are.

    It waits for ticks that are under way: they may be offering by what held before.
    """
    campaigns = Campaign.objects.filter(tenant=tenant, state__in=_MAY_OFFER)
    list(campaigns.select_for_update(no_key=True).order_by("pk").values_list("pk"))
    standing = Assignment.objects.filter(condition, campaign__tenant=tenant, state__in=STOPPABLE_STATES)
    return Assignment.objects.filter(pk__in=standing.order_by().values("pk")).update(renew_at=at)


def mark_all(campaign: Campaign, *, at: datetime) -> int:
    """Let the next tick make anew all of a campaign's orders that are not being installed; the caller holds its row."""
    return campaign.assignments.filter(state__in=STOPPABLE_STATES).update(renew_at=at)


def renew(campaign: Campaign, *, at: datetime) -> bool:
    """Make up to a chunk of a campaign's orders anew that are due for it, and return whether more may be.

    The attempt stays, and so does what the vehicle has downloaded; only what its order says of when is new.
    """
    due = campaign.assignments.filter(renew_at__lte=at)
    due.exclude(state__in=STOPPABLE_STATES).update(renew_at=None)
    # One that enrolled again is not asked for the ECUs that it had: its order is taken back.
    fresh = due.filter(state__in=STOPPABLE_STATES).exclude(vehicle__enrolled_at__gt=F("offered_at"))
    locked = fresh.select_for_update(of=("self",), skip_locked=True, no_key=True)
    rows = list(locked.order_by("renew_at", "pk")[:RENEW_CHUNK])
    held = _as_offered(rows)
    if held:
        _direct_anew(campaign, held, at=at)
    return len(rows) == RENEW_CHUNK


def _as_offered(rows: Sequence[Assignment]) -> list[Assignment]:
    """Lock the vehicles of these and return those that have not enrolled again since: their ECUs stay till the end."""
    if not rows:
        return []
    vehicles = Vehicle.objects.filter(pk__in=[row.vehicle_id for row in rows])
    locked = vehicles.select_for_update(no_key=True).order_by("pk")
    enrolled = dict(locked.values_list("pk", "enrolled_at"))
    return [row for row in rows if not _is_later(enrolled.get(row.vehicle_id), row.offered_at)]


def _is_later(enrolled_at: datetime | None, offered_at: datetime | None) -> bool:
    return enrolled_at is not None and offered_at is not None and enrolled_at > offered_at


def _direct_anew(campaign: Campaign, rows: Sequence[Assignment], *, at: datetime) -> None:
    vehicles = [row.vehicle_id for row in rows]
    listings = Schedules(campaign, at=at).of(vehicles)
    attempts = list(Attempt.objects.filter(assignment__in=rows, closed_at=None).select_related("stone"))
    # One on its way is ordered a stepping stone, not the campaign's own release yet.
    stones = {attempt.stone for attempt in attempts if attempt.stone is not None}
    hops = {stone.pk: bundles.release_view(stone) for stone in stones}
    release = bundles.release_view(campaign.release)
    hardware: dict[int, dict[str, str]] = {vehicle: {} for vehicle in vehicles}
    ecus = Ecu.objects.filter(vehicle__in=vehicles).values_list("vehicle_id", "serial", "hardware_id")
    for vehicle, serial, hardware_id in ecus:
        hardware[vehicle][serial] = hardware_id
    orders = {
        attempt.vehicle_id: build_order(
            campaign,
            hops[attempt.stone_id] if attempt.stone_id is not None else release,
            attempt_id=attempt.pk,
            number=attempt.number,
            packages=attempt.packages,
            hardware=hardware[attempt.vehicle_id],
            windows=listings[attempt.vehicle_id].intervals,
        )
        for attempt in attempts
    }
    # Locks: assignments first, then vehicles, then directions.
    list(Vehicle.objects.filter(pk__in=vehicles).select_for_update(no_key=True).order_by("pk").values_list("pk"))
    _set_times(campaign, rows, listings, at=at)
    director.direct(orders, at=at)


def _set_times(
    campaign: Campaign, rows: Sequence[Assignment], listings: Mapping[int, Listing], *, at: datetime
) -> None:
    """Write when each is due for renewal, and give the time that a blackout takes from it back to the vehicle.

    Without that a vehicle which waits for the end of a freeze would be given up as silent.
    """
    patience = timedelta(seconds=campaign.download_timeout_seconds)
    for row in rows:
        listing = listings[row.vehicle_id]
        row.renew_at = listing.renew_at
        if listing.barred_until is not None:
            row.due_at = max(row.due_at or at, listing.barred_until + patience)
    Assignment.objects.bulk_update(rows, ["renew_at", "due_at"])
