"""The idle poll: a vehicle of a large fleet asks, with its token, whether its Director timestamp has changed.

And the same through nginx with a certificate for each connection, against nginx before the bare server.

Each run is as if a polling interval had gone by since the last: every vehicle's contact is due to be recorded again.
"""

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import timedelta
from itertools import cycle
from pathlib import Path

from firmware_store.states import Profile
from otaserver import clock
from otaserver.director import operations as director
from otaserver.director.models import VehicleMetadata
from otaserver.fleet.credentials import certificates
from otaserver.fleet.models import Credential, Vehicle
from otaserver.fleet.operations.authority import create_fleet_authority, load_authority
from otaserver.fleet.states import CredentialKind
from otaserver.tenants.models import Tenant
from tests.bench import bare, fleets, http_load, measuring
from tests.director.trust import Trust
from tests.embedded import fronts
from tests.factories import make_tenant
from tests.processes import free_port

VEHICLES = measuring.fleet_size(100_000)
# Of them, all over the fleet, each about once in a run; each has polled before anything is measured.
POLLING = min(10_000, VEHICLES)
CERTIFIED = 16  # vehicles with a certificate, each on its own connection
SECONDS = 1.0
RATE = f"with token, {VEHICLES:,} vehicles"
CPU = "the same, per CPU-second of the server"
NGINX = "through nginx with client certificates, keep-alive"


def measure(pairs: int) -> list[measuring.Figure]:
    tenant = make_tenant("bench")
    vehicles, etag = make_fleet(tenant, VEHICLES)
    requests = cycle([request(tenant, fleets.token_of(one.pk), etag) for one in fleets.spread(vehicles, POLLING)])
    with (
        http_load.web_server(
            "tests.bench.polled:application", begins=b"HTTP/1.1 304 ", ends=b"\r\n\r\n", OTA_TRUSTED_PROXIES="127.0.0.2"
        ) as our_server,
        http_load.web_server("tests.bench.bare:application", begins=b"HTTP/1.1 200 ", ends=bare.BODY) as bare_server,
    ):
        our_server.serve(requests, count=POLLING + http_load.CONNECTIONS)
        figures = measuring.figures(
            "poll",
            ours=lambda: rates(our_server.serve(requests, seconds=SECONDS)),
            bare=lambda: rates(bare_server.serve(requests, seconds=SECONDS)),
            pairs=pairs,
            goals={RATE: 0.70, CPU: None},
        )
        certified_requests = cycle([request(tenant, "", etag)])
        return figures + through_nginx(
            certified_requests, vehicles[:CERTIFIED], pairs, our_server=our_server, bare_server=bare_server
        )


def rates(served: http_load.Served) -> measuring.Rates:
    return {RATE: served.per_second, CPU: served.per_cpu_second}


def through_nginx(
    requests: Iterator[bytes],
    vehicles: list[Vehicle],
    pairs: int,
    *,
    our_server: http_load.WebServer,
    bare_server: http_load.WebServer,
) -> list[measuring.Figure]:
    if fronts.NGINX is None:
        print("nginx is not installed: there is no figure through it.")  # noqa: T201
        return []
    with certified(vehicles, our_server) as ours, certified(vehicles, bare_server) as theirs:
        ours.serve(requests, count=5 * CERTIFIED)
        return measuring.figures(
            "poll",
            ours=lambda: {NGINX: ours.serve(requests, seconds=SECONDS).per_second},
            bare=lambda: {NGINX: theirs.serve(requests, seconds=SECONDS).per_second},
            pairs=pairs,
            goals={NGINX: 0.6},
        )


@contextmanager
def certified(vehicles: list[Vehicle], server: http_load.WebServer) -> Iterator[http_load.WebServer]:
    """Yield the same server behind `deploy/nginx.conf`, called by vehicles that each show their own certificate."""
    tenant = vehicles[0].tenant
    if load_authority(tenant) is None:
        create_fleet_authority(tenant, at=clock.now())
    authority = load_authority(tenant)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ota-nginx-")))
        nginx = fronts.Front(folder, port=free_port(), web_ports=[server.port], authorities=[authority])
        stack.callback(nginx.end)
        contexts = [fronts.trusting(nginx.ca_file, _certificate(authority, folder, vehicle)) for vehicle in vehicles]
        yield replace(server, port=nginx.port, contexts=contexts)


def _certificate(authority: certificates.Authority, folder: Path, vehicle: Vehicle) -> tuple[Path, Path]:
    tenant = vehicle.tenant.name
    files = fronts.make_client_certificate(authority, folder, vehicle.vehicle_id, tenant=tenant)
    Credential.objects.create(
        vehicle=vehicle,
        kind=CredentialKind.CERTIFICATE,
        fingerprint=files[0].stem,
        created_at=clock.now(),
        expires_at=clock.now() + timedelta(days=30),
    )
    return files


def make_fleet(tenant: Tenant, count: int) -> tuple[list[Vehicle], str]:
    """Return a fleet, and the ETag of the timestamp that each of its vehicles has."""
    now = clock.now()
    Trust(tenant).publish_first_roots(at=now)
    vehicles = fleets.make_vehicles(tenant, count)
    credentials = [fleets.credential_of(vehicle) for vehicle in vehicles]
    Credential.objects.bulk_create(credentials, batch_size=fleets.BATCH_SIZE)
    signed = director.metadata_for(vehicles[0], profile=Profile.TUF, at=now)
    # One vehicle's bytes for all: the server does not read what it has signed, and 100,000 signatures take a minute.
    copies = [copied(signed, vehicle) for vehicle in vehicles[1:]]
    VehicleMetadata.objects.bulk_create(copies, batch_size=fleets.BATCH_SIZE)
    # The front keeps no answer to a vehicle's first call.
    Vehicle.objects.filter(tenant=tenant).update(last_contact_at=now)
    return vehicles, etag_of(signed)


def copied(signed: VehicleMetadata, vehicle: Vehicle) -> VehicleMetadata:
    fields = [field.attname for field in VehicleMetadata._meta.concrete_fields if not field.primary_key]
    return VehicleMetadata(**{name: getattr(signed, name) for name in fields} | {"vehicle_id": vehicle.pk})


def etag_of(signed: VehicleMetadata) -> str:
    return hashlib.sha256(bytes(signed.timestamp)).hexdigest()


def request(tenant: Tenant, token: str, etag: str) -> bytes:
    shown = f"Authorization: Bearer {token}\r\n" if token else ""
    return (
        f"GET /uptane/{tenant.name}/director/metadata/timestamp.json HTTP/1.1\r\nHost: {http_load.HOST}\r\n"
        f'{shown}If-None-Match: "{etag}"\r\n\r\n'
    ).encode()
