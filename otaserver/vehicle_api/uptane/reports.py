"""What a vehicle says of its attempts: progress events and log tails. Claims, stored as they come."""

from datetime import datetime
from typing import Any

from django.http import HttpRequest, JsonResponse
from django.http.response import HttpResponseBase

from otaserver.campaigns import operations as campaigns
from otaserver.campaigns.states import ReportOutcome, ReportPhase
from otaserver.vehicle_api import batches, bodies, identity, problems
from otaserver.vehicle_api.errors import FieldsInvalidError

MAX_BYTES = 512 * 1024
MAX_EVENTS = 500
MAX_LOG_BYTES = 64 * 1024
# A log's characters may be written as six bytes each.
MAX_LOG_BODY_BYTES = 6 * MAX_LOG_BYTES + 1024


@problems.endpoint("POST")
def events(request: HttpRequest, *, tenant: str, at: datetime) -> HttpResponseBase:
    vehicle = identity.identify_at(request, tenant, at=at)
    found = bodies.read_list(request, MAX_BYTES, MAX_EVENTS)
    return JsonResponse(batches.record(found, lambda event: campaigns.Told(vehicle, _report(event), True, at)))


@problems.endpoint("POST")
def logs(request: HttpRequest, *, tenant: str, at: datetime) -> HttpResponseBase:
    vehicle = identity.identify_at(request, tenant, at=at)
    body = bodies.read_json(request, MAX_LOG_BODY_BYTES)
    text = bodies.text(body, "text", MAX_LOG_BYTES)
    campaigns.record_log(vehicle, attempt=bodies.uuid(body, "attempt"), text=text, at=at)
    return JsonResponse({})


def _report(event: Any) -> campaigns.VehicleReport:
    bodies.require_storable(event)
    progress = bodies.optional_member(event, "progress", int)
    if progress is not None and not 0 <= progress <= 100:
        raise FieldsInvalidError(f"progress is {progress}; it is a percentage.", field="progress")
    return campaigns.VehicleReport(
        attempt=bodies.uuid(event, "attempt"),
        report_id=str(bodies.uuid(event, "id")),
        ecu_serial=bodies.text(event, "ecu", 64),
        phase=_choice(event, "phase", ReportPhase.values),
        outcome=_choice(event, "outcome", ReportOutcome.values),
        code=bodies.text(event, "code", 80),
        message=bodies.member(event, "message", str),
        progress=progress,
        measured=bodies.optional_member(event, "measured", dict) or {},
        device_time=bodies.moment(event, "device_time"),
    )


def _choice(event: Any, name: str, choices: list[str]) -> str:
    found = bodies.text(event, name, 20)
    if found not in choices:
        raise FieldsInvalidError(f"{name} is {found!r}, none of {', '.join(choices)}.", field=name)
    return found
