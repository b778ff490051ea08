"""The Director's part of the protocol: metadata for one vehicle, and its manifests."""

from datetime import datetime
from typing import Literal

from django.http import HttpRequest, JsonResponse
from django.http.response import HttpResponseBase

from firmware_store.states import Profile, Repository
from otaserver.campaigns import operations as campaigns
from otaserver.director import operations as director
from otaserver.director import queries as director_queries
from otaserver.director.manifests import MAX_BYTES, read_reference
from otaserver.fleet import operations as fleet
from otaserver.vehicle_api import answers, bodies, identity, idle, manifests, problems, public

POLLING_HEADER = "OTA-Polling-Seconds"
MANIFEST_HEADER = "OTA-Send-Manifest"
HEALTH_HEADER = "OTA-Send-Health"


@problems.endpoint("GET", "HEAD")
def timestamp(request: HttpRequest, *, tenant: str, at: datetime) -> HttpResponseBase:
    vehicle = identity.identify_at(request, tenant, at=at)
    signed = director.metadata_for(vehicle, profile=Profile.TUF, at=at)
    response = answers.metadata(request, bytes(signed.timestamp), cache=f"private, {answers.NO_CACHE}")
    fleet.record_contact(vehicle, at=at)
    if request.method == "GET" and response.status_code == 200 and signed.attempt_id is None:
        campaigns.confirm_withdrawal(vehicle, at=at)
    response[POLLING_HEADER] = str(vehicle.tenant.polling_seconds)
    if vehicle.is_manifest_wanted:
        response[MANIFEST_HEADER] = "1"
    signals = campaigns.wanted_of(vehicle)
    if signals:
        response[HEALTH_HEADER] = ",".join(signals)
    if response.status_code == 304 and signed.attempt_id is None:
        idle.mark(request, vehicle, until=director.unchanged_until(signed), at=at)
    return response


@problems.endpoint("GET", "HEAD")
def newest(
    request: HttpRequest, *, tenant: str, role: Literal["targets", "snapshot"], at: datetime
) -> HttpResponseBase:
    vehicle = identity.identify_at(request, tenant, at=at)
    signed = director.metadata_for(vehicle, profile=Profile.TUF, at=at)
    body = signed.targets if role == "targets" else signed.snapshot
    return answers.metadata(request, bytes(body), cache=f"private, {answers.NO_CACHE}")


@problems.endpoint("GET", "HEAD")
def numbered(
    request: HttpRequest, *, tenant: str, version: str, role: Literal["targets", "snapshot"], at: datetime
) -> HttpResponseBase:
    vehicle = identity.identify_at(request, tenant, at=at)
    body = director_queries.stored_body(vehicle, profile=Profile.TUF, role=role, version=int(version))
    # Private: under this address every vehicle gets its own.
    return answers.metadata(request, body, cache=f"private, {answers.NO_CACHE}")


@problems.endpoint("GET", "HEAD")
def root(request: HttpRequest, *, tenant: str, at: datetime, version: str | None = None) -> HttpResponseBase:
    return public.role_metadata(
        request, tenant, Repository.DIRECTOR, "root", profile=Profile.TUF, version=version, at=at
    )


@problems.endpoint("POST")
def manifest(request: HttpRequest, *, tenant: str, at: datetime) -> HttpResponseBase:
    vehicle = identity.identify_at(request, tenant, at=at)
    received = manifests.take_manifest(vehicle, bodies.read_body(request, MAX_BYTES), read=read_reference, at=at)
    return JsonResponse({"findings": received.findings})
