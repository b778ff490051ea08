from datetime import datetime

from django.db.models import Exists, OuterRef

from otaserver.campaigns.models import Assignment
from otaserver.campaigns.states import IN_FLIGHT_STATES
from otaserver.fleet import queries as fleet
from otaserver.fleet.models import Vehicle


def idle_until(vehicle: Vehicle, *, at: datetime) -> datetime | None:
    """Return until when nothing is to be done with a vehicle if nothing happens: then its first credential ends.

    None: an order stands at it, or its outcome is not known yet. One that waits for its turn changes nothing. One
    query; for a vehicle without credentials of its own, the end of time.
    """
    in_flight = Exists(Assignment.objects.filter(vehicle=OuterRef("pk"), state__in=IN_FLIGHT_STATES))
    rows = Vehicle.objects.filter(~in_flight, pk=vehicle.pk).annotate(ends_at=fleet.first_credential_end(at=at))
    found = list(rows.values_list("ends_at", flat=True))
    return (found[0] or datetime.max.replace(tzinfo=at.tzinfo)) if found else None
