"""Orders that were not fetched in their window, by vehicles whose clients cannot wait for one."""

from datetime import datetime, timedelta

from django.db.models import Q, Value
from django.db.models.functions import Coalesce

from otaserver.campaigns.models import Assignment, Attempt, Campaign
from otaserver.campaigns.queries import schedules
from otaserver.campaigns.rules.capabilities import CAPABILITIES, HOLDING_CLIENTS
from otaserver.campaigns.rules.withholding import LOOK_AGAIN, MISSED_WINDOW
from otaserver.campaigns.states import AssignmentState
from otaserver.director import operations as director

# What was fetched in a window's last moment is heard of after it.
HEARD_WITHIN = timedelta(hours=1)
# Looked for once a minute: all that is offered is looked through. How many one transaction takes back.
EVERY = timedelta(minutes=1)
CHUNK = 2000


def take_back_missed(campaign: Campaign, *, at: datetime) -> int:
    """Take orders back whose window has shut before their vehicles asked, and return how many.

    Such a vehicle may call every day, and never while it may be told of its order: silent it is not. It waits, with the
    reason, and has its turn again when its window opens, for as long as the campaign waits for any vehicle.
    """
    if campaign.advanced_at is not None and timedelta() <= at - campaign.advanced_at < EVERY:
        return 0
    listed = schedules.windows_of(campaign)
    if not listed:
        return 0
    open_zones = {*schedules.open_zones(listed, at), *schedules.open_zones(listed, at - HEARD_WITHIN)}
    missed = campaign.assignments.filter(
        _cannot_hold(), state=AssignmentState.OFFERED, offered_at__lte=at - HEARD_WITHIN
    ).exclude(vehicle__time_zone__in=open_zones)
    locked = missed.select_for_update(of=("self",), skip_locked=True, no_key=True).order_by("pk")
    vehicles = dict(locked.values_list("pk", "vehicle_id")[:CHUNK])
    if vehicles:
        Attempt.objects.filter(assignment__in=vehicles, closed_at=None).update(closed_at=at, code=MISSED_WINDOW.code)
        Assignment.objects.filter(pk__in=vehicles).update(
            state=AssignmentState.WAITING,
            due_at=None,
            offered_at=None,
            next_attempt_at=at + LOOK_AGAIN,
            # As one that is kept back: it had its window, and the campaign does not wait for it for ever.
            withheld_at=Coalesce("withheld_at", Value(at)),
            code=MISSED_WINDOW.code,
            message=MISSED_WINDOW.sentence,
        )
        director.direct(dict.fromkeys(vehicles.values()), at=at)
    return len(vehicles)


def _cannot_hold() -> Q:
    found = Q(vehicle__protocol__in=[protocol for protocol, able in CAPABILITIES.items() if not able.can_hold])
    for protocol, beginnings in HOLDING_CLIENTS.items():
        for beginning in beginnings:
            found &= ~Q(vehicle__protocol=protocol, vehicle__client__startswith=beginning)
    return found
