"""The Director's part: metadata for one vehicle in aktualizr's form, and its manifests."""

from datetime import datetime
from typing import Literal

from django.http import HttpRequest, JsonResponse
from django.http.response import HttpResponseBase

from firmware_store.states import Profile, Repository
from firmware_store.trust import queries as trust_queries
from otaserver.campaigns import operations as campaigns
from otaserver.director import operations as director
from otaserver.director.aktualizr_manifests import read_aktualizr
from otaserver.director.manifests import MAX_BYTES
from otaserver.fleet import operations as fleet
from otaserver.vehicle_api import answers, bodies, identity, idle, manifests, problems


@problems.endpoint("GET", "HEAD")
def metadata(
    request: HttpRequest, *, tenant: str, role: Literal["targets", "snapshot", "timestamp"], at: datetime
) -> HttpResponseBase:
    vehicle = identity.identify(request, identity.find_tenant(tenant), at=at)
    signed = director.metadata_for(vehicle, profile=Profile.AKTUALIZR, at=at)
    body = {"targets": signed.targets, "snapshot": signed.snapshot, "timestamp": signed.timestamp}[role]
    response = answers.metadata(request, bytes(body), cache=f"private, {answers.NO_CACHE}")
    if role == "targets":
        fleet.record_contact(vehicle, at=at)
        # It asks between two updates, never during one: what lists nothing has ended what it was told before.
        if request.method == "GET" and response.status_code == 200 and signed.attempt_id is None:
            campaigns.confirm_withdrawal(vehicle, at=at)
            idle.mark(request, vehicle, until=director.unchanged_until(signed), at=at)
    return response


@problems.endpoint("GET", "HEAD")
def root(request: HttpRequest, *, tenant: str, at: datetime, version: str | None = None) -> HttpResponseBase:
    owner = identity.find_tenant(tenant)
    number = int(version) if version else None
    newest = trust_queries.latest_version(owner, Repository.DIRECTOR, "root", Profile.AKTUALIZR)
    if newest and number == newest + 1:
        # What every one of them asks for first, and nearly always in vain.
        idle.mark_for_all(request, owner, at=at)
    found = trust_queries.role_metadata(owner, Repository.DIRECTOR, "root", Profile.AKTUALIZR, number)
    cache = answers.NO_CACHE if version is None else answers.IMMUTABLE
    return answers.metadata(request, bytes(found.body), cache=f"public, {cache}")


@problems.endpoint("PUT")
def manifest(request: HttpRequest, *, tenant: str, at: datetime) -> HttpResponseBase:
    vehicle = identity.identify(request, identity.find_tenant(tenant), at=at)
    fleet.record_contact(vehicle, at=at)
    received = manifests.take_manifest(vehicle, bodies.read_body(request, MAX_BYTES), read=read_aktualizr, at=at)
    return JsonResponse({"findings": received.findings})
