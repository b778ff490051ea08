"""The health of a vehicle after an update: named numbers, asked for by a header on the poll. Claims, like events."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.http import HttpRequest, JsonResponse
from django.http.response import HttpResponseBase

from otaserver.campaigns import operations as campaigns
from otaserver.vehicle_api import bodies, identity, problems
from otaserver.vehicle_api.errors import FieldsInvalidError

MAX_BYTES = 16 * 1024
MAX_SIGNALS = 100


@problems.endpoint("POST")
def signals(request: HttpRequest, *, tenant: str, at: datetime) -> HttpResponseBase:
    vehicle = identity.identify_at(request, tenant, at=at)
    found = _signals(bodies.read_json(request, MAX_BYTES))
    accepted = campaigns.record_health(vehicle, found, at=at)
    return JsonResponse({"accepted": accepted, "ignored": sorted(set(found) - set(accepted))})


def _signals(body: Any) -> Mapping[str, float]:
    found = bodies.member(body, "signals", dict)
    if len(found) > MAX_SIGNALS:
        raise FieldsInvalidError(f"signals has {len(found)} members; {MAX_SIGNALS} fit.", field="signals")
    return {name: _number(name, value) for name, value in found.items()}


def _number(name: str, value: Any) -> float:
    # A bool is an int in Python, and none here; an int may be too large for a float.
    if type(value) in (int, float):
        try:
            return float(value)
        except OverflowError:
            pass
    raise FieldsInvalidError(f"The signal {name[:80]} is no number.", field="signals")
