"""The poll: what there is to do for one vehicle, and when to ask again."""

from datetime import datetime, timedelta
from typing import Any
from zlib import crc32

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from otaserver.campaigns import operations as campaigns
from otaserver.campaigns import queries
from otaserver.campaigns.queries import Delivery, VehicleOrder
from otaserver.fleet import operations as fleet
from otaserver.fleet.models import Vehicle
from otaserver.vehicle_api import idle
from otaserver.vehicle_api.ddi import answers, callers
from otaserver.vehicle_api.ddi.links import Links

LONGEST = timedelta(hours=23, minutes=59, seconds=59)
SHORTEST_BEFORE_WINDOW = timedelta(seconds=30)
POLLS_BEFORE_WINDOW = 3
# A client that does not say what it is, as Zephyr's: by this `campaigns` knows it from one that has never called.
NAMELESS = "nameless"


@answers.endpoint("GET", "HEAD")
def poll(request: HttpRequest, *, tenant: str, controller: str, at: datetime) -> HttpResponseBase:
    vehicle = callers.identify(request, tenant, controller, at=at, is_new_welcome=True)
    fleet.record_contact(vehicle, at=at)
    fleet.record_client(vehicle, request.headers.get("User-Agent") or NAMELESS)
    order = campaigns.order_to_carry_out(vehicle, at=at)
    found: dict[str, Any] = {"config": {"polling": {"sleep": _sleep(vehicle, order, at)}}}
    links = _links(vehicle, order, Links(request, tenant, controller))
    if links:
        found["_links"] = links
    response = answers.resource(request, found)
    if order is None and callers.is_told_of(request, vehicle):
        idle.mark(request, vehicle, at=at)
    return response


def _links(vehicle: Vehicle, order: VehicleOrder | None, links: Links) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if order is not None and order.delivery == Delivery.WITHDRAW:
        # Without a query: clients append "/feedback" to it.
        found["cancelAction"] = links.to("cancelAction", order.number)
    elif order is not None and order.delivery == Delivery.ASK:
        found["confirmationBase"] = links.to_order("confirmationBase", order)
    elif order is not None and order.delivery != Delivery.WITHHOLD:
        found["deploymentBase"] = links.to_order("deploymentBase", order)
    installed = queries.last_success(vehicle)
    if installed is not None:
        found["installedBase"] = links.to("installedBase", installed)
    if vehicle.is_manifest_wanted:
        found["configData"] = links.to("configData")
    return found


def _share(vehicle: Vehicle) -> float:
    """Return how much of its tenant's interval a vehicle waits, always the same: from 0.9 to 1.1.

    These clients wait exactly as long as they are told: all told the same, a fleet that an outage has brought into step
    would stay there.
    """
    return 0.9 + 0.2 * crc32(vehicle.vehicle_id.encode()) / 2**32


def _sleep(vehicle: Vehicle, order: VehicleOrder | None, at: datetime) -> str:
    """Return when to ask again, as HH:MM:SS; sooner where a window is about to open."""
    normal = min(timedelta(seconds=round(vehicle.tenant.polling_seconds * _share(vehicle))), LONGEST)
    if order is not None and order.not_before is not None:
        sooner = max((order.not_before - at) / POLLS_BEFORE_WINDOW, SHORTEST_BEFORE_WINDOW)
        normal = min(normal, sooner)
    seconds = max(1, int(normal.total_seconds()))
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
