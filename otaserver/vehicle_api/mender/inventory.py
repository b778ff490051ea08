"""What a device says of itself: names and texts, all of them at once (PUT) or some (PATCH)."""

from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from otaserver.fleet import operations as fleet
from otaserver.vehicle_api import bodies
from otaserver.vehicle_api.errors import FieldsInvalidError
from otaserver.vehicle_api.mender import answers

MAX_BYTES = 512 * 1024
MAX_ATTRIBUTES = 1000
DEVICE_TYPE = "device_type"


@answers.endpoint("PUT", "PATCH")
def attributes(request: HttpRequest, *, at: datetime) -> HttpResponseBase:
    vehicle = answers.caller(request, at=at)
    said = dict(_attribute(item) for item in bodies.read_list(request, MAX_BYTES, MAX_ATTRIBUTES))
    mode = fleet.InventoryMode.REPLACE if request.method == "PUT" else fleet.InventoryMode.MERGE
    fleet.record_contact(vehicle, at=at)
    if DEVICE_TYPE in said:
        fleet.declare_hardware(vehicle, said[DEVICE_TYPE], at=at)
    fleet.record_inventory(vehicle, attributes=said, at=at, mode=mode)
    return HttpResponse(status=200)


def _attribute(item: Any) -> tuple[str, str]:
    bodies.require_storable(item)
    name, value = bodies.member(item, "name", str), item.get("value")
    # Anything but text is a number or a flag that somebody's script made; several texts stand under one name.
    values = value if isinstance(value, list) else [value]
    if value is None or not all(isinstance(one, str | int | float) for one in values):
        raise FieldsInvalidError(f"The value of {name[:80]} is neither a text nor a list of texts.", field="value")
    return name, ", ".join(_text(one) for one in values)


def _text(value: str | float) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
