"""Which answers may be given again, unasked, by the poll front (`otaserver.front`): the views alone know.

A view marks its answer where nothing of it but what the database tells of (`tenants.telling`) and time can change it,
and where giving it again would write nothing but the time of the contact.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.http import HttpRequest

from otaserver import observing
from otaserver.campaigns import queries as campaigns
from otaserver.fleet import operations as fleet
from otaserver.fleet.models import Vehicle
from otaserver.vehicle_api import identity

_IDLE = "otaserver.idle"
# What nothing else ends sooner; then it is asked for once more.
LONGEST = timedelta(hours=6)


@dataclass(frozen=True)
class Idle:
    """An answer that holds until a moment, unless something tells of its owner or its tenant before.

    The owner is a vehicle's number, or minus its tenant's for what everybody is answered. `contact_at`: when the
    vehicle's contact was last recorded.
    """

    owner: int
    tenant: int
    until: datetime
    contact_at: datetime | None = None


def mark(request: HttpRequest, vehicle: Vehicle, *, until: datetime | None = None, at: datetime) -> None:
    """Let an answer to this vehicle be given again, if no order is on its way to it and nobody watches it."""
    is_watched = vehicle.watched_until is not None and vehicle.watched_until > at
    # Of one that had never called nothing was told while this was answered.
    if not identity.had_called(request) or is_watched or vehicle.is_health_wanted:
        return
    ends_at = campaigns.idle_until(vehicle, at=at)
    if ends_at is not None:
        soonest = min(ends_at, at + LONGEST, until or ends_at)
        request.META[_IDLE] = Idle(vehicle.pk, vehicle.tenant_id, soonest, vehicle.last_contact_at)


def mark_for_all(request: HttpRequest, found: fleet.Watching, *, at: datetime) -> None:
    """Let an answer to whoever asks be given again, unless somebody watches addresses of this tenant."""
    if not found.is_any_address_watched:
        request.META[_IDLE] = Idle(-found.tenant.pk, found.tenant.pk, at + LONGEST)


def counted(environ: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return as what the answer was counted (`observing`): protocol, kind and outcome."""
    found: tuple[str, str, str] = environ[observing.COUNTED]
    return found


def marked(environ: Mapping[str, Any]) -> Idle | None:
    """Return how the answer to a request was marked, once Django has given it."""
    found: Idle | None = environ.get(_IDLE)
    return found
