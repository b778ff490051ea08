"""Who was recognised a moment ago, so that a vehicle in the middle of an update is not looked up with every request.

It decides nothing: it knows again what a look-up has found good, for as long as nothing was told of the vehicle or its
tenant since (`tenants.telling`) and the credential lives. Of the vehicle it keeps hardly more than who it is: what else
a view asks of its row is read then, as fresh as ever (`deferring`).
"""

import hashlib
import secrets
import sys
import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from otaserver.fleet.models import Vehicle
from otaserver.tenants.models import Tenant

# In each process, at some 400 bytes: those who are in an update, and not the fleet, which the poll front answers.
MOST = 30_000
# So that no secret is kept, and nobody can look for two of one key.
_DIGEST = hashlib.blake2b(digest_size=16, key=secrets.token_bytes(32))


class Changes(Protocol):
    """What has changed, as `otaserver.front.changes` reads it."""

    count: int

    def is_current(self) -> bool: ...

    def has_identity_changed(self, owner: int, tenant: int, since: int) -> bool: ...


class Found(NamedTuple):
    """A vehicle that was found to be calling, with its tenant, and until when what it showed is good."""

    vehicle: Vehicle
    until: datetime


class _Known(NamedTuple):
    since: int
    until: datetime
    tenant: tuple[int, str, int]
    id: int
    vehicle_id: str
    client: str
    last_contact_at: datetime
    watched_until: datetime | None


class Recognised:
    """Vehicles by what they showed. Reading needs no lock: what is known is one object, replaced as a whole."""

    def __init__(self, changes: Changes, *, most: int = MOST) -> None:
        self._changes = changes
        self._most = most
        self._known: dict[bytes, _Known] = {}
        # The same few, shared by what is known of their vehicles.
        self._tenants: dict[tuple[int, str, int], tuple[int, str, int]] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._known)

    def find(self, key: bytes, look_up: Callable[[], Found], *, at: datetime) -> Vehicle:
        """Return the vehicle that is known by this, or else the one that a look-up finds, and know that from then on.

        Raises:
            OtaError: the look-up's. Of what was refused nothing is kept.
        """
        known = self._known.get(key)
        if known is not None and self._is_good(known, at):
            return _vehicle(known)
        # What changes from here on makes it worthless at once.
        since = self._changes.count
        found = look_up()
        self._keep(key, found, since)
        return found.vehicle

    def note_contact(self, key: bytes, vehicle: Vehicle) -> None:
        """Note that a vehicle's contact was recorded while it was answered."""
        known = self._known.get(key)
        if known is not None and known.id == vehicle.pk and vehicle.last_contact_at is not None:
            self._known[key] = known._replace(last_contact_at=max(known.last_contact_at, vehicle.last_contact_at))

    def _is_good(self, known: _Known, at: datetime) -> bool:
        changes = self._changes
        return (
            changes.is_current()
            and at < known.until
            and not changes.has_identity_changed(known.id, known.tenant[0], known.since)
        )

    def _keep(self, key: bytes, found: Found, since: int) -> None:
        vehicle = found.vehicle
        # Of one that had never called nothing is told (`fleet.models.Vehicle`).
        if vehicle.last_contact_at is None or not self._changes.is_current():
            return
        tenant = (vehicle.tenant.pk, vehicle.tenant.name, vehicle.tenant.polling_seconds)
        with self._lock:
            if key not in self._known and len(self._known) >= self._most:
                # The first that came: whoever is still there is looked up once more.
                del self._known[next(iter(self._known))]
            self._known[key] = _Known(
                since,
                found.until,
                self._tenants.setdefault(tenant, tenant),
                vehicle.pk,
                vehicle.vehicle_id,
                sys.intern(vehicle.client),
                vehicle.last_contact_at,
                vehicle.watched_until,
            )


def key_of(*shown: Any) -> bytes:
    """Return the key of what a request shows; a line end in it stands for itself."""
    digest = _DIGEST.copy()
    digest.update(repr(shown).encode(errors="surrogateescape"))
    return digest.digest()


def _vehicle(known: _Known) -> Vehicle:
    tenant, name, polling_seconds = known.tenant
    vehicle = Vehicle.part(
        {
            "id": known.id,
            "tenant_id": tenant,
            "vehicle_id": known.vehicle_id,
            "client": known.client,
            "last_contact_at": known.last_contact_at,
            "watched_until": known.watched_until,
        }
    )
    vehicle.tenant = Tenant.part({"id": tenant, "name": name, "polling_seconds": polling_seconds})
    return vehicle
