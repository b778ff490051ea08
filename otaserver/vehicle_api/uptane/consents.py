"""What owners answered, as their vehicles say it."""

from datetime import datetime
from typing import Any

from django.http import HttpRequest, JsonResponse
from django.http.response import HttpResponseBase

from otaserver.campaigns import operations as campaigns
from otaserver.errors import OtaError
from otaserver.fleet.models import Vehicle
from otaserver.vehicle_api import bodies, identity, problems

MAX_BYTES = 128 * 1024
MAX_RECORDS = 100


@problems.endpoint("POST")
def consents(request: HttpRequest, *, tenant: str, at: datetime) -> HttpResponseBase:
    vehicle = identity.identify_at(request, tenant, at=at)
    found = bodies.read_list(request, MAX_BYTES, MAX_RECORDS)
    rejected = []
    for record in found:
        # One bad record must not cost the others.
        try:
            _record(vehicle, record, at=at)
        except OtaError as refusal:
            named = record.get("id") if isinstance(record, dict) else None
            identifier = named if isinstance(named, str) else None
            rejected.append({"id": identifier, "code": refusal.code, "detail": refusal.message})
    return JsonResponse({"accepted": len(found) - len(rejected), "rejected": rejected})


def _record(vehicle: Vehicle, record: Any, *, at: datetime) -> None:
    bodies.require_storable(record)
    answer = campaigns.ConsentAnswer(
        decision=bodies.text(record, "decision", 20),
        by=bodies.text(record, "by", 200),
        language=bodies.text(record, "language", 35),
        text_sha256=bodies.text(record, "text_sha256", 64),
    )
    campaigns.record_consent(
        vehicle,
        answer,
        attempt=bodies.uuid(record, "attempt"),
        record_id=str(bodies.uuid(record, "id")),
        device_time=bodies.moment(record, "device_time"),
        at=at,
    )
