"""The idle poll: a vehicle of a large fleet asks, with its token, whether its Director timestamp has changed.

Each run is as if a polling interval had gone by since the last: every vehicle's contact is due to be recorded again.
"""

import hashlib
from datetime import timedelta
from itertools import cycle

from firmware_store.states import Profile
from otaserver import clock
from otaserver.director import operations as director
from otaserver.director.models import VehicleMetadata
from otaserver.fleet.models import Credential, Vehicle
from otaserver.fleet.states import CredentialKind
from otaserver.tenants.models import Tenant
from tests.bench import bare, fleets, http_load, measuring
from tests.director.trust import Trust
from tests.factories import make_tenant

VEHICLES = 100_000
POLLING = 1_000  # of them, all over the fleet; each has polled before, until its answer is kept
SECONDS = 1.0
RATE = f"with token, {VEHICLES:,} vehicles"
CPU = "the same, per CPU-second of the server"


def measure(pairs: int) -> list[measuring.Figure]:
    requests = cycle(make_requests(make_tenant("bench")))
    with (
        http_load.web_server("otaserver.wsgi:application", begins=b"HTTP/1.1 304 ", ends=b"\r\n\r\n") as our_server,
        http_load.web_server("tests.bench.bare:application", begins=b"HTTP/1.1 200 ", ends=bare.BODY) as bare_server,
    ):
        our_server.serve(requests, count=3 * POLLING)

        def ours() -> measuring.Rates:
            Vehicle.objects.filter(last_contact_at__isnull=False).update(last_contact_at=None)
            return rates(our_server.serve(requests, seconds=SECONDS))

        def baseline() -> measuring.Rates:
            return rates(bare_server.serve(requests, seconds=SECONDS))

        return measuring.figures("poll", ours=ours, bare=baseline, pairs=pairs, goals={RATE: 0.70, CPU: None})


def rates(served: http_load.Served) -> measuring.Rates:
    return {RATE: served.per_second, CPU: served.per_cpu_second}


def make_requests(tenant: Tenant) -> list[bytes]:
    now = clock.now()
    Trust(tenant).publish_first_roots(at=now)
    vehicles = fleets.make_vehicles(tenant, VEHICLES)
    credentials = [
        Credential(
            vehicle=vehicle,
            kind=CredentialKind.TOKEN,
            fingerprint=hashlib.sha256(token(vehicle).encode()).hexdigest(),
            created_at=now,
            expires_at=now + timedelta(days=365),
        )
        for vehicle in vehicles
    ]
    Credential.objects.bulk_create(credentials, batch_size=fleets.BATCH_SIZE)
    signed = director.metadata_for(vehicles[0], profile=Profile.TUF, at=now)
    # One vehicle's bytes for all: the server does not read what it has signed, and 100,000 signatures take a minute.
    copies = [copied(signed, vehicle) for vehicle in vehicles[1:]]
    VehicleMetadata.objects.bulk_create(copies, batch_size=fleets.BATCH_SIZE)
    etag = hashlib.sha256(signed.timestamp).hexdigest()
    return [request(tenant, vehicle, etag) for vehicle in fleets.spread(vehicles, POLLING)]


def token(vehicle: Vehicle) -> str:
    return f"otav_{hashlib.sha256(vehicle.vehicle_id.encode()).hexdigest()[:43]}"


def copied(signed: VehicleMetadata, vehicle: Vehicle) -> VehicleMetadata:
    fields = [field.attname for field in VehicleMetadata._meta.concrete_fields if not field.primary_key]
    return VehicleMetadata(**{name: getattr(signed, name) for name in fields} | {"vehicle_id": vehicle.pk})


def request(tenant: Tenant, vehicle: Vehicle, etag: str) -> bytes:
    return (
        f"GET /uptane/{tenant.name}/director/metadata/timestamp.json HTTP/1.1\r\nHost: {http_load.HOST}\r\n"
        f'Authorization: Bearer {token(vehicle)}\r\nIf-None-Match: "{etag}"\r\n\r\n'
    ).encode()
