"""Looking at one device's requests for some hours; for every other vehicle nothing is read or written."""

import ipaddress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from otaserver.audit import operations as audit
from otaserver.fleet.errors import AddressRefusedError, WatchRefusedError
from otaserver.fleet.models import Credential, Vehicle
from otaserver.fleet.operations.identity import token_fingerprint
from otaserver.fleet.rules import plain_serial
from otaserver.fleet.states import CredentialKind
from otaserver.fleet.watch_models import AddressWatch, SeenRequest
from otaserver.tenants.models import Tenant

LONGEST = timedelta(hours=72)
KEPT_OF_EACH = 200
KEPT_FOR = timedelta(days=7)


@dataclass(frozen=True)
class RequestFacts:
    """What is noted of a request and its answer."""

    address: str
    method: str
    path: str
    client: str
    identity: str
    status: int
    code: str
    reason: str


@transaction.atomic
def watch_vehicle(vehicle: Vehicle, *, hours: int, by: str, at: datetime) -> datetime | None:
    """Keep the vehicle's requests for so many hours, and return until when; 0 ends it. What was kept stays for a week.

    Raises:
        WatchRefusedError: longer than three days.
    """
    until = _until(hours, at)
    Vehicle.objects.filter(pk=vehicle.pk).update(watched_until=until)
    vehicle.watched_until = until
    audit.record("vehicle.watched", vehicle, tenant=vehicle.tenant, by=by, at=at, hours=hours)
    return until


@transaction.atomic
def watch_address(tenant: Tenant, address: str, *, hours: int, by: str, at: datetime) -> AddressWatch | None:
    """Keep what is refused to this address below the tenant's for so many hours; 0 ends it, and returns None.

    For a device that the server cannot tell yet: a wrong token, an unknown certificate.

    Raises:
        WatchRefusedError: longer than three days. AddressRefusedError: it is no IP address.
    """
    until, plain = _until(hours, at), _plain(address)
    audit.record("address.watched", plain, tenant=tenant, by=by, at=at, hours=hours)
    if until is None:
        AddressWatch.objects.filter(tenant=tenant, address=plain).delete()
        return None
    watch, _ = AddressWatch.objects.update_or_create(tenant=tenant, address=plain, defaults={"until": until, "by": by})
    return watch


class Watching(NamedTuple):
    """A tenant, whether somebody there watches who is calling, and whether any address is watched there."""

    tenant: Tenant
    is_watched: bool
    is_any_address_watched: bool


def watching(tenant: str, address: str, *, token: str = "", serial: str = "", at: datetime) -> Watching | None:
    """Return the tenant of this name, and whether somebody there watches this address, or the vehicle of this
    credential, live or not. None: there is no such tenant. One read."""
    shown = Q(kind=CredentialKind.TOKEN, fingerprint=token_fingerprint(token)) if token else None
    if shown is None and serial:
        shown = Q(kind=CredentialKind.CERTIFICATE, fingerprint=plain_serial(serial))
    of_addresses = AddressWatch.objects.filter(tenant=OuterRef("pk"), until__gt=at)
    is_watched = Q(Exists(of_addresses.filter(address=address)))
    if shown is not None:
        held = Credential.objects.filter(shown, vehicle__tenant=OuterRef("pk"), vehicle__watched_until__gt=at)
        is_watched |= Q(Exists(held))
    rows = Tenant.objects.filter(name=tenant).annotate(is_watched=is_watched, is_any_watched=Exists(of_addresses))
    found: Any = rows.first()
    return None if found is None else Watching(found, bool(found.is_watched), bool(found.is_any_watched))


def note_request(vehicle: Vehicle, facts: RequestFacts, *, at: datetime) -> bool:
    """Keep a vehicle's request if it is watched, with the newest KEPT_OF_EACH of it; return whether it was kept."""
    if vehicle.watched_until is None or vehicle.watched_until <= at:
        return False
    _keep(SeenRequest.objects.filter(vehicle=vehicle), vehicle.tenant_id, vehicle, facts, at=at)
    return True


def note_refusal(tenant: Tenant, facts: RequestFacts, *, at: datetime) -> bool:
    """Keep a refusal to nobody that is known, if its address is watched, in the same number."""
    if not AddressWatch.objects.filter(tenant=tenant, address=facts.address, until__gt=at).exists():
        return False
    rows = SeenRequest.objects.filter(tenant=tenant, address=facts.address, vehicle=None)
    _keep(rows, tenant.pk, None, facts, at=at)
    return True


def expire_watches(*, at: datetime) -> int:
    """Delete requests that are older than a week, and watches of addresses that are over; return how many rows."""
    seen, _ = SeenRequest.objects.filter(at__lte=at - KEPT_FOR).delete()
    watches, _ = AddressWatch.objects.filter(until__lte=at).delete()
    return seen + watches


@transaction.atomic
def _keep(
    rows: QuerySet[SeenRequest], tenant: int, vehicle: Vehicle | None, facts: RequestFacts, *, at: datetime
) -> None:
    SeenRequest.objects.create(tenant_id=tenant, vehicle=vehicle, at=at, **vars(facts))
    beyond = rows.order_by("-pk").values_list("pk", flat=True)[KEPT_OF_EACH:]
    SeenRequest.objects.filter(pk__in=list(beyond)).delete()


def _until(hours: int, at: datetime) -> datetime | None:
    length = timedelta(hours=hours)
    if not timedelta(0) <= length <= LONGEST:
        raise WatchRefusedError(f"A device is watched for up to {LONGEST.days * 24} hours, not {hours}.", hours=hours)
    return at + length if hours else None


def _plain(address: str) -> str:
    try:
        return str(ipaddress.ip_address(address))
    except ValueError as error:
        raise AddressRefusedError(f"{address[:60]!r} is no IP address.", address=address[:60]) from error
