"""A vehicle asks, and there is an order for it: what the database and Django cost where no front can answer."""

import hashlib
from itertools import cycle

from otaserver import clock
from otaserver.fleet.models import Credential, Vehicle
from otaserver.fleet.operations.shared_tokens import NEVER, pre_shared_fingerprint
from otaserver.fleet.states import CredentialKind, Protocol
from otaserver.tenants.models import Tenant
from tests.bench import bare, fleets, http_load, measuring
from tests.campaigns.campaign_factories import make_running, make_versions
from tests.director.trust import Trust
from tests.factories import make_tenant

VEHICLES = 300
SECONDS = 1.0
HARDWARE = ("board",)
DDI = "DDI's poll, with an order"
UPTANE = "the Director's timestamp, with an order"
CPU = "{}, per CPU-second of the server"


def measure(pairs: int) -> list[measuring.Figure]:
    requests = {
        DDI: cycle(make_requests(make_tenant("ddi"), Protocol.DDI)),
        UPTANE: cycle(make_requests(make_tenant("uptane"), Protocol.UPTANE)),
    }
    with (
        http_load.web_server("otaserver.wsgi:application", begins=b"HTTP/1.1 200 ", ends=b"}}") as our_server,
        http_load.web_server("tests.bench.bare:application", begins=b"HTTP/1.1 200 ", ends=bare.BODY) as bare_server,
    ):
        for each in requests.values():
            # So that each is signed, and what was noted of its contact is not due again.
            our_server.serve(each, count=2 * VEHICLES)

        def ours() -> measuring.Rates:
            return rates({case: our_server.serve(each, seconds=SECONDS) for case, each in requests.items()})

        def baseline() -> measuring.Rates:
            return rates({case: bare_server.serve(each, seconds=SECONDS) for case, each in requests.items()})

        goals = {case: None for name in requests for case in (name, CPU.format(name))}
        return measuring.figures("orders", ours=ours, bare=baseline, pairs=pairs, goals=goals)


def rates(served: dict[str, http_load.Served]) -> measuring.Rates:
    by_second = {name: each.per_second for name, each in served.items()}
    return by_second | {CPU.format(name): each.per_cpu_second for name, each in served.items()}


def make_requests(tenant: Tenant, protocol: Protocol) -> list[bytes]:
    """The polls of vehicles that were each offered a release."""
    now = clock.now()
    Trust(tenant).publish_first_roots(at=now)
    old, new = (make_versions(tenant, version, HARDWARE) for version in ("1.0", "2.0"))
    group = fleets.make_fleet(tenant, VEHICLES, old)
    vehicles = list(Vehicle.objects.of(tenant).select_related("tenant"))
    Vehicle.objects.of(tenant).update(protocol=protocol, client="libcurl-agent/1.0")
    Credential.objects.bulk_create(credential(vehicle, protocol) for vehicle in vehicles)
    make_running(tenant=tenant, old=old, release=new, group=group)
    return [request(vehicle, protocol) for vehicle in vehicles]


def token(vehicle: Vehicle) -> str:
    return hashlib.sha256(f"{vehicle.tenant} {vehicle}".encode()).hexdigest()[:32]


def credential(vehicle: Vehicle, protocol: Protocol) -> Credential:
    if protocol == Protocol.DDI:
        kind, fingerprint = CredentialKind.PRE_SHARED, pre_shared_fingerprint(vehicle, token(vehicle))
    else:
        kind, fingerprint = CredentialKind.TOKEN, hashlib.sha256(token(vehicle).encode()).hexdigest()
    return Credential(
        vehicle=vehicle,
        kind=kind,
        fingerprint=fingerprint,
        created_at=clock.now(),
        used_at=clock.now(),
        expires_at=NEVER,
    )


def request(vehicle: Vehicle, protocol: Protocol) -> bytes:
    if protocol == Protocol.DDI:
        path, shown = f"/{vehicle.tenant}/controller/v1/{vehicle}", f"TargetToken {token(vehicle)}"
    else:
        path, shown = f"/uptane/{vehicle.tenant}/director/metadata/timestamp.json", f"Bearer {token(vehicle)}"
    return (
        f"GET {path} HTTP/1.1\r\nHost: {http_load.HOST}\r\nUser-Agent: libcurl-agent/1.0\r\n"
        f"Authorization: {shown}\r\n\r\n"
    ).encode()
