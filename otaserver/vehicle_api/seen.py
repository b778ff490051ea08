"""Notes the requests of devices that somebody watches, after they were answered; for all others it does nothing.

A protocol's own identification calls `identity.note` with the vehicle that it found; one that uses `identity.identify`
has that already. What carries no tenant in its address is noted only where the vehicle was found.
"""

import logging
from datetime import datetime
from typing import Any

from django.db import DatabaseError
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from otaserver.errors import OtaError
from otaserver.fleet import diagnoses
from otaserver.fleet import operations as fleet
from otaserver.tenants.models import Tenant
from otaserver.vehicle_api import identity

logger = logging.getLogger(__name__)
_WATCHING = "otaserver.watching"


def note(
    request: HttpRequest, response: HttpResponseBase, refusal: OtaError | None, *, tenant: Any, at: datetime
) -> None:
    """Note the request if it is watched. Whatever fails here changes nothing of the answer."""
    vehicle = identity.noted(request)
    if vehicle is None and refusal is None:
        return
    if vehicle is not None and (vehicle.watched_until is None or vehicle.watched_until <= at):
        return
    try:
        if vehicle is not None:
            fleet.note_request(vehicle, _facts(request, response, refusal), at=at)
        elif isinstance(tenant, str) and refusal is not None:
            _note_refusal(request, response, refusal, tenant, at=at)
    except DatabaseError:
        logger.exception("request not noted path=%s", request.path)


def find_tenant(request: HttpRequest, name: str, *, at: datetime) -> fleet.Watching:
    """Return the tenant of an address whose request is about to be refused, with what its noting will ask: one read.

    Raises:
        TenantNotFoundError: there is none.
    """
    found: fleet.Watching | None = request.META.get(_WATCHING) or _watching(request, name, at=at)
    if found is None:
        raise identity.no_tenant(name)
    request.META[_WATCHING] = found
    return found


def _note_refusal(
    request: HttpRequest, response: HttpResponseBase, refusal: OtaError, tenant: str, *, at: datetime
) -> None:
    # Vehicles ask for roots that are not there yet, each time: where nobody watches, that is one read at most.
    known = request.META.get(_WATCHING) or _watching(request, tenant, at=at)
    if known is None or not known.is_watched:
        return
    owner = known.tenant
    found = _diagnosed(request, owner, at=at)
    sentence = f"{refusal.message} {found.sentence}" if found else refusal.message
    facts = _facts(request, response, refusal, reason=sentence)
    if not (found and found.vehicle and fleet.note_request(found.vehicle, facts, at=at)):
        fleet.note_refusal(owner, facts, at=at)


def _watching(request: HttpRequest, tenant: str, *, at: datetime) -> fleet.Watching | None:
    shown, address = identity.shown(request), identity.client_address(request)[:45]
    return fleet.watching(tenant.lower(), address, token=shown.token, serial=shown.serial, at=at)


def _diagnosed(request: HttpRequest, tenant: Tenant, *, at: datetime) -> diagnoses.Diagnosis | None:
    shown = identity.shown(request)
    if shown.token:
        return diagnoses.of_token(tenant, shown.token, at=at)
    if shown.serial:
        return diagnoses.of_certificate(tenant, shown.serial, at=at)
    return None


def _facts(
    request: HttpRequest, response: HttpResponseBase, refusal: OtaError | None, *, reason: str = ""
) -> fleet.RequestFacts:
    said = reason or (refusal.message if refusal else "")
    return fleet.RequestFacts(
        address=identity.client_address(request)[:45],
        method=str(request.method)[:10],
        path=_printable(request.path)[:500],
        client=_printable(request.headers.get("User-Agent", ""))[:100],
        identity=_printable(identity.shown(request).sentence)[:300],
        status=response.status_code,
        code=refusal.code if refusal else "",
        reason=_printable(said)[:500],
    )


def _printable(text: str) -> str:
    return "".join(letter for letter in text if letter.isprintable())
