"""Warnings of what ends soon and is not signed metadata, which has its own: CAs, vehicles' credentials, tokens."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from otaserver.audit import operations as audit
from otaserver.events.models import ExpiryNotice
from otaserver.fleet import queries as fleet
from otaserver.fleet.credentials.certificates import AUTHORITY_LIFETIME
from otaserver.fleet.models import FleetAuthority
from otaserver.tenants.models import ServiceToken, Tenant

SERVER = "server"
AUTHORITY_DAYS = (0, 30, 180, 365)
TOKEN_DAYS = (0, 3, 14)
VEHICLE_DAYS = 7


@dataclass(frozen=True)
class Warning:
    """What ends, and the key under which it is told once."""

    action: str
    subject: str
    key: str
    details: dict[str, Any]


def warn_of_expiry(tenant: Tenant, *, at: datetime) -> int:
    """Warn of what ends soon, of each once for each threshold that it passes; return how many warnings are new."""
    found = [*_authority(tenant, at=at), *_tokens(tenant, at=at), *_vehicles(tenant, at=at)]
    return sum(_tell(tenant, each, at=at) for each in found)


@transaction.atomic
def _tell(tenant: Tenant, warning: Warning, *, at: datetime) -> bool:
    _, is_new = ExpiryNotice.objects.get_or_create(tenant=tenant, key=warning.key, defaults={"at": at})
    if is_new:
        audit.record(warning.action, warning.subject, tenant=tenant, by=SERVER, at=at, **warning.details)
    return is_new


def _authority(tenant: Tenant, *, at: datetime) -> Iterator[Warning]:
    found = FleetAuthority.objects.filter(tenant=tenant).first()
    if found is None:
        return
    ends = found.created_at + AUTHORITY_LIFETIME
    days = _threshold(ends, AUTHORITY_DAYS, at=at)
    if days is not None:
        key = f"fleet_authority {found.created_at.isoformat()} {days}"
        details = {"days": days, "expires": ends.isoformat()}
        yield Warning("fleet_authority.expires_soon", str(found), key, details)


def _tokens(tenant: Tenant, *, at: datetime) -> Iterator[Warning]:
    until = at + timedelta(days=max(TOKEN_DAYS))
    for token in ServiceToken.objects.filter(tenant=tenant, revoked_at=None, expires_at__lte=until).order_by("pk"):
        assert token.expires_at is not None
        days = _threshold(token.expires_at, TOKEN_DAYS, at=at)
        details = {"days": days, "expires": token.expires_at.isoformat()}
        yield Warning("service_token.expires_soon", token.name, f"service_token {token.pk} {days}", details)


def _vehicles(tenant: Tenant, *, at: datetime) -> Iterator[Warning]:
    """Warn once a week of vehicles that will have to be enrolled anew, by their number: they have been silent."""
    year, week, _ = at.isocalendar()
    key = f"vehicle_credentials {year} {week}"
    if ExpiryNotice.objects.filter(tenant=tenant, key=key).exists():
        return
    soon = fleet.expiring_vehicles(tenant, within=timedelta(days=VEHICLE_DAYS), at=at).count()
    count = soon - fleet.expiring_vehicles(tenant, within=timedelta(0), at=at).count()
    if count:
        details = {"days": VEHICLE_DAYS, "count": count}
        yield Warning("vehicle_credentials.expire_soon", "vehicles", key, details)


def _threshold(ends: datetime, thresholds: tuple[int, ...], *, at: datetime) -> int | None:
    return next((days for days in thresholds if ends <= at + timedelta(days=days)), None)
