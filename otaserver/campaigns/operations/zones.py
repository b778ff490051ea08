from collections.abc import Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import Q

from otaserver.campaigns.operations import renewals
from otaserver.fleet import operations as fleet
from otaserver.fleet.models import Vehicle


@transaction.atomic
def set_time_zone(vehicles: Sequence[Vehicle], time_zone: str, *, by: str, at: datetime) -> int:
    """Say in which time zone vehicles of one tenant are; their orders' windows are made anew by the next tick.

    Returns for how many that is new.

    Raises:
        TimeZoneUnknownError: there is no such zone; none is changed.
    """
    moved = [vehicle for vehicle in vehicles if vehicle.time_zone != time_zone]
    count = fleet.set_time_zone(vehicles, time_zone, by=by, at=at)
    if moved:
        renewals.mark(moved[0].tenant, Q(vehicle__in=[vehicle.pk for vehicle in moved]), at=at)
    return count
