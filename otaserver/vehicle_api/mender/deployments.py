"""Asking for work, in the three forms that clients try one after another, and at the install gate once more."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase

from otaserver.campaigns import operations as campaigns
from otaserver.campaigns import queries
from otaserver.campaigns.errors import AttemptNotFoundError
from otaserver.campaigns.states import ReportPhase
from otaserver.fleet import operations as fleet
from otaserver.fleet.models import Vehicle
from otaserver.vehicle_api import bodies, idle
from otaserver.vehicle_api.errors import FieldsInvalidError
from otaserver.vehicle_api.mender import answers
from otaserver.vehicle_api.mender.instructions import control_map, instructions
from otaserver.vehicle_api.mender.progress import GATE, note

MAX_BYTES = 64 * 1024
# By this `campaigns` knows clients that wait at the install gate.
READS_MAPS = "update-control-map"
# What clients put behind an artifact's name when they could not go back.
_INCONSISTENT = "_INCONSISTENT"


@dataclass(frozen=True)
class _Asked:
    """What a client says of itself when it asks: what runs, on what, and whether it reads update control maps."""

    artifact_name: str
    device_type: str
    reads_maps: bool = False


@answers.endpoint("POST")
def next_v2(request: HttpRequest, *, at: datetime) -> HttpResponseBase:
    vehicle = answers.caller(request, at=at)
    body = bodies.read_json(request, MAX_BYTES)
    provides = bodies.member(body, "device_provides", dict)
    asked = _asked(provides, reads_maps=bool(bodies.optional_member(body, "update_control_map", bool)))
    return _next(request, vehicle, asked, at=at)


@answers.endpoint("GET", "POST")
def next_v1(request: HttpRequest, *, at: datetime) -> HttpResponseBase:
    vehicle = answers.caller(request, at=at)
    provides = request.GET.dict() if request.method == "GET" else bodies.read_json(request, MAX_BYTES)
    return _next(request, vehicle, _asked(provides), at=at)


@answers.endpoint("GET")
def update_control_map(request: HttpRequest, *, deployment: UUID, at: datetime) -> HttpResponseBase:
    vehicle = answers.caller(request, at=at)
    fleet.record_contact(vehicle, at=at)
    order, gate = queries.gate_of_attempt(vehicle, deployment, at=at)
    if gate.is_withdrawn:
        # To a client that waits this is what an abort is to one that reports.
        raise AttemptNotFoundError(f"The deployment {deployment} is over.", attempt=str(deployment))
    if not gate.is_open:
        note(vehicle, deployment, ReportPhase.HELD, GATE, at=at)
    campaigns.note_question(vehicle, order, at=at)
    return JsonResponse(control_map(order, gate))


def _asked(provides: Any, *, reads_maps: bool = False) -> _Asked:
    names = ("artifact_name", "device_type")
    artifact_name, device_type = (bodies.text(provides, name, 255) for name in names)
    if "\0" in artifact_name + device_type:
        raise FieldsInvalidError("artifact_name and device_type hold no NUL.", field="artifact_name")
    return _Asked(artifact_name, device_type, reads_maps)


def _next(request: HttpRequest, vehicle: Vehicle, asked: _Asked, *, at: datetime) -> HttpResponseBase:
    agent = request.headers.get("User-Agent", "")
    fleet.record_contact(vehicle, at=at)
    fleet.record_client(vehicle, f"{READS_MAPS} {agent}" if asked.reads_maps else agent)
    order = queries.current_order(vehicle, at=at)
    was_known = campaigns.record_claim(
        vehicle,
        asked.artifact_name,
        hardware_id=asked.device_type,
        order=order,
        is_broken=asked.artifact_name.endswith(_INCONSISTENT),
        at=at,
    )
    if not was_known:
        # What it says may have ended the order that stood there.
        order = queries.current_order(vehicle, at=at)
    gate = queries.install_gate(vehicle, order) if order is not None else None
    if order is None or gate is None or gate.is_withdrawn:
        # It has heard that there is nothing to do.
        campaigns.confirm_withdrawal(vehicle, at=at)
        if order is None and was_known:
            idle.mark(request, vehicle, until=campaigns.unheard_until(vehicle, at=at), at=at)
        return HttpResponse(status=204)
    if not asked.reads_maps and not gate.is_open:
        # It would install what it gets as soon as it has it.
        note(vehicle, order.attempt_id, ReportPhase.HELD, GATE, at=at)
        return HttpResponse(status=204)
    campaigns.note_question(vehicle, order, at=at)
    response = JsonResponse(instructions(request, order, reads_maps=asked.reads_maps, at=at))
    response["Cache-Control"] = "no-store"
    return response
