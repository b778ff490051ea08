"""The Director's part: metadata for one vehicle in aktualizr's form, and its manifests."""

from datetime import datetime
from typing import Literal

from django.http import HttpRequest, JsonResponse
from django.http.response import HttpResponseBase

from firmware_store.states import Profile, Repository
from firmware_store.trust import queries as trust_queries
from firmware_store.trust.errors import MetadataNotFoundError
from otaserver.campaigns import operations as campaigns
from otaserver.director import operations as director
from otaserver.director.aktualizr_manifests import read_aktualizr
from otaserver.director.manifests import MAX_BYTES
from otaserver.fleet import operations as fleet
from otaserver.vehicle_api import answers, bodies, identity, idle, manifests, problems, public, seen


@problems.endpoint("GET", "HEAD")
def metadata(
    request: HttpRequest, *, tenant: str, role: Literal["targets", "snapshot", "timestamp"], at: datetime
) -> HttpResponseBase:
    vehicle = identity.identify_at(request, tenant, at=at)
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
    try:
        return public.role_metadata(
            request, tenant, Repository.DIRECTOR, "root", profile=Profile.AKTUALIZR, version=version, at=at
        )
    except MetadataNotFoundError:
        _mark_next(request, seen.find_tenant(request, tenant, at=at), version, at=at)
        raise


def _mark_next(request: HttpRequest, found: fleet.Watching, version: str | None, *, at: datetime) -> None:
    """Let it be said again that there is no next root: what each of them asks for first, and nearly always in vain."""
    newest = trust_queries.latest_version(found.tenant, Repository.DIRECTOR, "root", Profile.AKTUALIZR)
    if newest and version is not None and int(version) == newest + 1:
        idle.mark_for_all(request, found, at=at)


@problems.endpoint("PUT")
def manifest(request: HttpRequest, *, tenant: str, at: datetime) -> HttpResponseBase:
    vehicle = identity.identify_at(request, tenant, at=at)
    fleet.record_contact(vehicle, at=at)
    received = manifests.take_manifest(vehicle, bodies.read_body(request, MAX_BYTES), read=read_aktualizr, at=at)
    return JsonResponse({"findings": received.findings})
