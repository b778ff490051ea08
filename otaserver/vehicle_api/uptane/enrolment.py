"""Becoming known: a claim code for credentials, and new credentials before the old ones end."""

from datetime import datetime
from typing import Any

from django.http import HttpRequest, JsonResponse
from django.http.response import HttpResponseBase

from otaserver.fleet import operations as fleet
from otaserver.vehicle_api import bodies, identity, problems

MAX_BYTES = 128 * 1024
MAX_REQUEST_LENGTH = 8 * 1024


@problems.endpoint("POST")
def enrol(request: HttpRequest, *, tenant: str, at: datetime) -> HttpResponseBase:
    owner = identity.find_tenant(tenant)
    body = bodies.read_json(request, MAX_BYTES)
    wanted = fleet.EnrolmentRequest(
        vehicle_id=bodies.text(body, "vehicle_id", 255),
        claim_code=bodies.text(body, "claim_code", 255),
        ecus=tuple(_ecu(ecu) for ecu in bodies.member(body, "ecus", list)),
        certificate_request=_certificate_request(body),
    )
    enrolment = fleet.enrol(owner, wanted, address=identity.client_address(request), at=at)
    return _credentials(enrolment, status=201)


@problems.endpoint("POST")
def renew(request: HttpRequest, *, tenant: str, at: datetime) -> HttpResponseBase:
    vehicle = identity.identify_to_renew(request, identity.find_tenant(tenant), at=at)
    body = bodies.read_json(request, MAX_BYTES)
    return _credentials(fleet.renew(vehicle, certificate_request=_certificate_request(body), at=at), status=200)


@problems.endpoint("POST")
def ecus(request: HttpRequest, *, tenant: str, at: datetime) -> HttpResponseBase:
    vehicle = identity.identify_at(request, tenant, at=at)
    body = bodies.read_json(request, MAX_BYTES)
    has_code = bodies.optional_member(body, "claim_code", str) is not None
    is_new = fleet.declare_ecus(
        vehicle,
        tuple(_ecu(ecu) for ecu in bodies.member(body, "ecus", list)),
        claim_code=bodies.text(body, "claim_code", 255) if has_code else None,
        address=identity.client_address(request),
        at=at,
    )
    return JsonResponse({"is_new": is_new})


def _ecu(found: Any) -> fleet.EcuDeclaration:
    return fleet.EcuDeclaration(
        serial=bodies.text(found, "serial", 255),
        hardware_id=bodies.text(found, "hardware_id", 255),
        is_primary=bodies.member(found, "is_primary", bool),
        public_key=bodies.member(found, "public_key", dict),
    )


def _certificate_request(body: Any) -> str | None:
    if bodies.optional_member(body, "certificate_request", str) is None:
        return None
    return bodies.text(body, "certificate_request", MAX_REQUEST_LENGTH)


def _credentials(enrolment: fleet.Enrolment, *, status: int) -> HttpResponseBase:
    answer = {
        "vehicle_id": enrolment.vehicle.vehicle_id,
        "token": enrolment.token,
        "token_expires_at": _time(enrolment.token_expires_at),
        "certificate": enrolment.certificate,
        "certificate_expires_at": _time(enrolment.certificate_expires_at),
        "authority": enrolment.authority,
        "polling_seconds": enrolment.polling_seconds,
    }
    response = JsonResponse(answer, status=status)
    response["Cache-Control"] = "no-store"
    return response


def _time(moment: datetime | None) -> str | None:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ") if moment else None
